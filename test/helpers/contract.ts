/** Decides whether an answer keeps the API description: status, headers, media type and body of every response that a test sees. */
import Ajv2020 from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { FastifyInstance } from 'fastify'
import { MEANINGS } from '../../src/http/problem.ts'
import { parseBearer } from './challenge.ts'

type Json = { [name: string]: Json } & { [index: number]: Json }

/** What was answered. */
export interface Answered {
  readonly method: string
  /** The route's path as the description has it, for example `/secure-data`. */
  readonly path: string
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** Throws when an answer of a described operation is not as described. */
export type CheckAnswer = (answered: Answered) => void

/** What `default` never stands for: an answer to a token is always described by itself. */
const NEVER_DEFAULT = [401, 403]

const STEP_UP_ERRORS = ['insufficient_user_authentication', 'insufficient_claims']

/** HTTP-9: the document says what status and challenge say. */
function findProblemFault(problem: Json, status: number, challenge: unknown): string | undefined {
  const code = String(problem.code)
  if (Number(problem.status) !== status) return `its document says ${problem.status}`
  // What Fastify's parsers refuse keeps their status: 413, 415, 431 …
  const usual = Object.hasOwn(MEANINGS, code) ? MEANINGS[code as keyof typeof MEANINGS].status : undefined
  // C-11: whatever a new sign-in can mend asks for one.
  const expected = STEP_UP_ERRORS.includes(String(problem.error)) ? 401 : usual
  if (expected !== status && !(code === 'bad_request' && status >= 400 && status < 500)) {
    return `${code} is answered ${expected}`
  }
  const said = challenge === undefined ? {} : parseBearer(String(challenge))
  for (const name of ['error', 'scope']) {
    if (said[name] === (problem[name] as unknown)) continue
    return `${name} is ${said[name]} in the challenge, ${problem[name]} in the document`
  }
  return undefined
}

/** Reads the description that the application serves. */
export async function createCheckAnswer(app: FastifyInstance): Promise<CheckAnswer> {
  const docs = await app.openDocs()
  const document = docs.app.swagger() as unknown as Json
  const ajv = new Ajv2020.default({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema({ ...document, $id: 'openapi.json' } as object)
  const resolve = (node: Json): Json => {
    const ref = node.$ref as unknown as string | undefined
    if (ref === undefined) return node
    return ref
      .split('/')
      .slice(1)
      .reduce((at, part) => at[part]!, document)
  }

  return ({ method, path, status, headers, body }) => {
    const operation = document.paths![path]?.[method === 'HEAD' ? 'get' : method.toLowerCase()]
    if (operation === undefined) return
    const responses = operation.responses!
    const fallback = status >= 400 && !NEVER_DEFAULT.includes(status) ? responses.default : undefined
    const described = responses[String(status)] ?? fallback
    const where = `${method} ${path} ${status}`
    if (described === undefined) throw new Error(`${where} is not described`)

    const response = resolve(described)
    for (const [name, node] of Object.entries(response.headers ?? {})) {
      const header = resolve(node)
      const value = headers[name.toLowerCase()]
      if (value === undefined && header.required) throw new Error(`${where} lacks the header ${name}`)
      if (value !== undefined && !ajv.validate(header.schema as object, String(value))) {
        throw new Error(`${where}, ${name}: ${ajv.errorsText()}`)
      }
    }

    if (method === 'HEAD' || response.content === undefined) return
    const sent = String(headers['content-type']).split(';')[0]!
    const media = response.content[sent]
    if (media === undefined) {
      throw new Error(`${where} is ${sent}, described as ${Object.keys(response.content).join(', ')}`)
    }
    const schema = media.schema!
    const ref = (schema.$ref as unknown as string | undefined)?.slice(1)
    const validate = ref === undefined ? ajv.compile(schema as object) : ajv.getSchema(`openapi.json#${ref}`)!
    const value = JSON.parse(body) as Json
    if (!validate(value)) throw new Error(`${where}: ${ajv.errorsText(validate.errors)}`)
    if (sent !== 'application/problem+json') return
    const fault = findProblemFault(value, status, headers['www-authenticate'])
    if (fault !== undefined) throw new Error(`${where}: ${fault}`)
  }
}

/** Decides whether an answer keeps the API description: status, headers and body of every response that a test sees. */
import Ajv2020 from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { FastifyInstance } from 'fastify'

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

/** Reads the description that the application serves. */
export function createCheckAnswer(app: FastifyInstance): CheckAnswer {
  const document = app.swagger() as unknown as Json
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
    const described = operation.responses![String(status)]
    const where = `${method} ${path} ${status}`
    if (described === undefined) throw new Error(`${where} is not described`)
    const response = resolve(described)
    for (const [name, header] of Object.entries(response.headers ?? {})) {
      const value = headers[name.toLowerCase()]
      if (value === undefined) throw new Error(`${where} lacks the header ${name}`)
      if (!ajv.validate(resolve(header).schema as object, String(value))) {
        throw new Error(`${where}, ${name}: ${ajv.errorsText()}`)
      }
    }
    if (method === 'HEAD') return
    const [[type, media] = []] = Object.entries(response.content ?? {})
    const sent = String(headers['content-type']).split(';')[0]
    if (type !== undefined && sent !== type) throw new Error(`${where} is ${sent}, described as ${type}`)
    if (media === undefined) return
    const schema = (media as Json).schema!
    const ref = (schema.$ref as unknown as string | undefined)?.slice(1)
    const validate = ref === undefined ? ajv.compile(schema as object) : ajv.getSchema(`openapi.json#${ref}`)!
    if (!validate(JSON.parse(body))) throw new Error(`${where}: ${ajv.errorsText(validate.errors)}`)
  }
}

/** Decides how a test speaks to a server byte for byte, and reads what comes back as an answer. */
import { connect } from 'node:net'

/** An answer, however it was obtained. */
export interface Seen {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** A server that takes longer than this hangs. */
const HANGS_AFTER_MS = 15_000

/**
 * Writes bytes and gives everything that came back until the server closed. The connection stays open for
 * writing: node drops the answer to a request whose sender has hung up.
 *
 * @param bytes each character is one octet
 */
export function speak(url: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const chunks: Buffer[] = []
    const socket = connect(Number(port), hostname)
    const deadline = setTimeout(() => socket.destroy(new Error('the server hangs')), HANGS_AFTER_MS)
    socket.on('data', chunk => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('close', () => {
      clearTimeout(deadline)
      resolve(Buffer.concat(chunks).toString('latin1'))
    })
    socket.write(bytes, 'latin1')
  })
}

/**
 * Reads the answers that a connection carried; each must say its length.
 *
 * @throws SyntaxError when the bytes are no sequence of HTTP/1.1 answers
 */
export function readAnswers(bytes: string, method = 'GET'): Seen[] {
  const answers: Seen[] = []
  for (let rest = bytes; rest !== ''; ) {
    const end = rest.indexOf('\r\n\r\n')
    const [first = '', ...lines] = rest.slice(0, end).split('\r\n')
    const status = /^HTTP\/1\.1 (\d{3}) \S/.exec(first)?.[1]
    if (status === undefined) throw new SyntaxError(`no status line: ${JSON.stringify(rest.slice(0, 80))}`)
    const headers = new Headers(
      lines.map((line): [string, string] => {
        const [, name, value] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?(.*)$/.exec(line) ?? []
        if (name === undefined) throw new SyntaxError(`no header line: ${JSON.stringify(line)}`)
        return [name, value!]
      }),
    )
    const length = method === 'HEAD' ? 0 : Number(headers.get('content-length'))
    const text = Buffer.from(rest.slice(end + 4, end + 4 + length), 'latin1').toString()
    answers.push({ status: Number(status), headers, text })
    rest = rest.slice(end + 4 + length)
  }
  return answers
}

/** Sends one request head, closing the connection behind it, and reads the one answer. */
export async function ask(
  url: string,
  target: string,
  lines: readonly string[] = [],
  method = 'GET',
): Promise<Seen> {
  const head = [`${method} ${target} HTTP/1.1`, 'host: api', ...lines, 'connection: close']
  const answers = readAnswers(await speak(url, `${head.join('\r\n')}\r\n\r\n`), method)
  if (answers.length !== 1) throw new SyntaxError(`${answers.length} answers to one request`)
  return answers[0]!
}

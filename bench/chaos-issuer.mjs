/** Decides how the issuers of the chaos run answer: well, ten seconds late, or with garbage; the run kills this process too. */
import { createServer } from 'node:https'

const SLOW_MS = 10_000
const HUGE_BYTES = 2 * 1024 * 1024

const { port, tls, origin, evilKeys } = JSON.parse(process.env.CHAOS_ISSUER)
let state = { mode: 'up', sets: {} }
process.on('message', message => {
  state = message
})
process.on('disconnect', () => process.exit())

/** What a broken or hostile issuer may send; each takes one response and the good document. */
const GARBAGE = [
  response => response.writeHead(500).end('{"error":"server_error"}'),
  response => response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>back soon'),
  (response, document) => response.end(JSON.stringify(document).slice(0, -20)),
  response => response.end('{}'),
  response => response.end('[]'),
  response => response.end('{"keys":[]}'),
  response => response.end('{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"evil"},null,7]}'),
  (response, document) => response.end(JSON.stringify({ ...document, padding: 'x'.repeat(HUGE_BYTES) })),
  response => response.writeHead(302, { location: `${origin}/evil/keys` }).end(),
  response => response.end(JSON.stringify({ issuer: `${origin}/evil`, jwks_uri: `${origin}/evil/keys` })),
  response => response.socket.destroy(),
]

function documentOf(url) {
  if (url === '/evil/keys') return { keys: evilKeys }
  for (const [issuer, { jwksUri, keys }] of Object.entries(state.sets)) {
    if (`${origin}${url}` === `${issuer}/.well-known/openid-configuration`)
      return { issuer, jwks_uri: jwksUri }
    if (`${origin}${url}` === jwksUri) return { keys }
  }
  return undefined
}

let asked = 0
createServer(tls, (request, response) => {
  asked += 1
  process.send({ url: request.url })
  const document = documentOf(request.url)
  const send = () =>
    response
      .writeHead(document === undefined ? 404 : 200, { 'content-type': 'application/json' })
      .end(JSON.stringify(document ?? {}))
  if (state.mode === 'slow') setTimeout(send, SLOW_MS)
  else if (state.mode === 'garbage') GARBAGE[asked % GARBAGE.length](response, document ?? {})
  else send()
}).listen(port, '127.0.0.1', () => process.send({ ready: true }))

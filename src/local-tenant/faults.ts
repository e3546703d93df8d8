/** Decides how the documents misbehave when told to, so that an outage is tested without waiting for one. */

import { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'

/** What is served in place of a document. */
export const FAULT_MODES = [
  'ok',
  'http500',
  'html',
  'slow-drip',
  'redirect',
  'huge',
  'empty-set',
  'lying-issuer',
  'not-json',
] as const

/** One of {@link FAULT_MODES}. */
export type FaultMode = (typeof FAULT_MODES)[number]

/** A discovery document, or a document of keys. */
export type DocumentKind = 'discovery' | 'keys'

const HUGE_BYTES = 2 * 1024 * 1024
const DRIP_MS = 100

/** Sends a document one byte at a time, and is never done: after the document come spaces, which JSON allows. */
async function* drip(text: string, stop: AbortSignal): AsyncGenerator<string> {
  for (let at = 0; !stop.aborted; at += 1) {
    yield text[at] ?? ' '
    await pause(DRIP_MS, stop)
  }
}

/** Waits, or until `stop`. Never keeps the process alive. */
export async function pause(ms: number, stop: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { ref: false, signal: stop }).catch(() => {})
}

/** A document that names another issuer than the one it is asked for. */
function lie(kind: DocumentKind, document: object, otherIssuer: string): object {
  if (kind === 'discovery') return { ...document, issuer: otherIssuer }
  const { keys } = document as { keys: readonly object[] }
  return { keys: keys.map(key => ({ ...key, issuer: otherIssuer })) }
}

/** What {@link sendDocument} needs beside the document. */
export interface FaultSetting {
  readonly mode: FaultMode
  /** Path and query under which the document is asked for. */
  readonly url: string
  /** An issuer that the document is not of. */
  readonly otherIssuer: string
  readonly stop: AbortSignal
}

/** Sends a document, or what the mode puts in its place. */
export function sendDocument(
  reply: FastifyReply,
  kind: DocumentKind,
  document: object,
  { mode, url, otherIssuer, stop }: FaultSetting,
): FastifyReply {
  const text = JSON.stringify(document)
  reply.type('application/json; charset=utf-8')
  // As Entra serves them: cacheable for a day, readable from anywhere.
  reply.headers({ 'cache-control': 'max-age=86400, private', 'access-control-allow-origin': '*' })
  switch (mode) {
    case 'ok':
      return reply.send(text)
    case 'http500':
      return reply.code(500).send('{"error":"server_error"}')
    case 'html':
      return reply.type('text/html').send('<!doctype html><title>Local tenant</title>We will be right back.')
    case 'slow-drip':
      return reply.send(Readable.from(drip(text, stop)))
    case 'redirect':
      // The target answers well, so that whoever follows is found out.
      return url.includes('moved=') ? reply.send(text) : reply.redirect(`${url}?moved=1`)
    case 'huge':
      return reply.send(JSON.stringify({ ...document, padding: 'x'.repeat(HUGE_BYTES) }))
    case 'empty-set':
      return reply.send(kind === 'keys' ? '{"keys":[]}' : '{}')
    case 'lying-issuer':
      return reply.send(JSON.stringify(lie(kind, document, otherIssuer)))
    case 'not-json':
      return reply.send(text.slice(0, -1))
  }
}

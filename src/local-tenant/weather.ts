/** Decides what is kept of how the tenant behaves at the moment, and of who asked it for what. */

import type { DocumentKind, FaultMode } from './faults.ts'
import type { Service, ServiceWeather } from './services.ts'

/** A request for a document or for keys. */
export interface DocumentRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
}

/** A call of the token endpoint or of Microsoft Graph. */
export interface ServiceCall extends DocumentRequest {
  /** At the token endpoint: `grant_type`. */
  readonly grantType?: string
}

/** How the tenant behaves at the moment. */
export interface Weather {
  readonly modes: Record<DocumentKind, FaultMode>
  readonly services: Record<Service, ServiceWeather>
  delayMs: number
  /** The latest requests for documents and keys, oldest first. */
  readonly requests: DocumentRequest[]
  /** The latest calls of the token endpoint and of Graph, oldest first. */
  readonly calls: ServiceCall[]
  /** Aborted when the tenant closes. */
  readonly stop: AbortSignal
}

const REMEMBERED = 10_000

/** Fair weather. */
export function createWeather(stop: AbortSignal): Weather {
  return {
    modes: { discovery: 'ok', keys: 'ok' },
    services: { graph: { mode: 'ok' }, tokens: { mode: 'ok' } },
    delayMs: 0,
    requests: [],
    calls: [],
    stop,
  }
}

/** Remembers a request, and forgets the oldest when there are too many. */
export function note<T extends DocumentRequest>(list: T[], request: T): void {
  list.push(request)
  if (list.length > REMEMBERED) list.shift()
}

/** Decides what is kept of how the documents are served at the moment, and of who asked for them. */

import type { DocumentKind, FaultMode } from './faults.ts'

/** A request for a document or for keys. */
export interface DocumentRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
}

/** How the documents are served at the moment. */
export interface Weather {
  readonly modes: Record<DocumentKind, FaultMode>
  delayMs: number
  /** The latest requests for documents and keys, oldest first. */
  readonly requests: DocumentRequest[]
  /** Aborted when the tenant closes. */
  readonly stop: AbortSignal
}

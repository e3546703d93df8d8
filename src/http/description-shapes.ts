/** Decides what the parts of the API description have in common: what they know of this API, and the shapes that they write. */
import type { RouteAccess } from '../token/policy.ts'
import type { AnswerProblem } from './problem.ts'

/** What the description needs to know of this API. */
export interface DescriptionSettings {
  readonly title: string
  readonly version: string
  readonly publicUrl: string
  /** `<authority>/<tenant>`, when tokens of Entra are accepted. */
  readonly authority: string | undefined
  /** The same where a browser reaches it, when that is elsewhere. */
  readonly pages?: string | undefined
  readonly scopePrefix: string
  /** Whether callers are counted. */
  readonly isLimited: boolean
}

/** The settings, and what only the guarded application itself knows. */
export interface Known extends DescriptionSettings {
  readonly answerProblem: AnswerProblem
  /** Whether users may come with tokens of an issuer other than Entra. */
  readonly otherIssuers: boolean
}

/** Members of a document, by name. */
export type Fields = Readonly<Record<string, unknown>>
/** One answer of an operation. */
export type Response = Fields & { description?: string; headers?: Fields; content?: Record<string, Media> }
/** The body of an answer in one media type. */
export type Media = Fields & { schema: Fields }
/** One operation. */
export type Operation = Fields & {
  description?: string
  responses: Record<string, Response>
  /** What the route asks for, carried here by the generator. */
  'x-access': RouteAccess
}
/** The whole description. */
export type Document = Fields & { paths: Record<string, Record<string, Operation>>; components: Fields }

/** Points to a component. */
export const ref = (section: string, name: string): Fields => ({ $ref: `#/components/${section}/${name}` })

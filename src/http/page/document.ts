/** Decides in which form the page shows the API description: with this server, and with the ways in that a browser has. */

type Requirement = Readonly<Record<string, readonly string[]>>
type Scheme = Readonly<Record<string, unknown>> & { readonly description: string }
type Operation = Readonly<Record<string, unknown>> & { readonly security: readonly Requirement[] }
type Document = Readonly<Record<string, unknown>> & {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: Readonly<Record<string, unknown>> & {
    readonly securitySchemes: Readonly<Record<string, Scheme>>
  }
}

const NO_SIGN_IN = 'To sign in on this page, set `DOCS_CLIENT_ID` on the server; until then paste a token.'

const mapValues = <From, To>(object: Readonly<Record<string, From>>, change: (value: From) => To) =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]))

/**
 * The description, for the page.
 * @param base path of this API, which is where the page calls, under whichever name it was reached
 * @param signsIn whether the page can sign people in
 */
export function showDocument(description: object, base: string, signsIn: boolean): object {
  const document = description as Document
  const { entra, entraApplication: _, bearer, ...others } = document.components.securitySchemes
  const schemes = {
    ...(signsIn && { entra }),
    ...others,
    bearer: signsIn ? bearer : { ...bearer, description: [bearer!.description, NO_SIGN_IN].join(' ') },
  }
  // An application's secret has no place in a browser; what would be a sign-in is a pasted token without one.
  const show = ({ entra: scopes, entraApplication: _, ...rest }: Requirement): Requirement =>
    scopes === undefined ? rest : { [signsIn ? 'entra' : 'bearer']: scopes, ...rest }
  return {
    ...document,
    servers: [{ url: base }],
    paths: mapValues(document.paths, item =>
      mapValues(item, operation => ({ ...operation, security: operation.security.map(show) })),
    ),
    components: { ...document.components, securitySchemes: schemes },
  }
}

/** Decides what the token command says of itself. */
import type { LocalTenant } from './local.ts'

const HELP = `Usage: npm run -s token -- [HOW] [OPTIONS]
       npm run -s token -- explain [TOKEN | -]   says why a token is refused; see explain --help

Writes an access token for this API, alone, to stdout. Everything else goes to stderr.

HOW
  client-credentials   as an application, with its secret or certificate (default)
  interactive          as a person, in a browser on this machine
  device-code          as a person, in a browser on any device

OPTIONS
  --scope SCOPE     what to ask for; repeatable, or several separated by spaces. A bare name
                    such as Data.Read is a scope of this API. Default: everything granted (.default)
  --claims CLAIMS   what a claims challenge asks for: its WWW-Authenticate header, its claims="…", or
                    the JSON of a claims request
  --json            the whole result as JSON: access_token, token_type, expires_on, scopes, account
  --as PERSON       at the local tenant only: signs this person in without a browser, by the same
                    code flow; means interactive%PEOPLE%
  --timeout SECONDS when to give up. Default: 300 for interactive, 900 for device-code, 60 otherwise
  --no-browser      interactive prints the sign-in URL instead of opening it
  --no-cache        neither reads nor writes the token cache on disk
  --help, -h        this text

SIGNED IN ALREADY?
  client-credentials answers from the cache while the token is good. interactive always opens the
  sign-in, so that another person can be chosen, except with --as, which reuses that person's
  sign-in. device-code reuses the cached sign-in if there is exactly one in the tenant; --no-cache
  asks again.

WHERE
  With no AZURE_TENANT_ID, AZURE_AUTHORITY_HOST or AZURE_CLIENT_ID in the environment or in .env:
  the local tenant that "npm run dev" runs in this folder. Otherwise Microsoft Entra ID:
  AZURE_TENANT_ID                the tenant
  AZURE_CLIENT_ID                this API's application id
  AZURE_AUTHORITY_HOST           default https://login.microsoftonline.com
  TOKEN_CLIENT_ID                the calling application, with one of
  TOKEN_CLIENT_SECRET              its secret (client-credentials)
  TOKEN_CLIENT_CERTIFICATE_PATH    a PEM file with its key and certificate (client-credentials)
  TOKEN_SCOPE                    default: <SCOPE_PREFIX>.default
  SCOPE_PREFIX                   default: api://<AZURE_CLIENT_ID>/

EXAMPLES
  curl -H "Authorization: Bearer $(npm run -s token)" http://127.0.0.1:3000/secure-data
  npm run -s token -- --as ada
  npm run -s token -- interactive --scope Data.Read --json
  npm run -s token -- device-code --timeout 120

EXIT CODES
  0 a token was written   1 refused, failed or timed out   2 usage   78 configuration
`

/** Writes the help; names the people when a local tenant runs. */
export function helpText(tenant: LocalTenant | undefined): string {
  const people = tenant?.people.map(
    ({ handle, about }) => `\n                      ${handle.padEnd(8)} ${about}`,
  )
  return HELP.replace('%PEOPLE%', people ? `. Here:${people.join('')}` : '')
}

/** Decides what the token command says of itself. */
import type { LocalTenant } from './local.ts'

const HELP = `Usage: npm run -s token -- [HOW] [OPTIONS]
       npm run -s token -- accounts [--json]     lists who is signed in
       npm run -s token -- sign-out [NAME]       forgets a sign-in and its tokens
       npm run -s token -- explain [TOKEN | -]   says why a token is refused; see explain --help

Writes an access token for this API, alone, to stdout. Everything else goes to stderr.

HOW
  client-credentials   as an application, with its secret, certificate or federated token (default)
  managed-identity     as the managed identity of this machine or service on Azure
  interactive          as a person, in a browser on this machine
  device-code          as a person, in a browser on any device
  silent               as a person who signed in earlier, without asking them
  on-behalf-of         as this API for its caller: exchanges the caller's token, from stdin or a prompt,
                       for one of Microsoft Graph or of --scope

OPTIONS
  --scope SCOPE     what to ask for; repeatable, or several separated by spaces. A bare name such as
                    Data.Read is a scope of this API (with on-behalf-of, of Microsoft Graph). Scopes of
                    several APIs give one token each, in that order. Default: everything granted (.default)
  --claims CLAIMS   what a claims challenge asks for: its WWW-Authenticate header, its claims="…", or
                    the JSON of a claims request
  --refresh         asks the issuer although a token is cached; a kept sign-in is used all the same
  --json            the whole result as JSON: access_token, token_type, expires_on, scopes, account;
                    of several tokens, a list
  --id-token        shows the verified claims of the ID token too: on stderr, with --json as
                    id_token_claims
  --as PERSON       at the local tenant only: signs this person in without a browser, by the same
                    code flow; means interactive%PEOPLE%
  --account NAME    with silent: whose sign-in, where there are several
  --timeout SECONDS when to give up. Default: 300 for interactive, 900 for device-code, 60 otherwise
  --no-browser      interactive prints the sign-in URL instead of opening it
  --no-cache        neither reads nor writes the token cache on disk
  --help, -h        this text

SIGNED IN ALREADY?
  client-credentials answers from the cache while the token is good. interactive always opens the
  sign-in, so that another person can be chosen, except with --as, which reuses that person's
  sign-in. device-code reuses the cached sign-in if there is exactly one in the tenant; --no-cache
  asks again. silent never asks: it fails where a person is needed. on-behalf-of and
  managed-identity keep nothing on disk. sign-out NAME takes one person out of the cache; the
  session in their browser goes on, and tokens that were handed out are good until they expire.

WHO SIGNED IN
  stands on stderr, after the ID token was verified: signature by the issuer's keys, issuer,
  audience, nonce and lifetime. One that is not good ends the command, and nothing of it is kept.

SECRETS
  come from the environment, a file or a prompt, never from an argument, which everybody on the
  machine can read. At a terminal a secret that is nowhere is asked for, and not shown.

WHERE
  With no AZURE_TENANT_ID, AZURE_AUTHORITY_HOST or AZURE_CLIENT_ID in the environment or in .env:
  the local tenant that "npm run dev" runs in this folder. Otherwise Microsoft Entra ID:
  AZURE_TENANT_ID                the tenant
  AZURE_CLIENT_ID                this API's application id
  AZURE_AUTHORITY_HOST           default https://login.microsoftonline.com
  TOKEN_CLIENT_ID                the calling application; with managed-identity the client id of a
                                   user-assigned identity, or nothing. Its credential, one of:
  TOKEN_CLIENT_SECRET              a secret
  TOKEN_CLIENT_CERTIFICATE_PATH    a PEM file with its key and certificate
  TOKEN_FEDERATED_TOKEN_FILE       a file with the token of an outside issuer
  AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH, AZURE_FEDERATED_TOKEN_FILE
                                 the same for this API itself, with on-behalf-of
  TOKEN_SCOPE                    default: <SCOPE_PREFIX>.default
  SCOPE_PREFIX                   default: api://<AZURE_CLIENT_ID>/

EXAMPLES
  curl -H "Authorization: Bearer $(npm run -s token)" http://127.0.0.1:3000/secure-data
  npm run -s token -- --as ada
  npm run -s token -- interactive --scope Data.Read --json --id-token
  npm run -s token -- device-code --timeout 120
  npm run -s token -- silent --scope "Data.Read https://graph.microsoft.com/User.Read" --json
  npm run -s token -- --as ada | npm run -s token -- on-behalf-of --scope User.Read

EXIT CODES
  0 done   1 refused, failed or timed out   2 usage   78 configuration
`

/** Writes the help; names the people when a local tenant runs. */
export function helpText(tenant: LocalTenant | undefined): string {
  const people = tenant?.people.map(
    ({ handle, about }) => `\n                      ${handle.padEnd(8)} ${about}`,
  )
  return HELP.replace('%PEOPLE%', people ? `. Here:${people.join('')}` : '')
}

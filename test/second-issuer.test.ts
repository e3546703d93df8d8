/** A second issuer that others wrote: oidc-provider's RFC 9068 tokens, got by its own flows, are good here. */
import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { startApi, startTenant } from './helpers/api.ts'
import { createKey, type Json, type TestKey } from './helpers/issuer.ts'
import { accepts, refuses } from './helpers/refused.ts'

// oidc-provider 9 is made for Node 22 and later, this project for 20 and later.
const [major = 0] = process.versions.node.split('.').map(Number)
const skip = major < 22 && `oidc-provider needs Node 22, this is ${process.versions.node}`

const RESOURCE = 'https://orders.example/api'
const OTHER_RESOURCE = 'https://other.example/api'
const REDIRECT_URI = 'https://web.example/callback'
/** Authorization, sign-in, its end and the way back are four. */
const MAX_REDIRECTS = 8

/** The part of oidc-provider that is used here; it has no types of its own. */
interface Provider {
  readonly callback: () => (request: IncomingMessage, response: ServerResponse) => void
  readonly interactionFinished: (
    request: IncomingMessage,
    response: ServerResponse,
    result: object,
  ) => Promise<void>
}
interface Grant {
  readonly addOIDCScope: (scope: string) => void
  readonly addResourceScope: (resource: string, scope: string) => void
  readonly save: () => Promise<string>
}
interface Context {
  readonly oidc: {
    readonly client: { readonly clientId: string }
    readonly session: { readonly accountId: string }
    readonly provider: { readonly Grant: new (of: object) => Grant }
  }
}

const privateJwk = ({ privateKey, kid, alg }: TestKey): Json => ({
  ...privateKey.export({ format: 'jwk' }),
  kid,
  alg,
  use: 'sig',
})

/** Starts oidc-provider with a client of each kind; whoever comes to sign in is ada, and consents. */
async function startProvider(t: Test): Promise<string> {
  const keys = [createKey('RS256', 'rsa'), createKey('ES256', 'ec')]
  let handle: (request: IncomingMessage, response: ServerResponse) => void = () => {}
  const server = createServer((request, response) => handle(request, response))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    return new Promise<void>(resolve => server.close(() => resolve()))
  })
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const name: string = 'oidc-provider'
  const module = (await import(name)) as { default: new (issuer: string, settings: object) => Provider }
  const provider = new module.default(issuer, {
    jwks: { keys: keys.map(privateJwk) },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    clients: [
      {
        client_id: 'daemon',
        client_secret: 'daemon-secret',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
      {
        client_id: 'web',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code'],
        redirect_uris: [REDIRECT_URI],
        response_types: ['code'],
      },
    ],
    findAccount: (_: unknown, accountId: string) => ({ accountId, claims: () => ({ sub: accountId }) }),
    interactions: { url: (_: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    loadExistingGrant: async ({ oidc }: Context) => {
      const { clientId } = oidc.client
      const grant = new oidc.provider.Grant({ clientId, accountId: oidc.session.accountId })
      grant.addOIDCScope('openid')
      for (const resource of [RESOURCE, OTHER_RESOURCE]) grant.addResourceScope(resource, 'Data.Read')
      await grant.save()
      return grant
    },
    extraTokenClaims: (_: unknown, token: { kind: string }) =>
      token.kind === 'ClientCredentials' ? { roles: ['Data.Read.All'] } : undefined,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_: unknown, resource: string, client: { clientId: string }) => ({
          scope: 'Data.Read',
          audience: resource,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: client.clientId === 'daemon' ? 'ES256' : 'RS256' } },
        }),
      },
    },
  })
  const callback = provider.callback()
  handle = (request, response) => {
    if (request.url?.startsWith('/interaction/')) {
      void provider.interactionFinished(request, response, { login: { accountId: 'ada' } })
    } else callback(request, response)
  }
  return issuer
}

const form = (fields: Readonly<Record<string, string>>) => ({
  method: 'POST',
  body: new URLSearchParams(fields),
})

/** Obtains an application's token by the client credentials grant. */
async function requestByClient(issuer: string, resource: string): Promise<string> {
  const basic = Buffer.from('daemon:daemon-secret').toString('base64')
  const response = await fetch(`${issuer}/token`, {
    ...form({ grant_type: 'client_credentials', resource }),
    headers: { authorization: `Basic ${basic}` },
  })
  const { access_token: token } = (await response.json()) as { access_token: string }
  return token
}

/** Obtains a user's tokens by the authorization code flow with PKCE, following redirects as a browser would. */
async function requestByUser(
  issuer: string,
  resource: string,
  scope: string,
): Promise<{ access_token: string; id_token: string }> {
  const verifier = randomBytes(32).toString('base64url')
  const query = {
    client_id: 'web',
    response_type: 'code',
    redirect_uri: REDIRECT_URI,
    scope,
    resource,
    nonce: 'n',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }
  const cookies = new Map<string, string>()
  let address = `${issuer}/auth?${new URLSearchParams(query)}`
  for (let hops = 0; !address.startsWith(REDIRECT_URI); hops++) {
    if (hops === MAX_REDIRECTS) throw new Error(`${hops} redirects, the last to ${address}`)
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(address, { redirect: 'manual', headers: { cookie } })
    for (const line of response.headers.getSetCookie()) {
      const [name = '', value = ''] = line.split(';', 1)[0]!.split('=')
      cookies.set(name, value)
    }
    const location = response.headers.get('location')
    if (location === null) throw new Error(`${response.status}: ${await response.text()}`)
    address = new URL(location, address).href
  }
  const code = new URL(address).searchParams.get('code') ?? ''
  const response = await fetch(
    `${issuer}/token`,
    form({
      grant_type: 'authorization_code',
      client_id: 'web',
      code,
      code_verifier: verifier,
      redirect_uri: REDIRECT_URI,
      resource,
    }),
  )
  return (await response.json()) as { access_token: string; id_token: string }
}

t.test('oidc-provider as a further issuer (ATJWT-1 to ATJWT-7)', { skip }, async t => {
  const issuer = await startProvider(t)
  const tenant = await startTenant(t)
  const api = await startApi(t, { tenant, env: { ISSUERS: issuer, AUDIENCE: RESOURCE } })

  await t.test('a user with the scope: greeted', async t => {
    const { access_token: token } = await requestByUser(issuer, RESOURCE, 'openid Data.Read')
    t.match((await accepts(t, api, token, '/whoami')).json, {
      kind: 'user',
      subject: 'ada',
      client: 'web',
      scopes: ['Data.Read'],
      issuer,
    })
    t.match((await accepts(t, api, token)).json, { message: 'Hello web, this is protected data.' })
  })

  await t.test('an application with the role: greeted', async t => {
    const token = await requestByClient(issuer, RESOURCE)
    t.match((await accepts(t, api, token, '/whoami')).json, {
      kind: 'application',
      subject: 'daemon',
      client: 'daemon',
      roles: ['Data.Read.All'],
    })
    await accepts(t, api, token)
  })

  await t.test('a user without a scope: has no permission', async t => {
    const { access_token: token } = await requestByUser(issuer, RESOURCE, 'openid')
    await refuses(t, api, token, 'no_permissions')
  })

  await t.test('an ID token: refused', async t => {
    const { id_token: token } = await requestByUser(issuer, RESOURCE, 'openid Data.Read')
    await refuses(t, api, token, 'wrong_token_type')
  })

  await t.test('a token for another resource: refused', async t => {
    const { access_token: token } = await requestByUser(issuer, OTHER_RESOURCE, 'openid Data.Read')
    await refuses(t, api, token, 'wrong_audience')
    await refuses(t, api, await requestByClient(issuer, OTHER_RESOURCE), 'wrong_audience')
  })

  await t.test('the tenant beside it: accepted as before', async t => {
    await accepts(t, api, tenant.issue({ claims: { aud: RESOURCE } }))
  })
})

import { createHash, createHmac, createPublicKey, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, request as httpRequest } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import {
  ConfidentialClientApplication,
  type Configuration,
  CryptoProvider,
  PublicClientApplication,
} from '@azure/msal-node'
import Fastify from 'fastify'
import {
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  importPKCS8,
  type JSONWebKeySet,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose'
import t from 'tap'
import { Aadsts } from '../src/local-tenant/aadsts.ts'
import { sendDocument } from '../src/local-tenant/faults.ts'
import { createPrivateFile } from '../src/local-tenant/files.ts'
import { openPort, portsFrom } from '../src/local-tenant/listen.ts'
import { MINT_KINDS, type MintKind } from '../src/local-tenant/mint.ts'
import { readProfile, writeProfile } from '../src/local-tenant/profile.ts'
import { CONSUMER_TENANT } from '../src/local-tenant/signing-key.ts'
import { type LocalTenant, startLocalTenant } from '../src/local-tenant/tenant.ts'
import { wireTo } from './helpers/tenant.ts'

const clock = { ms: Date.now() }
const tenant = await startLocalTenant({ port: 0, now: () => clock.ms })
const { profile } = tenant
const { authority, pages, tenantId, api, publicClient, daemon, daemonWithoutRole } = profile
const wire = wireTo(profile)
t.teardown(async () => {
  await wire.close()
  await tenant.close()
})

const dataRead = `api://${api.clientId}/Data.Read`
const apiDefault = `api://${api.clientId}/.default`
const openScopes = `${dataRead} openid profile offline_access`
const endpoint = (name: string, origin = authority, segment = tenantId) =>
  `${origin}/${segment}/oauth2/v2.0/${name}`
const redirectUri = 'http://localhost:43210'

type Answer = Record<string, string> & { error_codes: number[] }
const json = async <T = Answer>(response: { json(): Promise<unknown> }) => (await response.json()) as T
const token = async (form: Record<string, string>, headers?: Record<string, string>) =>
  json(await wire.post(endpoint('token'), form, headers))
const document = async (path: string) => json<Record<string, string>>(await wire.fetch(authority + path))
const keySet = async (version: 1 | 2 = 2) =>
  (await document(`/${tenantId}/discovery/${version === 2 ? 'v2.0/' : ''}keys`)) as unknown as JSONWebKeySet

async function verify(accessToken: string, audience: string, version: 1 | 2 = 2) {
  const issuer =
    version === 2
      ? `${authority}/${tenantId}/v2.0`
      : `${authority.replace('localhost', '127.0.0.1')}/${tenantId}/`
  return jwtVerify(accessToken, createLocalJWKSet(await keySet(version)), {
    issuer,
    audience,
    algorithms: ['RS256'],
    typ: 'JWT',
    currentDate: new Date(clock.ms),
  })
}

const auth = (clientId: string, more: object): Configuration => ({
  auth: {
    clientId,
    authority: `${authority}/${tenantId}`,
    knownAuthorities: [new URL(authority).host],
    ...more,
  },
  system: { networkClient: wire.network },
})
const publicApp = () => new PublicClientApplication(auth(publicClient.clientId, {}))

const signInQuery = (more: Record<string, string> = {}) => ({
  client_id: publicClient.clientId,
  response_type: 'code',
  redirect_uri: redirectUri,
  scope: openScopes,
  ...more,
})

/** Picks a person on the sign-in page and returns what the application gets in its query. */
async function choose(more: Record<string, string>): Promise<URLSearchParams> {
  const response = await wire.post(endpoint('authorize', pages), signInQuery(more))
  return new URL(response.headers.get('location')!).searchParams
}

const codeFor = async (more: Record<string, string> = {}) =>
  (await choose({ person: 'ada', ...more })).get('code')!
const redeem = (code: string, more: Record<string, string> = {}) =>
  token({
    grant_type: 'authorization_code',
    client_id: publicClient.clientId,
    redirect_uri: redirectUri,
    code,
    ...more,
  })

/** The hidden inputs and the target of the form of a page. */
function readPage(text: string): { action: string; fields: Record<string, string> } {
  const fields = [...text.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)]
  const plain = (value: string) =>
    value
      .replace(/&#39;/g, "'")
      .replace(/&quot;/g, '"')
      .replace(/&lt;/g, '<')
      .replace(/&gt;/g, '>')
      .replace(/&amp;/g, '&')
  return {
    action: plain(/<form method="post" action="([^"]*)"/.exec(text)![1]!),
    fields: Object.fromEntries(fields.map(([, name, value]) => [name!, plain(value!)])),
  }
}

/** What a person does in a browser: opens the page, picks ada, and lets the answer submit itself. */
async function browse(url: string): Promise<void> {
  const page = readPage(await (await wire.fetch(url)).text())
  const answer = await wire.post(pages + page.action, { ...page.fields, person: 'ada' })
  const back = readPage(await answer.text())
  await wire.post(back.action, back.fields)
}

t.test('discovery documents', async t => {
  await t.test('of the tenant: issuers, endpoints and pages are where Entra has them', async t => {
    const v2 = await document(`/${tenantId}/v2.0/.well-known/openid-configuration`)
    t.match(v2, {
      issuer: `${authority}/${tenantId}/v2.0`,
      token_endpoint: endpoint('token'),
      jwks_uri: `${authority}/${tenantId}/discovery/v2.0/keys`,
      authorization_endpoint: endpoint('authorize', pages),
      device_authorization_endpoint: endpoint('devicecode'),
      end_session_endpoint: endpoint('logout', pages),
      cloud_instance_name: new URL(authority).host,
    })
    const v1 = await document(`/${tenantId}/.well-known/openid-configuration`)
    t.equal(v1.issuer, `https://127.0.0.1:${new URL(authority).port}/${tenantId}/`)
    t.equal(v1.jwks_uri, `${authority}/${tenantId}/discovery/keys`)
  })

  await t.test('of every tenant at once: the issuer is a template', async t => {
    for (const shared of ['common', 'organizations']) {
      const v2 = await document(`/${shared}/v2.0/.well-known/openid-configuration`)
      t.equal(v2.issuer, `${authority}/{tenantid}/v2.0`)
    }
  })

  await t.test('of a tenant that is not here: AADSTS90002', async t => {
    t.match(await document(`/${randomUUID()}/v2.0/.well-known/openid-configuration`), {
      error_codes: [90002],
    })
    t.match(await document(`/${tenant.partnerTenantId}/discovery/keys`), { keys: Array })
  })

  await t.test(
    'keys: shaped like Entra, two for any tenant and one bound to the consumer tenant',
    async t => {
      const { keys } = await keySet()
      t.equal(keys.length, 3)
      for (const key of keys) {
        t.match(key, { kty: 'RSA', use: 'sig', x5t: key.kid, x5c: [String], cloud_instance_name: String })
        t.notOk('alg' in key)
      }
      const issuers = keys.map(key => (key as unknown as { issuer: string }).issuer)
      const template = `${authority}/{tenantid}/v2.0`
      t.strictSame(issuers, [template, template, `${authority}/${CONSUMER_TENANT}/v2.0`])
      const old = await keySet(1)
      t.strictSame(
        old.keys.map(key => key.n),
        keys.map(key => key.n),
      )
      t.notOk('cloud_instance_name' in old.keys[0]!)
      t.strictSame(
        tenant.keys().map(key => key.signing),
        [true, false, false],
      )
    },
  )

  await t.test('requests for them: counted, with method and path', async t => {
    const before = tenant.requests.length
    await keySet()
    const [latest] = tenant.requests.slice(before)
    t.strictSame(latest, { method: 'GET', url: `/${tenantId}/discovery/v2.0/keys` })
    tenant.requests.push(...Array.from({ length: 10_000 - tenant.requests.length }, () => latest!))
    await keySet(1)
    t.equal(tenant.requests.length, 10_000, 'the latest ones only')
    t.match(tenant.requests.at(-1), { url: `/${tenantId}/discovery/keys` })
  })
})

t.test('client credentials', async t => {
  const secret = daemon.clientSecret!
  const request = { grant_type: 'client_credentials', scope: apiDefault }

  await t.test('msal-node with a secret: an application token with its role', async t => {
    const app = new ConfidentialClientApplication(auth(daemon.clientId, { clientSecret: secret }))
    const result = await app.acquireTokenByClientCredential({ scopes: [apiDefault] })
    const { payload } = await verify(result!.accessToken, api.clientId)
    t.match(payload, {
      idtyp: 'app',
      roles: ['Data.Read.All'],
      azp: daemon.clientId,
      azpacr: '1',
      tid: tenantId,
      ver: '2.0',
    })
    t.equal(payload.sub, payload.oid)
    t.notOk('scp' in payload)
    const lifetime = payload.exp! - payload.iat!
    t.ok(lifetime >= 3600 && lifetime <= 5400)
  })

  for (const thumbprint of ['thumbprint', 'thumbprintSha256'] as const) {
    await t.test(`msal-node with a certificate by ${thumbprint}: a token that says so`, async t => {
      const { certificate, privateKey } = tenant.daemonCertificate
      const der = Buffer.from(certificate.replace(/-----[^-]+-----|\s/g, ''), 'base64')
      const hash = createHash(thumbprint === 'thumbprint' ? 'sha1' : 'sha256')
        .update(der)
        .digest('hex')
      const clientCertificate = { [thumbprint]: hash, privateKey, x5c: certificate }
      const app = new ConfidentialClientApplication(auth(daemon.clientId, { clientCertificate }))
      const result = await app.acquireTokenByClientCredential({ scopes: [apiDefault] })
      t.match(decodeJwt(result!.accessToken), { azpacr: '2' })
      await app.acquireTokenByClientCredential({ scopes: [apiDefault], skipCache: true })
    })
  }

  await t.test(
    'an assertion that only x5c identifies: accepted; one that nothing identifies: AADSTS700027',
    async t => {
      const key = await importPKCS8(tenant.daemonCertificate.privateKey, 'PS256')
      const x5c = [tenant.daemonCertificate.certificate.replace(/-----[^-]+-----|\s/g, '')]
      const assertion = (header: object) =>
        new SignJWT({
          iss: daemon.clientId,
          sub: daemon.clientId,
          aud: endpoint('token'),
          exp: clock.ms / 1000 + 60,
        })
          .setProtectedHeader({ alg: 'PS256', ...header })
          .sign(key)
      const proof = {
        ...request,
        client_id: daemon.clientId,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      }
      t.ok((await token({ ...proof, client_assertion: await assertion({ x5c }) })).access_token)
      t.match(await token({ ...proof, client_assertion: await assertion({}) }), {
        error: 'invalid_client',
        error_codes: [700027],
      })
      t.match(await token({ ...proof, client_id: daemonWithoutRole.clientId, client_assertion: 'x' }), {
        error_codes: [700027],
      })
    },
  )

  await t.test('the daemon without a role, by Basic: no roles claim', async t => {
    const basic = Buffer.from(
      `${daemonWithoutRole.clientId}:${encodeURIComponent(daemonWithoutRole.clientSecret!)}`,
    )
    const answer = await token(request, { authorization: `Basic ${basic.toString('base64')}` })
    t.notOk('roles' in decodeJwt(answer.access_token!))
    const broken = Buffer.from('%E0%A4%A:x').toString('base64')
    t.match(await token(request, { authorization: `Basic ${broken}` }), { error_codes: [9002313] })
  })

  await t.test('for Microsoft Graph: a token that nobody but Graph can verify', async t => {
    const answer = await token({
      ...request,
      scope: 'https://graph.microsoft.com/.default',
      client_id: daemon.clientId,
      client_secret: secret,
    })
    t.match(decodeProtectedHeader(answer.access_token!), { nonce: String })
    await t.rejects(verify(answer.access_token!, '00000003-0000-0000-c000-000000000000', 1), {
      code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
    })
  })

  await t.test('requests that Entra refuses: the same number, in the same document', async t => {
    const good = { ...request, client_id: daemon.clientId, client_secret: secret }
    const refusals: [number, string, Record<string, string>][] = [
      [7000215, 'invalid_client', { ...good, client_secret: 'wrong' }],
      [7000218, 'invalid_client', { ...request, client_id: daemon.clientId }],
      [7000218, 'invalid_client', { ...request, client_id: publicClient.clientId }],
      [700025, 'invalid_client', { ...request, client_id: publicClient.clientId, client_secret: 'x' }],
      [700016, 'unauthorized_client', { ...good, client_id: randomUUID() }],
      [90014, 'invalid_request', request],
      [90014, 'invalid_request', { ...good, scope: '' }],
      [1002012, 'invalid_scope', { ...good, scope: dataRead }],
      [70011, 'invalid_scope', { ...good, scope: `api://${api.clientId}/Nope` }],
      [500011, 'invalid_resource', { ...good, scope: `api://${randomUUID()}/.default` }],
      [28000, 'invalid_scope', { ...good, scope: `${apiDefault} https://graph.microsoft.com/.default` }],
      [65001, 'invalid_grant', { ...good, scope: 'Mail.Read' }],
      [70003, 'unsupported_grant_type', { ...good, grant_type: 'password' }],
    ]
    for (const [number, error, form] of refusals) {
      const answer = await token(form)
      t.match(answer, {
        error,
        error_description: new RegExp(`^AADSTS${number}: `),
        error_codes: [number],
        timestamp: /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/,
        trace_id: String,
        correlation_id: String,
      })
    }
    const id = randomUUID()
    t.match(await token({ ...good, client_secret: 'x' }, { 'client-request-id': id }), { correlation_id: id })
    t.match(await json(await wire.post(endpoint('token', authority, tenant.partnerTenantId), good)), {
      error_codes: [90002],
    })
    const twice = await wire.fetch(endpoint('token'), {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'grant_type=a&grant_type=b',
    })
    t.match(await json(twice), { error_codes: [9002313] })
    const unread = await wire.fetch(endpoint('token'), {
      method: 'POST',
      headers: { 'content-type': 'text/csv' },
      body: 'a',
    })
    t.match(await json(unread), { error_codes: [9002313] })
    t.match(await json(await wire.fetch(endpoint('token'), { method: 'POST' })), { error_codes: [90014] })
  })
})

t.test('sign-in', async t => {
  await t.test('msal-node, a code with PKCE, then refreshes: tokens for the API and for Graph', async t => {
    const { verifier, challenge } = await new CryptoProvider().generatePkceCodes()
    const app = publicApp()
    const nonce = randomUUID()
    const url = await app.getAuthCodeUrl({
      scopes: [dataRead],
      redirectUri,
      codeChallenge: challenge,
      codeChallengeMethod: 'S256',
      responseMode: 'form_post',
      state: 'a state',
      nonce,
      loginHint: 'ada',
    })
    const page = readPage(await (await wire.fetch(url)).text())
    const back = await wire.post(pages + page.action, { ...page.fields, person: 'ada' })
    const { action, fields } = readPage(await back.text())
    t.equal(action, redirectUri)
    t.equal(fields.state, 'a state')
    const code = fields.code!
    const result = await app.acquireTokenByCode(
      { code, scopes: [dataRead], redirectUri, codeVerifier: verifier, state: 'a state', nonce },
      { code, state: fields.state! },
    )
    const { payload } = await verify(result.accessToken, api.clientId)
    t.match(payload, {
      name: 'Ada Lovelace',
      scp: 'Data.Read',
      azp: publicClient.clientId,
      azpacr: '0',
      preferred_username: 'ada@local.localhost',
    })
    t.notOk('idtyp' in payload)
    t.match(await verify(result.idToken, publicClient.clientId), { payload: { nonce, oid: payload.oid } })
    const account = result.account!
    const again = await app.acquireTokenSilent({ account, scopes: [dataRead], forceRefresh: true })
    t.equal(again.fromCache, false)
    const graph = await app.acquireTokenSilent({ account, scopes: ['User.Read'] })
    t.match(decodeJwt(graph.accessToken), { aud: '00000003-0000-0000-c000-000000000000', scp: 'User.Read' })
    t.equal(decodeJwt(graph.accessToken).oid, payload.oid)
    tenant.revokeSessions('ada')
    await t.rejects(app.acquireTokenSilent({ account, scopes: [dataRead], forceRefresh: true }), {
      name: 'InteractionRequiredAuthError',
      subError: 'bad_token',
    })
    clock.ms += 1
  })

  await t.test('msal-node, interactively: the page is opened, and the answer comes by form_post', async t => {
    const result = await publicApp().acquireTokenInteractive({ scopes: [dataRead], openBrowser: browse })
    t.match(decodeJwt(result.accessToken), { scp: 'Data.Read' })
    t.equal(result.account?.username, 'ada@local.localhost')
  })

  await t.test('bob and gus: bob lacks Data.Read, gus is a guest', async t => {
    const bob = await redeem(await codeFor({ person: 'bob' }), { client_info: '1' })
    t.match(decodeJwt(bob.access_token!), { scp: 'Profile.Read', name: 'Bob Noether' })
    t.equal(bob.scope, `api://${api.clientId}/Profile.Read`)
    const gus = await redeem(await codeFor({ person: 'gus@partner.localhost' }), { client_info: '1' })
    t.match(decodeJwt(gus.access_token!), {
      scp: 'Data.Read',
      acct: 1,
      idp: new RegExp(`/${tenant.partnerTenantId}/$`),
      tid: tenantId,
    })
    t.match(JSON.parse(Buffer.from(gus.client_info!, 'base64url').toString()), {
      utid: tenant.partnerTenantId,
    })
    t.notOk('nonce' in decodeJwt(gus.id_token!))
  })

  await t.test('an API that takes v1.0 tokens: the token endpoint makes them', async t => {
    tenant.accessTokenVersion(1)
    t.teardown(() => tenant.accessTokenVersion(2))
    const user = await redeem(await codeFor())
    const { payload, protectedHeader } = await verify(user.access_token!, `api://${api.clientId}`, 1)
    t.match(payload, {
      ver: '1.0',
      appid: publicClient.clientId,
      appidacr: '0',
      unique_name: 'ada@local.localhost',
    })
    t.equal(protectedHeader.x5t, protectedHeader.kid)
  })

  await t.test(
    'the page: names the application and the people, escapes what it carries, allows no script',
    async t => {
      const query = new URLSearchParams(signInQuery({ state: '"><script>alert(1)</script>', unknown: 'x' }))
      const response = await wire.fetch(`${endpoint('authorize', pages)}?${query}`)
      const text = await response.text()
      t.match(text, '<title>Local tenant – pick a person</title>')
      for (const name of ['Ada Lovelace', 'Bob Noether', 'Gus Babbage', publicClient.name])
        t.match(text, name)
      t.notMatch(text, '<script>')
      t.match(readPage(text).fields, { state: '"><script>alert(1)</script>' })
      t.notOk('unknown' in readPage(text).fields)
      t.match(
        response.headers.get('content-security-policy'),
        `script-src 'none'; form-action 'self' ${redirectUri};`,
      )
      t.equal(response.headers.get('x-ms-ests-server'), 'local')
      const post = await wire.post(endpoint('authorize', pages), signInQuery())
      t.equal(post.status, 200)
    },
  )

  await t.test('the way back: by query, or by a form that a hashed script submits', async t => {
    const answer = await choose({ person: 'ada', state: 's', client_info: '1' })
    t.ok(answer.get('code') && answer.get('client_info') && answer.get('session_state'))
    t.equal(answer.get('state'), 's')
    const page = await wire.post(
      endpoint('authorize', pages),
      signInQuery({ person: 'ada', response_mode: 'form_post' }),
    )
    const [, script = ''] = /<script>(.*)<\/script>/.exec(await page.text()) ?? []
    const hash = createHash('sha256').update(script).digest('base64')
    t.match(page.headers.get('content-security-policy'), `script-src 'sha256-${hash}'`)
  })

  await t.test('requests that go wrong after the address is known: the application is told', async t => {
    t.equal((await choose({ cancel: '1', state: 's' })).get('error'), 'access_denied')
    t.equal((await choose({ cancel: '1', state: 's' })).get('state'), 's')
    const wrong: [string, Record<string, string>][] = [
      ['AADSTS50058', { prompt: 'none' }],
      ['AADSTS50034', { person: 'eve' }],
      ['AADSTS70011', { scope: `api://${api.clientId}/Nope` }],
      ['AADSTS90014', { scope: '' }],
      ['AADSTS70007', { response_mode: 'fragment' }],
      ['AADSTS9002313', { response_type: 'token' }],
      ['AADSTS9002313', { code_challenge: 'x', code_challenge_method: 'plain' }],
    ]
    for (const [number, more] of wrong) t.match((await choose(more)).get('error_description'), number)
    const { scope: _, ...without } = signInQuery({ person: 'ada' })
    const response = await wire.post(endpoint('authorize', pages), without)
    t.match(response.headers.get('location'), /AADSTS90014/)
  })

  await t.test('requests whose address is wrong: an error page, and nobody is sent anywhere', async t => {
    const wrong: [string, Record<string, string>][] = [
      ['AADSTS50011', { redirect_uri: 'https://evil.example/' }],
      ['AADSTS50011', { redirect_uri: 'http://localhost:1/other' }],
      ['AADSTS50011', { redirect_uri: 'http://localhost:1/#here' }],
      ['AADSTS50011', { redirect_uri: 'http://me@localhost:1/' }],
      ['AADSTS50011', { redirect_uri: 'nonsense' }],
      ['AADSTS50011', { client_id: daemon.clientId }],
      ['AADSTS700016', { client_id: randomUUID() }],
      ['AADSTS90014', { client_id: '' }],
    ]
    for (const [number, more] of wrong) {
      const response = await wire.post(endpoint('authorize', pages), signInQuery({ person: 'ada', ...more }))
      t.equal(response.status, 400)
      t.match(await response.text(), number)
    }
    const { redirect_uri: _, ...without } = signInQuery()
    t.match(await (await wire.post(endpoint('authorize', pages), without)).text(), 'AADSTS50011')
    const elsewhere = await wire.post(endpoint('authorize', pages, randomUUID()), signInQuery())
    t.match(await elsewhere.text(), 'AADSTS90002')
  })

  await t.test(
    'codes: good once, for one client, with its own redirect URI and verifier, for ten minutes',
    async t => {
      const code = await codeFor()
      t.ok((await redeem(code)).access_token)
      t.match(await redeem(code), { error: 'invalid_grant', error_codes: [54005] })
      t.match(await redeem('1.unknown'), { error: 'invalid_grant', error_codes: [9002313] })
      t.match(await redeem(await codeFor(), { redirect_uri: 'http://localhost:1' }), { error_codes: [50011] })
      const challenged = { code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' }
      t.match(await redeem(await codeFor(challenged), { code_verifier: 'wrong' }), { error_codes: [501481] })
      t.match(await redeem(await codeFor(challenged)), { error_codes: [501481] })
      t.match(await redeem(await codeFor(), { code_verifier: 'unasked' }), { error_codes: [501481] })
      const late = await codeFor()
      clock.ms += 10 * 60_000
      t.match(await redeem(late), { error_codes: [70008] })
    },
  )

  await t.test(
    'refresh tokens: of one client, for ninety days, with the first scopes unless others are asked',
    async t => {
      const { refresh_token } = await redeem(await codeFor())
      const refresh = {
        grant_type: 'refresh_token',
        client_id: publicClient.clientId,
        refresh_token: refresh_token!,
      }
      t.match(await token(refresh), { scope: dataRead, refresh_token: String })
      const other = { client_id: daemon.clientId, client_secret: daemon.clientSecret! }
      t.match(await token({ ...refresh, ...other }), { error: 'invalid_grant', error_codes: [9002313] })
      t.match(await token({ ...refresh, refresh_token: 'x' }), {
        error: 'invalid_grant',
        error_codes: [9002313],
      })
      const { ms } = clock
      clock.ms += 91 * 86_400_000
      t.match(await token(refresh), { error_codes: [700082] })
      clock.ms = ms
      t.throws(() => tenant.revokeSessions('eve'), RangeError)
      t.notOk('refresh_token' in (await redeem(await codeFor({ scope: dataRead }))))
      const bare = await redeem(await codeFor({ scope: 'openid profile' }))
      t.equal(bare.scope, 'https://graph.microsoft.com/User.Read openid profile')
    },
  )

  await t.test('sign-out: back to loopback only', async t => {
    const out = (target: string) =>
      wire.fetch(`${endpoint('logout', pages)}?${new URLSearchParams({ post_logout_redirect_uri: target })}`)
    t.equal((await out('http://localhost:3000/')).headers.get('location'), 'http://localhost:3000/')
    t.equal((await out('https://evil.example/')).status, 200)
    t.equal((await wire.fetch(endpoint('logout', pages))).status, 200)
  })
})

t.test('device code', async t => {
  const start = async () =>
    json(await wire.post(endpoint('devicecode'), { client_id: publicClient.clientId, scope: openScopes }))
  const poll = (device_code: string, more: Record<string, string> = {}) =>
    token({
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      client_id: publicClient.clientId,
      device_code,
      ...more,
    })
  const page = (form: Record<string, string>) => wire.post(`${pages}/devicelogin`, form)

  await t.test('msal-node, approved on the page: tokens', async t => {
    const result = await publicApp().acquireTokenByDeviceCode({
      scopes: [dataRead],
      deviceCodeCallback: ({ userCode, verificationUri, message }) => {
        t.match(message, userCode)
        t.equal(verificationUri, `${pages}/devicelogin`)
        page({ user_code: userCode, person: 'ada' })
      },
    })
    t.match(decodeJwt(result!.accessToken), { scp: 'Data.Read' })
  })

  await t.test('on the page: a code in any case, then a person, then done', async t => {
    const { user_code, device_code, expires_in, interval } = await start()
    t.match({ expires_in, interval }, { expires_in: 900, interval: 1 })
    t.match(await poll(device_code!), { error: 'authorization_pending', error_codes: [70016] })
    t.match(await (await wire.fetch(`${pages}/devicelogin?user_code=ABC`)).text(), 'value="ABC"')
    const people = await (await page({ user_code: ` ${user_code!.toLowerCase()} ` })).text()
    t.match(people, publicClient.name)
    t.match(readPage(people).fields, { user_code })
    t.match(await (await page({ user_code: user_code!, person: 'bob' })).text(), 'Bob Noether')
    t.match(decodeJwt((await poll(device_code!)).access_token!), { name: 'Bob Noether' })
    t.match(await poll(device_code!), { error: 'bad_verification_code', error_codes: [70018] })
    const wrong = await page({ user_code: user_code! })
    t.equal(wrong.status, 400)
    t.match(await wrong.text(), 'not known')
    t.equal((await page({})).status, 400)
  })

  await t.test('declined, or too late: the device is told', async t => {
    const declined = await start()
    await page({ user_code: declined.user_code!, cancel: '1' })
    t.match(await poll(declined.device_code!), { error: 'authorization_declined', error_codes: [65004] })
    const late = await start()
    clock.ms += 15 * 60_000
    t.match(await poll(late.device_code!), { error: 'expired_token', error_codes: [70019] })
    t.equal((await page({ user_code: late.user_code!, person: 'ada' })).status, 400)
    t.match(await json(await wire.post(endpoint('devicecode'), {})), { error_codes: [700016] })
    const elsewhere = await wire.post(endpoint('devicecode', authority, randomUUID()), {})
    t.match(await json(elsewhere), { error_codes: [90002] })
  })
})

t.test('on behalf of, and Graph', async t => {
  const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
  const scope = 'https://graph.microsoft.com/User.Read'
  const exchange = (assertion: string, more: Record<string, string> = {}) =>
    token({
      grant_type: grantType,
      requested_token_use: 'on_behalf_of',
      client_id: api.clientId,
      client_secret: api.clientSecret!,
      scope,
      assertion,
      ...more,
    })
  const me = async (accessToken?: string) => {
    const authorization = accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }
    const response = await wire.fetch(`${profile.graph}/me`, { headers: authorization })
    const body = await json<{ error: { code: string; message: string }; [name: string]: unknown }>(response)
    return { status: response.status, challenge: response.headers.get('www-authenticate'), body }
  }
  const graphToken = async (person: string) =>
    (await exchange(tenant.issue({ person, claims: { acrs: ['c7'] } }))).access_token!

  await t.test(
    'an API that was called by a person: a token for Graph, in the name of the API, that Graph takes',
    async t => {
      for (const version of [1, 2] as const) {
        const answer = await exchange(tenant.issue({ version, claims: { acrs: ['c7'] } }))
        t.match(answer, { token_type: 'Bearer', scope })
        t.match(decodeJwt(answer.access_token!), {
          aud: '00000003-0000-0000-c000-000000000000',
          ver: '1.0',
          appid: api.clientId,
          appidacr: '1',
          scp: 'User.Read',
          name: 'Ada Lovelace',
          acrs: ['c7'],
        })
        t.match(await me(answer.access_token), {
          status: 200,
          body: {
            displayName: 'Ada Lovelace',
            givenName: 'Ada',
            surname: 'Lovelace',
            userPrincipalName: 'ada@local.localhost',
          },
        })
      }
      t.match(await me(await graphToken('gus')), {
        body: {
          userPrincipalName: 'gus_partner.localhost#EXT#@local.localhost',
          mail: 'gus@partner.localhost',
        },
      })
      t.match(tenant.calls.at(-2), { method: 'POST', url: `/${tenantId}/oauth2/v2.0/token`, grantType })
      t.match(tenant.calls.at(-1), { method: 'GET', url: '/v1.0/me' })
    },
  )

  await t.test('what may not be exchanged: Entra’s number for each', async t => {
    const good = tenant.issue()
    const cases: [string, Promise<Answer>, number, object?][] = [
      ['another signature', exchange(await tenant.mint('foreign-key')), 50013],
      ['another tenant', exchange(await tenant.mint('wrong-tenant')), 50013],
      ['no token', exchange('nonsense'), 50013],
      ['expired', exchange(await tenant.mint('expired')), 500133],
      ['for another API', exchange(await tenant.mint('wrong-audience')), 500131],
      ['for Graph', exchange(await graphToken('ada')), 50013],
      ['of an application', exchange(tenant.issue({ app: 'daemon' })), 7000114],
      ['of nobody here', exchange(tenant.issue({ claims: { oid: randomUUID() } })), 50034],
      [
        'by another API',
        exchange(good, { client_id: daemon.clientId, client_secret: daemon.clientSecret! }),
        500131,
      ],
      ['by a wrong secret', exchange(good, { client_secret: 'x' }), 7000215],
      [
        'by a public client',
        token({ grant_type: grantType, client_id: publicClient.clientId, assertion: good, scope }),
        7000218,
      ],
      ['for another use', exchange(good, { requested_token_use: 'x' }), 9002313],
      ['without a scope', exchange(good, { scope: '' }), 90014],
      [
        'for what nobody agreed to',
        exchange(good, { scope: 'https://graph.microsoft.com/Mail.Read' }),
        65001,
      ],
    ]
    for (const [name, answer, number, more = {}] of cases) {
      t.match(await answer, { error: String, error_codes: [number], ...more }, name)
    }
  })

  await t.test('without consent, and under a policy: what the API has to be told', async t => {
    tenant.graphConsent(false)
    t.match(await exchange(tenant.issue()), {
      error: 'invalid_grant',
      suberror: 'consent_required',
      error_codes: [65001],
    })
    tenant.graphConsent(true)

    tenant.graphContext('c1')
    const refused = await exchange(tenant.issue())
    t.match(refused, { error: 'interaction_required', error_codes: [50076], suberror: 'basic_action' })
    t.strictSame(JSON.parse(refused.claims!), { access_token: { acrs: { essential: true, value: 'c1' } } })
    const strong = tenant.issue({ claims: { acrs: ['c1'] } })
    t.match(await me((await exchange(strong)).access_token), { status: 200 })
    tenant.graphContext(undefined)
  })

  await t.test('Graph and tokens that are not good for it: Graph’s own errors', async t => {
    const code = (status: number, name: string) => ({
      status,
      body: { error: { code: name, message: String } },
    })
    const invalid = code(401, 'InvalidAuthenticationToken')
    t.match(await me(), { ...invalid, challenge: /^Bearer realm="", authorization_uri="[^"]+"$/ })
    t.match(await me('nonsense'), invalid)
    t.match((await me(tenant.issue())).body.error.message, /validation failure\.$/)
    const [header, payload] = (await graphToken('ada')).split('.')
    t.match(await me(`${header}.${payload}.AAAA`), invalid)
    const audience = { aud: api.clientId }
    t.match((await me(await tenant.mint('graph', { claims: audience }))).body.error.message, /audience/)
    const old = await tenant.mint('graph', { claims: { exp: 1 } })
    t.match((await me(old)).body.error.message, /expired/)
    const denied = code(403, 'Authorization_RequestDenied')
    t.match(await me(await tenant.mint('graph', { claims: { scp: 'Mail.Read' } })), denied)
    t.match(await me(await tenant.mint('graph', { claims: { oid: randomUUID() } })), denied)
  })

  await t.test(
    'sessions that were revoked: Graph asks for a new sign-in, and the exchange refuses',
    async t => {
      const assertion = tenant.issue({ person: 'gus' })
      const { access_token } = await exchange(assertion)
      tenant.revokeSessions('gus')
      const refused = await me(access_token)
      t.match(refused, { status: 401, challenge: /error="insufficient_claims", claims="[^"]+"$/ })
      const claims = Buffer.from(/claims="([^"]+)"/.exec(refused.challenge!)![1]!, 'base64').toString()
      const seconds = String(Math.floor(clock.ms / 1000))
      t.strictSame(JSON.parse(claims), { access_token: { nbf: { essential: true, value: seconds } } })
      t.match(await exchange(assertion), { error_codes: [50173], suberror: 'bad_token' })
      clock.ms += 1000
      t.match(await me((await exchange(tenant.issue({ person: 'gus' }))).access_token), { status: 200 })
    },
  )

  await t.test('Graph and the token endpoint, told to misbehave: each in its way', async t => {
    const good = await graphToken('ada')
    const headers = { authorization: `Bearer ${good}` }
    const call = () => wire.fetch(`${profile.graph}/me`, { headers })
    const expected = {
      throttled: [429, '7'],
      unavailable: [503, '7'],
      html: [200, '7'],
      huge: [200, '7'],
      redirect: [302, '7'],
    } as const
    for (const [mode, [status, retryAfter]] of Object.entries(expected)) {
      tenant.service('graph', mode as 'html', 7)
      const response = await call()
      t.strictSame([response.status, response.headers.get('retry-after')], [status, retryAfter], mode)
      await response.text()
    }
    tenant.service('tokens', 'throttled')
    const throttled = await wire.post(endpoint('token'), {})
    t.strictSame([throttled.status, throttled.headers.get('retry-after')], [429, null])
    tenant.service('graph', 'hang')
    await t.rejects(wire.fetch(`${profile.graph}/me`, { headers, signal: AbortSignal.timeout(50) }))
    tenant.service('graph', 'ok')
    tenant.service('tokens', 'ok')
    t.equal((await call()).status, 200)
  })

  await t.test('an API with a certificate, or a federated credential: as good as its secret', async t => {
    const { certificate, privateKey } = tenant.daemonCertificate
    const key = await importPKCS8(privateKey, 'RS256')
    const x5c = [certificate.replace(/-----[^-]+-----|\s/g, '')]
    const assert = (issuer: string, subject: string, audience: string, header: object = {}) =>
      new SignJWT({ iss: issuer, sub: subject, aud: audience })
        .setProtectedHeader({ alg: 'RS256', ...header })
        .setIssuedAt(clock.ms / 1000)
        .setExpirationTime(clock.ms / 1000 + 300)
        .sign(key)
    const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
    const prove = (assertion: string) =>
      token({
        grant_type: grantType,
        requested_token_use: 'on_behalf_of',
        client_id: api.clientId,
        client_assertion_type: type,
        client_assertion: assertion,
        scope,
        assertion: tenant.issue(),
      })

    const own = await assert(api.clientId, api.clientId, endpoint('token'), { x5c })
    t.match(await prove(own), { error_codes: [700027] }, 'not registered yet')
    tenant.addCredential('api', { certificate })
    t.match(decodeJwt((await prove(own)).access_token!), { appidacr: '2' })

    const [issuer, subject, audience] = ['https://cluster.example', 'system:sa', 'api://AzureADTokenExchange']
    const outside = await assert(issuer, subject, audience)
    t.match(await prove(outside), { error_codes: [700213] }, 'not federated yet')
    const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString()
    tenant.addCredential('api', { issuer, subject, publicKey })
    t.match(decodeJwt((await prove(outside)).access_token!), { appidacr: '2' })
    t.match(await prove(await assert(issuer, 'system:other', audience)), { error_codes: [700213] })
    t.match(await prove(await assert(issuer, subject, 'api://another')), { error_codes: [700027] })
  })
})

t.test('the page port', async t => {
  const docs = 'http://127.0.0.1:3999'
  const challenge = createHash('sha256').update('v'.repeat(43)).digest('base64url')
  const challenged = {
    code_challenge: challenge,
    code_challenge_method: 'S256',
    redirect_uri: `${docs}/docs/oauth2-redirect.html`,
  }
  const exchange = {
    grant_type: 'authorization_code',
    client_id: publicClient.clientId,
    redirect_uri: challenged.redirect_uri,
    code_verifier: 'v'.repeat(43),
  }
  const pageToken = endpoint('token', pages)
  t.before(() => tenant.setDocsOrigins([docs]))

  await t.test('a docs page of a known origin: redeems its code from the browser', async t => {
    const preflight = await wire.fetch(pageToken, {
      method: 'OPTIONS',
      headers: { origin: docs, 'access-control-request-headers': 'x-requested-with' },
    })
    t.equal(preflight.status, 204)
    t.equal(preflight.headers.get('access-control-allow-headers'), 'x-requested-with')
    const response = await wire.post(
      pageToken,
      { ...exchange, code: await codeFor(challenged) },
      { origin: docs },
    )
    t.equal(response.headers.get('access-control-allow-origin'), docs)
    t.ok((await json(response)).access_token)
    t.equal((await wire.fetch(pageToken, { method: 'OPTIONS' })).status, 204)
  })

  await t.test('another origin, another grant, a secret, no PKCE, another tenant: refused', async t => {
    const code = await codeFor(challenged)
    const stranger = { origin: 'http://127.0.0.1:4000' }
    t.equal((await wire.fetch(pageToken, { method: 'OPTIONS', headers: stranger })).status, 403)
    const foreign = await wire.post(pageToken, { ...exchange, code }, stranger)
    t.equal(foreign.headers.get('access-control-allow-origin'), null)
    t.match(await json(foreign), { error_codes: [9002326] })
    const credentials = { client_id: daemon.clientId, client_secret: daemon.clientSecret! }
    t.match(await json(await wire.post(pageToken, { ...exchange, ...credentials, code })), {
      error_codes: [9002326],
    })
    t.match(
      await json(
        await wire.post(pageToken, { ...credentials, grant_type: 'client_credentials', scope: apiDefault }),
      ),
      { error_codes: [70003] },
    )
    const plain = { ...exchange, code: await codeFor(), redirect_uri: redirectUri }
    t.match(await json(await wire.post(pageToken, plain)), { error_codes: [9002325] })
    t.match(await json(await wire.post(endpoint('token', pages, randomUUID()), exchange)), {
      error_codes: [90002],
    })
  })

  await t.test('what belongs to the TLS port, and the other way round: 404', async t => {
    for (const path of [
      `/${tenantId}/v2.0/.well-known/openid-configuration`,
      `/${tenantId}/discovery/v2.0/keys`,
      '/',
    ]) {
      t.equal((await wire.fetch(pages + path)).status, 404)
    }
    t.equal((await wire.fetch(endpoint('authorize'))).status, 404)
  })

  await t.test('a form that another site sends: 403', async t => {
    for (const origin of ['https://evil.example', 'null']) {
      t.equal(
        (await wire.post(endpoint('authorize', pages), signInQuery({ person: 'ada' }), { origin })).status,
        403,
      )
      t.equal((await wire.post(`${pages}/devicelogin`, { user_code: 'X' }, { origin })).status, 403)
    }
    t.equal((await wire.post(`${pages}/devicelogin`, { user_code: 'X' }, { origin: pages })).status, 400)
  })

  await t.test('a Host that only resolves to loopback: 421', async t => {
    const { port } = new URL(pages)
    for (const [host, status] of [
      [`evil.example:${port}`, 421],
      ['localhost:1', 421],
      [`[::1]:${port}`, 200],
      [`127.0.0.1:${port}`, 200],
    ] as const) {
      const request = httpRequest({ port, host: '127.0.0.1', path: '/devicelogin', headers: { host } }).end()
      const [response] = await once(request, 'response')
      response.resume()
      t.equal(response.statusCode, status)
      t.equal(response.headers['x-ms-ests-server'], 'local')
    }
    const socket = connect(Number(port), '127.0.0.1').end('GET /devicelogin HTTP/1.0\r\n\r\n')
    t.match(await text(socket), /^HTTP\/1\.1 421 /, 'no Host at all')
  })

  await t.test('a failure of our own: 500 on either port, and one line of log', async t => {
    const logged: [object, string][] = []
    const clock = { broken: false }
    const other = await startLocalTenant({
      port: 0,
      now: () => {
        if (!clock.broken) return Date.now()
        clock.broken = false
        throw new Error('the clock stands still')
      },
      log: { info: () => {}, error: (...line) => logged.push(line) },
    })
    const wire = wireTo(other.profile)
    t.teardown(async () => {
      await wire.close()
      await other.close()
    })
    const { authority, pages, tenantId, adminKey } = other.profile
    const form = signInQuery({
      client_id: other.profile.publicClient.clientId,
      scope: 'openid',
      person: 'ada',
      state: 'secret',
    })
    clock.broken = true
    const answer = await wire.post(endpoint('authorize', pages, tenantId), form)
    t.equal(answer.status, 500)
    t.notMatch(await answer.text(), 'stands still')
    clock.broken = true
    const init = { method: 'POST', headers: { 'x-local-tenant-key': adminKey } }
    t.equal((await wire.fetch(`${authority}/_local/issue`, init)).status, 500)
    const err = { message: 'the clock stands still' }
    t.match(logged, [
      [{ method: 'POST', route: '/:tenant/oauth2/v2.0/authorize', err }, 'local tenant failed'],
      [{ method: 'POST', route: '/_local/:name', err }, 'local tenant failed'],
    ])
    t.notMatch(JSON.stringify(logged), 'secret')
    t.equal((await wire.fetch(`${authority}/_local/issue`, init)).status, 200, 'and it recovers')
    t.equal((await wire.fetch(`${authority}/_local/slow`, init)).status, 400)
    t.equal(logged.length, 2, 'what a client does wrong is not logged')
  })
})

t.test('tokens without a request', async t => {
  const published = async () => createLocalJWKSet(await keySet())
  const check = async (jwt: string) => jwtVerify(jwt, await published(), { currentDate: new Date(clock.ms) })

  await t.test('issue: good, for anybody, in both versions, with any part overridden', async t => {
    t.match((await verify(tenant.issue(), api.clientId)).payload, { name: 'Ada Lovelace', scp: 'Data.Read' })
    t.match((await verify(tenant.issue({ version: 1, app: 'daemon' }), `api://${api.clientId}`, 1)).payload, {
      appidacr: '1',
      idtyp: 'app',
      app_displayname: daemon.name,
    })
    const both = decodeJwt(tenant.issue({ person: 'bob', app: 'api', roles: ['r'], scopes: ['a', 'b'] }))
    t.match(both, { azp: api.clientId, azpacr: '1', scp: 'a b', roles: ['r'] })
    const laid = tenant.issue({
      claims: { scp: undefined, groups: ['g'] },
      header: { alg: 'PS256', typ: undefined },
    })
    t.match((await check(laid)).payload, { groups: ['g'] })
    t.notOk('scp' in decodeJwt(laid) || 'typ' in decodeProtectedHeader(laid))
    const [, second] = tenant.keys()
    t.equal(decodeProtectedHeader(tenant.issue({ key: second!.kid })).kid, second!.kid)
    t.throws(() => tenant.issue({ person: 'eve' }), RangeError)
    t.throws(() => tenant.issue({ key: 'nope' }), RangeError)
  })

  const good = decodeJwt(tenant.issue())
  const bad = {
    signature: { code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' },
    key: { code: 'ERR_JWKS_NO_MATCHING_KEY' },
  }
  const seconds = () => Math.floor(clock.ms / 1000)
  const expectations: Record<MintKind, (jwt: string, claims: JWTPayload) => unknown> = {
    'alg-none': jwt => t.match([decodeProtectedHeader(jwt).alg, jwt.split('.')[2]], ['none', '']),
    bound: async (jwt, claims) => t.match([claims, await check(jwt)], [{ cnf: { jkt: String } }]),
    'consumer-key': async jwt =>
      t.match(
        (await check(jwt)).protectedHeader.kid,
        tenant.keys().find(key => key.boundTo === CONSUMER_TENANT)!.kid,
      ),
    'embedded-key': async jwt => {
      const { jwk } = decodeProtectedHeader(jwt)
      await jwtVerify(jwt, createPublicKey({ key: jwk as never, format: 'jwk' }), {
        currentDate: new Date(clock.ms),
      })
      await t.rejects(check(jwt), bad.signature)
    },
    expired: async jwt => t.rejects(check(jwt), { code: 'ERR_JWT_EXPIRED' }),
    'foreign-key': async jwt => t.rejects(check(jwt), bad.signature),
    graph: async jwt => {
      await t.rejects(check(jwt), bad.signature)
      const header = decodeProtectedHeader(jwt) as { nonce: string }
      const nonce = createHash('sha256').update(header.nonce).digest('base64url')
      const hashed = Buffer.from(JSON.stringify({ ...header, nonce })).toString('base64url')
      t.match((await check(hashed + jwt.slice(jwt.indexOf('.')))).payload, { ver: '1.0' })
    },
    'graph-plain': async jwt =>
      t.match((await check(jwt)).payload, { aud: '00000003-0000-0000-c000-000000000000' }),
    hs256: async jwt => {
      const { kid } = decodeProtectedHeader(jwt)
      const key = (await keySet()).keys.find(one => one.kid === kid)!
      const secret = createPublicKey({ key: key as never, format: 'jwk' }).export({
        type: 'spki',
        format: 'pem',
      })
      const [header, claims, mac] = jwt.split('.')
      t.equal(createHmac('sha256', secret).update(`${header}.${claims}`).digest('base64url'), mac)
    },
    'id-token': async (jwt, claims) => {
      t.match((await verify(jwt, api.clientId)).payload, { nonce: String, name: 'Ada Lovelace' })
      t.notOk('scp' in claims || 'azp' in claims)
    },
    'no-exp': async (jwt, claims) => t.notOk('exp' in claims || !(await check(jwt))),
    'no-kid': jwt => t.notOk('kid' in decodeProtectedHeader(jwt)),
    'no-scope-no-roles': async (jwt, claims) =>
      t.notOk('scp' in claims || 'roles' in claims || !(await check(jwt))),
    'not-yet-valid': async (jwt, claims) => {
      await t.rejects(check(jwt), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' })
      t.ok(claims.nbf! >= seconds() + 3600)
    },
    overage: async (jwt, claims) =>
      t.match(
        [claims, await check(jwt)],
        [{ _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: String } } }],
      ),
    tampered: async (jwt, claims) => {
      t.match(claims, { scp: 'Data.Read Data.Write' })
      await t.rejects(check(jwt), bad.signature)
    },
    'unknown-kid': async jwt => t.rejects(check(jwt), bad.key),
    'wrong-audience': async (jwt, claims) => t.not(claims.aud, good.aud, String(await check(jwt))),
    'wrong-tenant': async jwt => {
      t.match((await check(jwt)).payload, {
        tid: tenant.partnerTenantId,
        iss: `${authority}/${tenant.partnerTenantId}/v2.0`,
      })
      t.match(decodeJwt(await tenant.mint('wrong-tenant', { version: 1 })), {
        iss: /^https:\/\/127\.0\.0\.1:/,
      })
    },
    'wrong-version': async jwt => t.match((await check(jwt)).payload, { ver: '3.0' }),
  }

  await t.test('mint: every kind is wrong in what it says, and takes overrides', async t => {
    for (const kind of MINT_KINDS) {
      const jwt = await tenant.mint(kind)
      t.equal(jwt.split('.').length, 3, kind)
      await expectations[kind](jwt, decodeJwt(jwt))
      t.match(decodeJwt(await tenant.mint(kind, { claims: { extra: kind } })), { extra: kind })
    }
    await t.rejects(tenant.mint('constructor' as MintKind), RangeError)
  })
})

t.test('keys and outages', async t => {
  const reach = (path = `/${tenantId}/discovery/v2.0/keys`) => wire.fetch(authority + path)
  const kids = async () => (await keySet()).keys.map(key => key.kid)
  const signing = () => decodeProtectedHeader(tenant.issue()).kid

  await t.test('rotation: a new key signs, the old ones stay published', async t => {
    const before = await kids()
    const kid = await tenant.rotate()
    t.equal(signing(), kid)
    t.strictSame(await kids(), [...before, kid])
  })

  await t.test(
    'a key that is published before it signs, and one that signs before it is published: both possible',
    async t => {
      const early = await tenant.rotate({ use: false })
      t.ok((await kids()).includes(early))
      t.not(signing(), early)
      await tenant.use(early)
      t.equal(signing(), early)
      const late = await tenant.rotate({ publish: false })
      t.equal(signing(), late)
      t.notOk((await kids()).includes(late))
      await tenant.publish(late)
      t.ok((await kids()).includes(late))
      await t.rejects(tenant.publish('nope'), RangeError)
    },
  )

  await t.test('withdrawal: the key is gone, another signs, and two stay published', async t => {
    const oldest = (await kids())[0]!
    t.equal(await tenant.retire(), oldest)
    for (let round = 0; round < 4; round += 1) {
      const gone = signing()!
      t.equal(await tenant.retire(gone), gone)
      t.notOk((await kids()).includes(gone))
      t.ok((await kids()).length >= 3)
      await verify(tenant.issue(), api.clientId)
    }
  })

  await t.test(
    'an outage: connections are reset, open ones too, and the port comes back as the same',
    async t => {
      await reach()
      tenant.goDown()
      await t.rejects(reach(), { message: 'fetch failed' })
      t.equal((await wire.fetch(`${pages}/devicelogin`)).status, 200)
      tenant.comeUp()
      t.equal((await reach()).status, 200)
    },
  )

  await t.test('slowness: the document waits, other requests do not', async t => {
    tenant.slow(30)
    const from = performance.now()
    await reach()
    t.ok(performance.now() - from >= 29)
    tenant.slow(0)
  })

  await t.test('documents that misbehave: each in its way', async t => {
    const discovery = `/${tenantId}/v2.0/.well-known/openid-configuration`
    t.teardown(() => tenant.answer('all', 'ok'))
    tenant.answer('keys', 'http500')
    t.equal((await reach()).status, 500)
    t.equal((await reach(discovery)).status, 200)
    tenant.answer('all', 'html')
    t.match((await reach(discovery)).headers.get('content-type'), 'text/html')
    tenant.answer('all', 'redirect')
    const moved = await reach()
    t.equal(moved.status, 302)
    t.equal((await reach(moved.headers.get('location')!)).status, 200)
    tenant.answer('all', 'huge')
    t.ok((await (await reach()).text()).length > 2 * 1024 * 1024)
    tenant.answer('all', 'empty-set')
    t.strictSame([await (await reach()).json(), await (await reach(discovery)).json()], [{ keys: [] }, {}])
    tenant.answer('all', 'lying-issuer')
    t.match(await (await reach(discovery)).json(), { issuer: /00000000-0000-4000-8000-000000000000/ })
    t.match(await (await reach()).json(), { keys: [{ issuer: /00000000-0000-4000-8000-000000000000/ }] })
    tenant.answer('discovery', 'not-json')
    await t.rejects((await reach(discovery)).json(), SyntaxError)
    tenant.answer('keys', 'slow-drip')
    const stop = new AbortController()
    const drip = await wire.fetch(`${authority}/${tenantId}/discovery/v2.0/keys`, { signal: stop.signal })
    const reader = drip.body!.getReader()
    t.equal((await reader.read()).value?.length, 1)
    stop.abort()
  })

  await t.test('a document that drips: its own bytes, then spaces, until it is stopped', async t => {
    const stop = new AbortController()
    const app = Fastify()
    t.teardown(() => app.close())
    app.get('/', (request, reply) =>
      sendDocument(
        reply,
        'keys',
        {},
        {
          mode: 'slow-drip',
          url: request.url,
          otherIssuer: '',
          stop: stop.signal,
        },
      ),
    )
    const { stream } = await (() => app.inject({ url: '/', payloadAsStream: true }))()
    let seen = ''
    stream()
      .setEncoding('utf8')
      .on('data', (chunk: string) => {
        seen += chunk
        if (seen.length === 3) stop.abort()
      })
    await once(stream(), 'end')
    t.equal(seen, '{} ')
  })

  await t.test('a closing tenant: whoever waits for a document is let go', async t => {
    const other = await startLocalTenant({ port: 0 })
    const wire = wireTo(other.profile)
    const keys = `${other.profile.authority}/common/discovery/keys`
    other.answer('keys', 'slow-drip')
    const drip = await wire.fetch(keys)
    const reader = drip.body!.getReader()
    await reader.read()
    other.slow(60_000)
    const waiting = wire.fetch(keys)
    waiting.catch(() => {})
    while (other.requests.length < 2) await new Promise(setImmediate)
    await other.close()
    await t.rejects(waiting)
    await wire.close()
  })
})

t.test('switches over HTTP', async t => {
  const turn = async (name: string, body?: object, key = profile.adminKey) => {
    const response = await wire.fetch(`${authority}/_local/${name}`, {
      method: 'POST',
      headers: { 'x-local-tenant-key': key, 'content-type': 'application/json' },
      body: JSON.stringify(body ?? {}),
    })
    return { status: response.status, body: (await response.json()) as { result: unknown } }
  }

  await t.test('without the key, or with another: 401', async t => {
    t.equal((await turn('rotate', {}, 'wrong')).status, 401)
    t.equal((await wire.fetch(`${authority}/_local/rotate`, { method: 'POST' })).status, 401)
  })

  await t.test('with the key: every switch', async t => {
    const { result: kid } = (await turn('rotate', { use: false, publish: false })).body
    await turn('publish', { kid })
    await turn('use', { kid })
    t.match((await turn('keys')).body.result, [{ kid: String, published: Boolean, signing: Boolean }])
    t.equal(decodeProtectedHeader(tenant.issue()).kid, kid)
    t.equal((await turn('retire', { kid })).body.result, kid)
    t.type((await turn('retire')).body.result, 'string')
    t.strictSame((await turn('slow', { ms: 0 })).body, { result: null })
    await turn('answer', { mode: 'http500' })
    t.equal((await wire.fetch(`${authority}/common/discovery/keys`)).status, 500)
    await turn('answer', { document: 'keys', mode: 'ok' })
    await turn('answer', { document: 'discovery', mode: 'ok' })
    await turn('access-token-version', { version: 1 })
    t.match(decodeJwt(String((await turn('issue')).body.result)), { ver: '1.0' })
    await turn('access-token-version', { version: 2 })
    await turn('revoke-sessions', { person: 'bob' })
    await turn('graph-consent', { given: true })
    await turn('graph-context', { context: 'c1' })
    await turn('graph-context', { context: null })
    await turn('service', { service: 'graph', mode: 'throttled', retryAfterSeconds: 7 })
    t.equal((await wire.fetch(`${profile.graph}/me`)).status, 429)
    await turn('service', { service: 'graph', mode: 'ok' })
    const { certificate } = tenant.daemonCertificate
    t.equal((await turn('add-credential', { app: 'daemonWithoutRole', certificate })).status, 200)
    const [first] = tenant.keys()
    const options = {
      person: 'bob',
      app: 'api',
      version: 1,
      scopes: ['s'],
      roles: ['r'],
      key: first!.kid,
      claims: { oid: null },
      header: { x: 1 },
    }
    const issued = String((await turn('issue', options)).body.result)
    t.match(
      [decodeJwt(issued), decodeProtectedHeader(issued)],
      [
        { scp: 's', roles: ['r'], appid: api.clientId },
        { x: 1, kid: first!.kid },
      ],
    )
    t.notOk('oid' in decodeJwt(issued))
    t.match(decodeJwt(String((await turn('mint', { kind: 'wrong-version' })).body.result)), { ver: '3.0' })
  })

  await t.test('a body that says nothing, or nonsense: 400; a switch that is not there: 404', async t => {
    const wrong: [string, object][] = [
      ['publish', {}],
      ['slow', { ms: -1 }],
      ['slow', { ms: 'x' }],
      ['answer', { mode: 'nope' }],
      ['mint', { kind: 'nope' }],
      ['issue', { person: 'eve' }],
      ['go-down', {}],
      ['graph-consent', {}],
      ['graph-context', { context: 1 }],
      ['service', { service: 'graph', mode: 'nope' }],
      ['service', { service: 'graph', mode: 'ok', retryAfterSeconds: -1 }],
      ['add-credential', { app: 'api', certificate: 'nonsense' }],
      ['add-credential', { app: 'api', issuer: 'i', subject: 's', publicKey: 'nonsense' }],
    ]
    for (const [name, body] of wrong) t.equal((await turn(name, body)).status, 400, name)
    t.equal((await turn('nope')).status, 404)
    const broken = await wire.fetch(`${authority}/_local/slow`, {
      method: 'POST',
      headers: { 'x-local-tenant-key': profile.adminKey, 'content-type': 'application/json' },
      body: '{',
    })
    t.equal(broken.status, 400)
  })

  await t.test('an outage over HTTP: answered first, and over by itself', async t => {
    t.equal((await turn('go-down', { forMs: 100 })).status, 200)
    const seen = new Set<string>()
    while (!seen.has('down up')) {
      const up = await wire.fetch(`${authority}/common/discovery/keys`).then(
        response => response.ok,
        () => false,
      )
      seen.add(up ? (seen.has('down') ? 'down up' : 'up') : 'down')
    }
    t.ok(seen.has('down'))
  })
})

t.test('state, profile and ports', async t => {
  const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)
  const bearings = ({ profile, keys }: LocalTenant) => ({
    ids: [
      profile.tenantId,
      profile.api,
      profile.publicClient,
      profile.daemon,
      profile.daemonWithoutRole,
      profile.ca,
    ],
    kids: keys().map(key => key.kid),
  })

  await t.test(
    'a restart: the same tenant, keys and authority; files that only their owner reads',
    async t => {
      const folder = join(t.testdir(), 'state')
      const logged: object[] = []
      const first = await startLocalTenant({
        stateFolder: folder,
        port: 0,
        apiUrl: 'http://127.0.0.1:3000',
        log: { info: fields => logged.push(fields), error: fields => t.fail(JSON.stringify(fields)) },
      })
      await first.rotate()
      const before = bearings(first)
      t.strictSame(logged, [{ authority: first.profile.authority, pages: first.profile.pages }])
      t.match(await readProfile(folder), {
        apiUrl: 'http://127.0.0.1:3000',
        adminKey: first.profile.adminKey,
      })
      await first.setApiUrl('http://127.0.0.1:3001')
      t.match(await readProfile(folder), { apiUrl: 'http://127.0.0.1:3001' })
      t.equal(first.profile.apiUrl, 'http://127.0.0.1:3001')
      for (const file of ['state.json', 'profile.json', 'ca.pem', 'daemon-cert.pem'])
        t.equal(await mode(join(folder, file)), '600', file)
      t.equal(await mode(folder), '700')
      t.match(await readFile(join(folder, 'ca.pem'), 'utf8'), first.profile.ca)
      t.match(await readFile(join(folder, 'daemon-cert.pem'), 'utf8'), /PRIVATE KEY.*CERTIFICATE/s)
      await first.close()
      t.equal(await readProfile(folder), undefined)

      const second = await startLocalTenant({ stateFolder: folder, port: 0 })
      t.strictSame(bearings(second), before)
      t.not(second.profile.adminKey, first.profile.adminKey)
      const taken = { ...second.profile, adminKey: 'of another process' }
      await writeProfile(folder, taken)
      await second.close()
      t.match(await readProfile(folder), taken)
    },
  )

  await t.test('two that start at once with one folder: one state', async t => {
    const folder = t.testdir()
    const both = await Promise.all([0, 0].map(port => startLocalTenant({ stateFolder: folder, port })))
    t.strictSame(bearings(both[0]!), bearings(both[1]!))
    await Promise.all(both.map(one => one.close()))
  })

  await t.test('a state that cannot be read: said, not replaced', async t => {
    const folder = t.testdir({ 'state.json': '{' })
    await t.rejects(startLocalTenant({ stateFolder: folder, port: 0 }), SyntaxError)
    t.equal(await readFile(join(folder, 'state.json'), 'utf8'), '{')
    await t.rejects(createPrivateFile(folder, 'missing/name', 'x'), { code: 'ENOENT' })
    t.equal(await createPrivateFile(folder, 'state.json', 'x'), false)
    t.strictSame(await readdir(folder), ['state.json'], 'nothing else is left')
    await writeFile(join(folder, 'profile.json'), '{')
    t.equal(await readProfile(folder), undefined)
  })

  await t.test('a busy port: the next free one; the page port is the one after it', async t => {
    const port = Number(new URL(authority).port)
    const other = await startLocalTenant({ port, docsOrigins: [] })
    t.teardown(() => other.close())
    const tls = Number(new URL(other.profile.authority).port)
    t.ok(tls > port)
    t.ok(Number(new URL(other.profile.pages).port) > tls)
    t.equal(new URL(other.profile.pages).hostname, 'localhost')
  })

  await t.test('no port to be had: said', async t => {
    const busy = createServer().listen(0, '127.0.0.1')
    await once(busy, 'listening')
    t.teardown(() => busy.close())
    const { port } = busy.address() as AddressInfo
    await t.rejects(openPort(createServer(), [port]), RangeError)
    await t.rejects(openPort(createServer(), [70_000]), { code: 'ERR_SOCKET_BAD_PORT' })
    t.strictSame(portsFrom(65_534), [65_534, 65_535])
  })

  await t.test('a request before the tenant is ready: waits', async t => {
    const server = createServer()
    const early = await openPort(server, [0])
    t.teardown(() => early.close())
    const arrived = once(server, 'request')
    const response = wire.fetch(`http://127.0.0.1:${early.port}/`)
    await arrived
    early.serve((_, response) => response.end('ready'))
    t.equal(await (await response).text(), 'ready')
  })

  await t.test('a refusal: knows its number and its cause', async t => {
    const cause = new Error('why')
    t.match(new Aadsts(7000215, 'More.', { cause }), {
      number: 7000215,
      status: 401,
      cause,
      message: /More\.$/,
    })
  })

  await t.test('the stand-in for reflect-metadata: finds what is defined, on its target only', async t => {
    const { defineMetadata, getMetadata } = Reflect as unknown as {
      defineMetadata(key: string, value: unknown, target: object): void
      getMetadata(key: string, target: object): unknown
    }
    const target = {}
    defineMetadata('key', 'value', target)
    t.strictSame(
      [getMetadata('key', target), getMetadata('other', target), getMetadata('key', {})],
      ['value', undefined, undefined],
    )
  })
})

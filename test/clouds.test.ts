/** Clouds and kinds of tenants: which issuers each authority has, where its documents are, and what its tokens look like, by the sources of docs/issuers.md. */
import { readFile } from 'node:fs/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { Code } from '../src/errors.ts'
import protectedResource, { Misconfigured, type ProtectedResourceOptions } from '../src/index.ts'
import { preferredAuthority, trustIssuers } from '../src/token/issuers.ts'
import { readTrust, type TrustSettings } from '../src/token/trust.ts'
import { type Cloud, startCloud } from './helpers/cloud.ts'
import { bare, compose, createKey, type Json, signerOf, type TestKey } from './helpers/issuer.ts'

const TID = '775527ff-9a37-4307-8b3d-cc311f58d925'
const OTHER = '0a1b2c3d-2222-4222-8333-0123456789ab'
const API_ID = '0a1b2c3d-9999-4222-8333-0123456789ab'
const key = createKey('RS256', 'key-1')
const second = createKey('RS256', 'key-2')

const SETTINGS: TrustSettings = {
  azureTenantId: TID,
  azureClientId: API_ID,
  publicUrl: 'https://api.example.com',
}

/** One form of docs/issuers.md, every address written out. */
interface Form {
  readonly title: string
  readonly settings: TrustSettings
  /** Where documents are asked for, the newer version first. */
  readonly metadata: readonly string[]
  /** `iss` that is trusted → the document that decides it. */
  readonly issuers: Readonly<Record<string, string>>
  /** `iss` that is not. */
  readonly refused: readonly string[]
  /** Unverified claims beside `iss`. */
  readonly claims?: Json
}

/** A cloud whose two versions are documented. */
function cloudForm(host: string, v1Host: string, asked = host): Form {
  const v2 = `https://${host}/${TID}/v2.0`
  const v1 = `https://${host}/${TID}`
  return {
    title: `${asked}: v2 on ${host}, v1 on ${v1Host}`,
    settings: { azureAuthorityHost: `https://${asked}` },
    metadata: [v2, v1],
    issuers: { [v2]: v2, [`https://${v1Host}/${TID}/`]: v1 },
    refused: [`https://${host}/${TID}/`, `https://${v1Host}/${TID}/v2.0`, `https://evil.example/${TID}/v2.0`],
  }
}

function sovereignForm(host: string): Form {
  const v2 = `https://${host}/${TID}/v2.0`
  return {
    title: `${host}: v2 only`,
    settings: { azureAuthorityHost: `https://${host}/` },
    metadata: [v2],
    issuers: { [v2]: v2 },
    refused: [`https://${host}/${TID}/`, `https://sts.windows.net/${TID}/`],
  }
}

const B2C_METADATA = `https://contoso.b2clogin.com/${TID}/B2C_1_signupsignin1/v2.0`
const B2C = { azureAuthorityHost: 'https://contoso.b2clogin.com', b2cPolicies: ['B2C_1_signupsignin1'] }

const FORMS: readonly Form[] = [
  cloudForm('login.microsoftonline.com', 'sts.windows.net'),
  cloudForm('login.microsoftonline.com', 'sts.windows.net', 'login.windows.net'),
  cloudForm('login.microsoftonline.com', 'sts.windows.net', 'login.microsoft.com'),
  cloudForm('login.microsoftonline.com', 'sts.windows.net', 'sts.windows.net'),
  cloudForm('login.microsoftonline.us', 'sts.windows.net'),
  cloudForm('login.microsoftonline.us', 'sts.windows.net', 'login.usgovcloudapi.net'),
  cloudForm('login.partner.microsoftonline.cn', 'sts.chinacloudapi.cn'),
  cloudForm('login.partner.microsoftonline.cn', 'sts.chinacloudapi.cn', 'login.chinacloudapi.cn'),
  sovereignForm('login.sovcloud-identity.fr'),
  sovereignForm('login.sovcloud-identity.de'),
  sovereignForm('login.sovcloud-identity.sg'),
  {
    title: 'External ID: the tenant’s GUID is the host of the issuer',
    settings: { azureAuthorityHost: 'https://contoso.ciamlogin.com' },
    metadata: [`https://contoso.ciamlogin.com/${TID}/v2.0`],
    issuers: { [`https://${TID}.ciamlogin.com/${TID}/v2.0`]: `https://contoso.ciamlogin.com/${TID}/v2.0` },
    refused: [
      `https://contoso.ciamlogin.com/${TID}/v2.0`,
      `https://login.microsoftonline.com/${TID}/v2.0`,
      `https://sts.windows.net/${TID}/`,
      `https://${OTHER}.ciamlogin.com/${OTHER}/v2.0`,
    ],
  },
  {
    title: 'B2C: a slash at the end, or the policy inside',
    settings: B2C,
    metadata: [B2C_METADATA],
    issuers: {
      [`https://contoso.b2clogin.com/${TID}/v2.0/`]: B2C_METADATA,
      [`https://contoso.b2clogin.com/tfp/${TID}/b2c_1_signupsignin1/v2.0/`]: B2C_METADATA,
    },
    claims: { tfp: 'B2C_1_signupsignin1' },
    refused: [
      `https://contoso.b2clogin.com/${TID}/v2.0`,
      `https://contoso.b2clogin.com/${TID}/v2.0//`,
      `https://contoso.b2clogin.com/${TID}/`,
      `https://contoso.b2clogin.com/tfp/${TID}/v2.0/`,
      `https://contoso.b2clogin.com/tfp/${TID}/b2c_1_signupsignin1/v2.0`,
      `https://contoso.b2clogin.com/tfp/${TID}/b2c_1_other/v2.0/`,
      `https://contoso.b2clogin.com/contoso.onmicrosoft.com/v2.0/`,
      `https://fabrikam.b2clogin.com/${TID}/v2.0/`,
      `https://contoso.b2clogin.com.evil.example/${TID}/v2.0/`,
      `https://login.microsoftonline.com/${TID}/v2.0/`,
    ],
  },
  {
    title: 'B2C under a host of its own',
    settings: { azureAuthorityHost: 'https://login.contoso.example', b2cPolicies: ['b2c_1a_susi'] },
    metadata: [`https://login.contoso.example/${TID}/b2c_1a_susi/v2.0`],
    issuers: {
      [`https://login.contoso.example/${TID}/v2.0/`]: `https://login.contoso.example/${TID}/b2c_1a_susi/v2.0`,
    },
    claims: { acr: 'B2C_1A_SUSI' },
    refused: [`https://contoso.b2clogin.com/${TID}/v2.0/`],
  },
]

for (const { title, settings, metadata, issuers, refused, claims } of FORMS) {
  t.test(`${title}: these documents, these issuers, no other (ENTRA-1, ENTRA-2)`, async t => {
    const trust = readTrust({ ...SETTINGS, ...settings }, setting => setting)
    if (!('others' in trust)) throw new Misconfigured(trust)
    const { issuers: trusted, find } = trustIssuers(trust.entra, [])
    t.strictSame(
      trusted.map(issuer => issuer.metadata),
      metadata,
    )
    for (const [iss, document] of Object.entries(issuers)) {
      t.match(find(iss, claims), { issuer: { metadata: document }, tenant: TID }, iss)
      // What a token may name, the document may state, and the other way round.
      const form = trusted.find(issuer => issuer.metadata === document)
      t.ok(form?.mayClaim(iss), `${document} may state ${iss}`)
      t.equal(form?.tenantOf(iss), TID)
      const other = iss.replaceAll(TID, OTHER)
      if (!new URL(iss).host.startsWith(TID)) {
        t.match(find(other, claims), { code: 'tenant_not_allowed' }, other)
      }
      t.notOk(form?.mayClaim(other), other)
    }
    for (const iss of refused) {
      t.match(find(iss, claims), { code: 'untrusted_issuer' }, iss)
      t.notOk(
        trusted.some(issuer => issuer.mayClaim(iss)),
        `no document may state ${iss}`,
      )
    }
    // What the authority issues can't be listed as another issuer beside it.
    for (const iss of Object.keys(issuers)) {
      const twice = readTrust({ ...SETTINGS, ...settings, issuers: [iss] }, setting => setting)
      t.match(twice, [{ name: 'issuers' }], `${iss} among the further issuers`)
    }
  })
}

t.test('other names of a cloud: its tokens name one, so that one is asked', async t => {
  const rows: readonly (readonly [string, string])[] = [
    ['https://login.windows.net', 'https://login.microsoftonline.com'],
    ['https://login.windows.net:8443', 'https://login.windows.net:8443'],
    ['https://login.windows.net.evil.example', 'https://login.windows.net.evil.example'],
    ['https://login.example', 'https://login.example'],
    ['https://constructor', 'https://constructor'],
    ['http://localhost:8443', 'http://localhost:8443'],
  ]
  for (const [asked, preferred] of rows) t.equal(preferredAuthority(asked), preferred)
})

t.test('settings that do not fit the authority: refused, each by name', async t => {
  const rows: readonly (readonly [TrustSettings, readonly string[]])[] = [
    [{ azureAuthorityHost: 'https://contoso.b2clogin.com' }, ['azureAuthorityHost']],
    [{ ...B2C, b2cPolicies: [] }, ['b2cPolicies']],
    [{ ...B2C, b2cPolicies: ['signin'] }, ['b2cPolicies']],
    [{ ...B2C, b2cPolicies: ['B2C_1_a', 'B2C_1_../x'] }, ['b2cPolicies']],
    [{ ...B2C, b2cPolicies: 'B2C_1_a' as never }, ['b2cPolicies']],
    [{ ...B2C, b2cPolicies: [7] as never }, ['b2cPolicies']],
    [{ ...B2C, azureTenantId: 'common', allowedTenants: ['*'] }, ['azureTenantId']],
    [{ ...B2C, tokenVersions: ['1.0'] }, ['tokenVersions']],
    [{ ...B2C, signingKeysAppId: true }, ['signingKeysAppId']],
    [{ b2cPolicies: ['B2C_1_a'] }, ['azureAuthorityHost']],
    [{ b2cPolicies: ['B2C_1_a'], azureAuthorityHost: 'https://x.ciamlogin.com' }, ['azureAuthorityHost']],
    [
      { azureAuthorityHost: 'https://x.ciamlogin.com', azureTenantId: 'common', allowedTenants: [TID] },
      ['azureTenantId'],
    ],
    [{ azureAuthorityHost: 'https://x.ciamlogin.com', tokenVersions: ['1.0', '2.0'] }, ['tokenVersions']],
    [{ azureAuthorityHost: 'https://login.sovcloud-identity.de', tokenVersions: ['1.0'] }, ['tokenVersions']],
    [{ signingKeysAppId: 'orders' }, ['signingKeysAppId']],
    [{ signingKeysAppId: false as never }, ['signingKeysAppId']],
    [{ signingKeysAppId: true, azureClientId: undefined, audience: ['api://x'] }, ['signingKeysAppId']],
    [{ signingKeysAppId: true, azureTenantId: 'common', allowedTenants: ['*'] }, ['signingKeysAppId']],
    [
      {
        signingKeysAppId: API_ID,
        b2cPolicies: ['B2C_1_a'],
        azureAuthorityHost: B2C.azureAuthorityHost,
        azureTenantId: undefined,
        issuers: ['https://issuer.example'],
      },
      ['b2cPolicies', 'signingKeysAppId', 'signingKeysAppId'],
    ],
  ]
  for (const [settings, names] of rows) {
    const outcome = readTrust({ ...SETTINGS, ...settings }, setting => setting)
    const problems = 'others' in outcome ? [] : outcome
    t.strictSame(problems.map(({ name }) => name).sort(), names, JSON.stringify(settings))
    for (const { found, expected, example } of problems) t.ok(found && expected && example)
  }
  const good: readonly TrustSettings[] = [
    { signingKeysAppId: true },
    { signingKeysAppId: OTHER },
    { azureAuthorityHost: 'https://login.sovcloud-identity.de', tokenVersions: ['2.0'] },
    { ...B2C, azureAuthorityHost: 'https://127.0.0.1:8443' },
  ]
  for (const settings of good) t.ok('others' in readTrust({ ...SETTINGS, ...settings }, setting => setting))
})

/** Puts a document and its keys where the authority would. */
function publish(
  { documents }: Cloud,
  metadata: string,
  issuer: string,
  jwks: string,
  keys: readonly Json[],
) {
  documents.set(metadata, { issuer, jwks_uri: jwks })
  documents.set(jwks, { keys })
}

/** Somebody's API with the plugin in it, in front of a cloud. */
async function guard(
  t: Test,
  { dispatcher }: Cloud,
  options: ProtectedResourceOptions,
): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(protectedResource, { ...SETTINGS, dispatcher, ...options })
  const access = { scope: 'Data.Read', role: 'Data.Read.All' }
  app.get('/data', { config: { access } }, async request => ({ ...request.access, claims: undefined }))
  app.get('/any', { config: { access: 'any' } }, async request => ({ kind: request.access.kind }))
  await app.ready()
  while (app.protectedResource.keys().some(({ state }) => state === 'missing')) {
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  return app
}

function sign(claims: Json, by: TestKey = key): string {
  const iat = Math.floor(Date.now() / 1000)
  const times = { iat, nbf: iat, exp: iat + 3600 }
  const header = { typ: 'JWT', alg: 'RS256', kid: by.kid }
  return compose(header, { ...times, ...claims }, signerOf('RS256', by.privateKey))
}

/** Sends a token; a code is the refusal that is expected, undefined is acceptance. */
async function expects(
  t: Test,
  app: FastifyInstance,
  title: string,
  token: string,
  code?: Code,
  url = '/data',
) {
  const response = await app.inject({ url, headers: { authorization: `Bearer ${token}` } })
  t.equal(response.json().code, code, title)
  if (code === undefined) t.equal(response.statusCode, 200, title)
  return response
}

const entraClaims = (iss: string, version: 1 | 2, over: Json = {}): Json => ({
  iss,
  aud: version === 2 ? API_ID : `api://${API_ID}`,
  tid: TID,
  ver: `${version}.0`,
  [version === 2 ? 'azp' : 'appid']: OTHER,
  oid: 'object-1',
  sub: 'user-1',
  scp: 'Data.Read',
  ...over,
})

for (const [asked, host, v1Host, cloudName] of [
  ['login.windows.net', 'login.microsoftonline.com', 'sts.windows.net', 'microsoftonline.com'],
  ['login.microsoftonline.us', 'login.microsoftonline.us', 'sts.windows.net', 'microsoftonline.us'],
  [
    'login.chinacloudapi.cn',
    'login.partner.microsoftonline.cn',
    'sts.chinacloudapi.cn',
    'partner.microsoftonline.cn',
  ],
] as const) {
  t.test(`over the wire, ${asked}: tokens of both versions, by the documents of ${host}`, async t => {
    const cloud = await startCloud(t)
    const template = `https://${host}/{tenantid}/v2.0`
    const keys = [
      { ...bare(key), cloud_instance_name: cloudName, issuer: template },
      // As recorded of login.microsoftonline.com: its set holds keys of another cloud, under its own template.
      { ...bare(second), cloud_instance_name: 'another.example', issuer: template },
    ]
    for (const middle of ['/v2.0', '']) {
      const issuer = middle === '' ? `https://${v1Host}/${TID}/` : `https://${host}/${TID}/v2.0`
      const metadata = `https://${host}/${TID}${middle}/.well-known/openid-configuration`
      publish(cloud, metadata, issuer, `https://${host}/${TID}/discovery${middle}/keys`, keys)
      const document = cloud.documents.get(metadata)
      cloud.documents.set(metadata, { ...document, cloud_instance_name: cloudName })
    }
    const app = await guard(t, cloud, { azureAuthorityHost: `https://${asked}` })
    await expects(t, app, 'version 2', sign(entraClaims(`https://${host}/${TID}/v2.0`, 2)))
    await expects(t, app, 'version 1', sign(entraClaims(`https://${v1Host}/${TID}/`, 1)))
    const foreign = sign(entraClaims(`https://${host}/${TID}/v2.0`, 2), second)
    await expects(t, app, 'a key of another cloud (ENTRA-6)', foreign, 'key_not_for_issuer')
    const elsewhere = sign(entraClaims(`https://login.example/${TID}/v2.0`, 2))
    await expects(t, app, 'another host', elsewhere, 'untrusted_issuer')
    t.ok(
      cloud.requests.every(address => address.startsWith(`https://${host}/`)),
      'one host is asked',
    )
    t.equal(cloud.requests.length, 4)
  })
}

t.test('over the wire, a sovereign cloud: version 2 alone is asked for, and the server is ready', async t => {
  const cloud = await startCloud(t)
  const base = `https://login.sovcloud-identity.fr/${TID}`
  publish(
    cloud,
    `${base}/v2.0/.well-known/openid-configuration`,
    `${base}/v2.0`,
    `${base}/discovery/v2.0/keys`,
    [bare(key)],
  )
  const app = await guard(t, cloud, { azureAuthorityHost: 'https://login.sovcloud-identity.fr' })
  await expects(t, app, 'version 2', sign(entraClaims(`${base}/v2.0`, 2)))
  await expects(t, app, 'version 1', sign(entraClaims(`${base}/`, 1)), 'untrusted_issuer')
  t.strictSame(cloud.requests, [
    `${base}/v2.0/.well-known/openid-configuration`,
    `${base}/discovery/v2.0/keys`,
  ])
})

t.test('over the wire, External ID: documents under the name, tokens under the GUID', async t => {
  const cloud = await startCloud(t)
  const base = `https://contoso.ciamlogin.com/${TID}`
  const issuer = `https://${TID}.ciamlogin.com/${TID}/v2.0`
  const template = 'https://{tenantid}.ciamlogin.com/{tenantid}/v2.0'
  publish(cloud, `${base}/v2.0/.well-known/openid-configuration`, issuer, `${base}/discovery/v2.0/keys`, [
    bare(key),
    { ...bare(second), issuer },
    { ...bare(key), kid: 'template', issuer: template },
    { ...bare(key), kid: 'workforce', issuer: `https://login.microsoftonline.com/${TID}/v2.0` },
  ])
  const app = await guard(t, cloud, { azureAuthorityHost: 'https://contoso.ciamlogin.com' })
  await expects(t, app, 'a key without issuer', sign(entraClaims(issuer, 2)))
  await expects(t, app, 'a key with its issuer (ENTRA-5)', sign(entraClaims(issuer, 2), second))
  const workforce = { ...key, kid: 'workforce' }
  const stranger = sign(entraClaims(issuer, 2), workforce)
  await expects(t, app, 'a key of the workforce issuer', stranger, 'key_not_for_issuer')
  const named = sign(entraClaims(`${base}/v2.0`, 2))
  await expects(t, app, 'the name instead of the GUID', named, 'untrusted_issuer')
  const global = sign(entraClaims(`https://login.microsoftonline.com/${TID}/v2.0`, 2))
  await expects(t, app, 'the public cloud', global, 'untrusted_issuer')
  await expects(t, app, 'another tid', sign(entraClaims(issuer, 2, { tid: OTHER })), 'untrusted_issuer')
  t.strictSame(cloud.requests, [
    `${base}/v2.0/.well-known/openid-configuration`,
    `${base}/discovery/v2.0/keys`,
  ])
})

const b2cClaims = (iss: string, over: Json = {}): Json => ({
  iss,
  aud: API_ID,
  oid: 'object-1',
  sub: 'object-1',
  name: 'David',
  tfp: 'B2C_1_signupsignin1',
  nonce: 'anyRandomValue',
  scp: 'Data.Read',
  azp: OTHER,
  ver: '1.0',
  ...over,
})

/** One policy's documents, as B2C's pages show them: the keys under the domain name, the policy in lower case. */
function publishPolicy(cloud: Cloud, host: string, policy: string, issuer: string, keys: readonly Json[]) {
  const metadata = `https://${host}/${TID}/${policy}/v2.0/.well-known/openid-configuration`
  const domain = `https://${host}/contoso.onmicrosoft.com/${policy.toLowerCase()}`
  publish(cloud, metadata, issuer, `${domain}/discovery/v2.0/keys`, keys)
}

t.test(
  'over the wire, B2C: the documented access token, by the keys of the policy that it names',
  async t => {
    const cloud = await startCloud(t)
    const host = 'contoso.b2clogin.com'
    const issuer = `https://${host}/${TID}/v2.0/`
    publishPolicy(cloud, host, 'B2C_1_signupsignin1', issuer, [bare(key)])
    publishPolicy(cloud, host, 'B2C_1A_edit', issuer, [bare(second)])
    const app = await guard(t, cloud, { ...B2C, b2cPolicies: ['B2C_1_signupsignin1', 'B2C_1A_edit'] })
    const send = (title: string, over: Json, code?: Code, by?: TestKey, url?: string) =>
      expects(t, app, title, sign(b2cClaims(issuer, over), by), code, url)

    const { body } = await send('as documented', {})
    t.match(JSON.parse(body), { kind: 'user', subject: 'object-1', client: OTHER, scopes: ['Data.Read'] })
    await send('another policy, by its own key', { tfp: 'b2c_1a_edit' }, undefined, second)
    await send('the policy in acr, as older policies have it', { tfp: undefined, acr: 'b2c_1_signupsignin1' })
    await send('with tid', { tid: TID })
    await send('signed in without a nonce', { nonce: undefined, auth_time: 1_549_647_431 })

    await send('the key of another policy', {}, 'unknown_key', second)
    await send('the policy of another key', { tfp: 'B2C_1A_edit' }, 'unknown_key')
    await send('a policy that is not listed', { tfp: 'B2C_1_reset' }, 'untrusted_issuer')
    await send(
      'an acr that is listed beside a tfp that is not',
      { tfp: 'x', acr: 'B2C_1A_edit' },
      'untrusted_issuer',
    )
    await send('no policy', { tfp: undefined }, 'missing_claim')
    await send('a policy that is no text', { tfp: ['B2C_1_signupsignin1'] }, 'malformed_claim')
    await send('another tid', { tid: OTHER }, 'untrusted_issuer')
    await send('tid no GUID', { tid: 'contoso' }, 'malformed_claim')
    await send('ver 2.0', { ver: '2.0' }, 'wrong_token_version')
    await send('no ver', { ver: undefined }, 'wrong_token_version')
    await send('the App ID URI as audience', { aud: `api://${API_ID}` }, 'wrong_audience')
    await send('an ID token, which has no scp', { scp: undefined }, 'id_token')
    await send('an ID token of a client that is the API', { scp: undefined, azp: API_ID }, 'id_token')
    await send('no azp', { azp: undefined }, 'id_token')
    await send('an ID token beside a code', { c_hash: 'x' }, 'id_token')
    await send('an ID token beside a token', { at_hash: 'x' }, 'id_token')
    await send(
      'a subject that everybody has',
      { sub: 'Not supported currently. Use oid claim.' },
      'malformed_claim',
    )
    await send('Tid beside tid (C-17)', { Tid: OTHER }, 'malformed_claim')
    await send('bound to a key (C-13)', { cnf: { kid: 'x' } }, 'sender_constrained')
    await send('a scope that is not enough', { scp: 'Data.Write' }, 'insufficient_scope')
    // Client credentials at B2C: the application's own permissions stand in scp, and nothing says that it is one.
    await send('nobody signed in', { nonce: undefined }, 'wrong_caller_kind')
    const anybody = { nonce: undefined, scp: 'app.read' }
    t.match((await send('nobody signed in, any', anybody, undefined, key, '/any')).json(), {
      kind: 'unknown',
    })
    const elsewhere = sign(b2cClaims(`https://${host}/${OTHER}/v2.0/`))
    await expects(t, app, 'another tenant', elsewhere, 'tenant_not_allowed')
    const unslashed = sign(b2cClaims(issuer.slice(0, -1)))
    await expects(t, app, 'no slash', unslashed, 'untrusted_issuer')
    // The document states the other form, so this one is not what this policy issues.
    const inPath = sign(b2cClaims(`https://${host}/tfp/${TID}/b2c_1_signupsignin1/v2.0/`))
    await expects(t, app, 'the form that the document does not state', inPath, 'untrusted_issuer')
    const names = (await app.inject('/.well-known/oauth-protected-resource')).json().authorization_servers
    t.strictSame(names, [
      `https://${host}/${TID}/B2C_1_signupsignin1/v2.0`,
      `https://${host}/${TID}/B2C_1A_edit/v2.0`,
    ])
  },
)

t.test(
  'over the wire, B2C under its own host with the policy in the issuer: that policy and no other',
  async t => {
    const cloud = await startCloud(t)
    const host = 'login.contoso.example'
    const issuerOf = (policy: string) => `https://${host}/tfp/${TID}/${policy}/v2.0/`
    for (const policy of ['B2C_1_a', 'B2C_1_b']) {
      publishPolicy(cloud, host, policy, issuerOf(policy.toLowerCase()), [bare(key)])
    }
    const azureAuthorityHost = `https://${host}`
    const app = await guard(t, cloud, { azureAuthorityHost, b2cPolicies: ['B2C_1_a', 'B2C_1_b'] })
    const rows: readonly (readonly [string, Json, Code | undefined])[] = [
      [issuerOf('b2c_1_a'), { tfp: 'B2C_1_a' }, undefined],
      [issuerOf('b2c_1_b'), { tfp: 'B2C_1_b' }, undefined],
      [issuerOf('b2c_1_b'), { tfp: undefined }, undefined],
      [issuerOf('b2c_1_a'), { tfp: 'B2C_1_b' }, 'untrusted_issuer'],
      [issuerOf('B2C_1_A'), { tfp: 'B2C_1_a' }, 'untrusted_issuer'],
      [issuerOf('b2c_1_c'), { tfp: 'B2C_1_c' }, 'untrusted_issuer'],
      [`https://${host}/${TID}/v2.0/`, { tfp: 'B2C_1_a' }, 'untrusted_issuer'],
    ]
    for (const [iss, over, code] of rows) {
      await expects(t, app, `${iss} ${over.tfp}`, sign(b2cClaims(iss, over)), code)
    }
  },
)

t.test('over the wire, keys of one application (ENTRA-26): only where they are asked for', async t => {
  const cloud = await startCloud(t)
  const base = `https://login.microsoftonline.com/${TID}`
  const issuers = { '/v2.0': `${base}/v2.0`, '': `https://sts.windows.net/${TID}/` }
  for (const [middle, issuer] of Object.entries(issuers)) {
    for (const [query, keys] of [
      ['', [bare(key)]],
      [`?appid=${API_ID}`, [bare(second)]],
    ] as const) {
      const metadata = `${base}${middle}/.well-known/openid-configuration${query}`
      publish(cloud, metadata, issuer, `${base}/discovery${middle}/keys${query}`, keys)
    }
  }
  const custom = [
    sign(entraClaims(`${base}/v2.0`, 2), second),
    sign(entraClaims(`https://sts.windows.net/${TID}/`, 1), second),
  ]
  const plain = await guard(t, cloud, {})
  for (const token of custom) await expects(t, plain, 'without the option', token, 'unknown_key')
  for (const signingKeysAppId of [true, API_ID] as const) {
    cloud.requests.length = 0
    const app = await guard(t, cloud, { signingKeysAppId })
    for (const token of custom) await expects(t, app, String(signingKeysAppId), token)
    t.strictSame([...cloud.requests].sort(), [
      `${base}/.well-known/openid-configuration?appid=${API_ID}`,
      `${base}/discovery/keys?appid=${API_ID}`,
      `${base}/discovery/v2.0/keys?appid=${API_ID}`,
      `${base}/v2.0/.well-known/openid-configuration?appid=${API_ID}`,
    ])
    // Keys that were kept from before are kept under this name: the two sets are never taken for each other.
    const names = app.protectedResource.keys().map(({ issuer }) => issuer)
    t.ok(names.every(name => name.endsWith(`?appid=${API_ID}`)))
  }
})

t.test('docs/issuers.md: has every login host and says of each what is not confirmed', async t => {
  const text = await readFile(new URL('../docs/issuers.md', import.meta.url), 'utf8')
  for (const { settings, metadata } of FORMS) {
    const host = new URL(settings.azureAuthorityHost ?? '').host
    if (!host.endsWith('.example') && !host.startsWith('contoso.')) t.ok(text.includes(host), host)
    t.ok(metadata.length > 0)
  }
  for (const word of ['ciamlogin.com', 'b2clogin.com', 'signingKeysAppId', 'b2cPolicies', 'not confirmed']) {
    t.ok(text.includes(word), word)
  }
})

t.test('an issuer that is none of a B2C policy: it names no tenant here', async t => {
  const tenant = '11111111-2222-3333-4444-555555555555'
  const { issuers } = trustIssuers(
    {
      authority: 'https://contoso.b2clogin.com',
      tenant,
      allowedTenants: [],
      versions: ['2.0'],
      audiences: { '1.0': ['x'], '2.0': ['x'] },
      b2cPolicies: ['B2C_1_signin'],
    },
    [],
  )
  t.equal(issuers[0]!.tenantOf(`https://contoso.b2clogin.com/${tenant}/v2.0/`), tenant)
  t.equal(issuers[0]!.tenantOf('https://contoso.b2clogin.com/elsewhere/v2.0/'), undefined)
})

/** Every cell of version × kind of token × idtyp × trust × tenant × permission: what Microsoft's documents say of it is what /secure-data answers. */
import t from 'tap'
import type { Code } from '../src/errors.ts'
import { startApi, startTenant } from './helpers/api.ts'
import type { Json } from './helpers/issuer.ts'

const KINDS = ['user', 'application', 'guest', 'ID token', 'Graph token'] as const
const VERSIONS = [1, 2] as const
const IDTYP = ['stated', 'left out'] as const
const TRUSTS = ['single tenant', 'multi tenant'] as const
const TENANTS = ['right', 'other', 'unlisted'] as const
const PERMISSIONS = ['scope', 'role', 'both', 'none'] as const

type Kind = (typeof KINDS)[number]
type Permission = (typeof PERMISSIONS)[number]
/** Status, code unless accepted, and the page that says so (file names of MicrosoftDocs/entra-docs docs/identity-platform). */
type Decision = readonly [status: number, code: Code | undefined, source: string]

const ISSUER = 'access-tokens.md, "Validate the issuer": only the tenants that the API is for'
const ID_TOKEN = 'id-tokens.md: "You shouldn’t use an ID token to call an API"; no azp or appid in them'
const GRAPH = 'access-tokens.md, "Validate tokens": a token for Graph is validated by nobody else'
const SCP = 'scenario-protected-web-api-verification-scope-app-roles.md: a delegated call is verified by scp'
const ROLES =
  'scenario-protected-web-api-verification-scope-app-roles.md: an app-only call is verified by roles'
const NEITHER =
  'v2-oauth2-client-creds-grant-flow.md: tokens without roles are issued to any app of the tenant'

/** Who may call at all. A guest's `tid` is the tenant that they are a guest in (access-token-claims-reference.md). */
const OF_TENANT: Readonly<
  Record<(typeof TRUSTS)[number], Readonly<Record<(typeof TENANTS)[number], Decision | undefined>>>
> = {
  'single tenant': {
    right: undefined,
    other: [401, 'tenant_not_allowed', ISSUER],
    unlisted: [401, 'tenant_not_allowed', ISSUER],
  },
  // The other tenant is on the list here.
  'multi tenant': {
    right: undefined,
    other: undefined,
    unlisted: [401, 'tenant_not_allowed', ISSUER],
  },
}

/** What is no access token for this API, whatever it carries. */
const OF_TOKEN: Readonly<Partial<Record<Kind, Decision>>> = {
  'ID token': [401, 'id_token', ID_TOKEN],
  'Graph token': [401, 'graph_token', GRAPH],
}

/** What the route asks for: `scp` Data.Read of users, `roles` Data.Read.All of applications. */
const OF_PERMISSION: Readonly<Record<'user' | 'application', Readonly<Record<Permission, Decision>>>> = {
  user: {
    scope: [200, undefined, SCP],
    role: [403, 'insufficient_scope', SCP],
    both: [200, undefined, SCP],
    none: [403, 'no_permissions', NEITHER],
  },
  application: {
    scope: [403, 'insufficient_role', ROLES],
    role: [200, undefined, ROLES],
    both: [200, undefined, ROLES],
    none: [403, 'no_permissions', NEITHER],
  },
}

/**
 * As whom a token counts. optional-claims-reference.md: `idtyp` is the surest way to tell; access-token-claims-
 * reference.md: `scp` is "only included for user tokens". So a token without either claim is an application's, and
 * a cell that Entra would not issue (an application's token with `scp` and no `idtyp`) counts as what it looks like.
 */
const COUNTS_AS: Readonly<
  Record<(typeof IDTYP)[number], Readonly<Record<Permission, 'user' | 'application' | 'who it is'>>>
> = {
  stated: { scope: 'who it is', role: 'who it is', both: 'who it is', none: 'who it is' },
  'left out': { scope: 'user', role: 'application', both: 'user', none: 'application' },
}

const UNLISTED = '0a1b2c3d-7777-4222-8333-0123456789ab'
const tenant = await startTenant(t)
const { tenantId, authority, api } = tenant.profile
const partner = tenant.partnerTenantId
const TID = { right: tenantId, other: partner, unlisted: UNLISTED }

const servers = {
  'single tenant': await startApi(t, { tenant }),
  'multi tenant': await startApi(t, {
    tenant,
    env: { AZURE_TENANT_ID: 'organizations', ALLOWED_TENANTS: `${tenantId},${partner}` },
  }),
}

const CLAIMS: Readonly<Record<Permission, Json>> = {
  scope: { scp: 'Data.Read', roles: undefined },
  role: { scp: undefined, roles: ['Data.Read.All'] },
  both: { scp: 'Data.Read', roles: ['Data.Read.All'] },
  none: { scp: undefined, roles: undefined },
}

/** A token of a kind, its other claims as the local tenant gives them. */
async function issue(kind: Kind, version: 1 | 2, claims: Json): Promise<string> {
  if (kind === 'application') return tenant.issue({ app: 'daemon', version, claims })
  if (kind === 'user' || kind === 'guest') {
    return tenant.issue({ person: kind === 'user' ? 'ada' : 'gus', version, claims })
  }
  if (kind === 'Graph token') return tenant.mint('graph', { version, claims })
  if (version === 2) return tenant.mint('id-token', { claims })
  // id-tokens of version 1: for the client itself, with the nonce of the sign-in and no calling application.
  const signIn = { aud: api.clientId, nonce: 'n', appid: undefined, appidacr: undefined }
  return tenant.issue({ person: 'ada', version, claims: { ...signIn, ...claims } })
}

const issuerOf = (tid: string, version: 1 | 2): string =>
  version === 2 ? `${authority}/${tid}/v2.0` : `${authority.replace('localhost', '127.0.0.1')}/${tid}/`

let cells = 0
for (const version of VERSIONS) {
  for (const kind of KINDS) {
    t.test(`a version ${version} ${kind}, in every cell: decided as the documents say`, async t => {
      for (const idtyp of IDTYP) {
        for (const trust of TRUSTS) {
          for (const of of TENANTS) {
            for (const permission of PERMISSIONS) {
              const looks = COUNTS_AS[idtyp][permission]
              const is = kind === 'application' ? 'application' : 'user'
              const counts = looks === 'who it is' ? is : looks
              const [status, code, source] =
                OF_TENANT[trust][of] ?? OF_TOKEN[kind] ?? OF_PERMISSION[counts][permission]
              const token = await issue(kind, version, {
                tid: TID[of],
                iss: issuerOf(TID[of], version),
                idtyp: idtyp === 'stated' ? (is === 'application' ? 'app' : 'user') : undefined,
                ...CLAIMS[permission],
              })
              const answer = await servers[trust].get('/secure-data', token)
              const title = `idtyp ${idtyp}, ${trust}, ${of} tenant, ${permission}: ${status} ${code ?? ''}`
              t.strictSame([answer.status, answer.json.code], [status, code], `${title} (${source})`)
              cells++
            }
          }
        }
      }
    })
  }
}

t.test('the table: every cell was walked', async t => {
  const sides = [VERSIONS, KINDS, IDTYP, TRUSTS, TENANTS, PERMISSIONS].map(({ length }) => length)
  t.equal(
    cells,
    sides.reduce((product, side) => product * side, 1),
  )
  t.comment(`${cells} decision cells`)
})

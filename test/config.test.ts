/** The configuration: what the environment means, and everything that is wrong with it at once. */
import t, { type Test } from 'tap'
import { type Config, type Environment, readConfig } from '../src/config.ts'
import { Misconfigured, type Problem } from '../src/errors.ts'

const TENANT = '11111111-2222-3333-4444-555555555555'
const CLIENT = '66666666-7777-8888-9999-000000000000'
const GOOD = { AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: CLIENT }

function problemsOf(env: Environment): readonly Problem[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (error instanceof Misconfigured) return error.problems
    throw error
  }
}

/** Exactly these names are reported, each with what was found, what was expected, and an example. */
function reports(t: Test, env: Environment, names: readonly string[], title: string): void {
  const problems = problemsOf(env)
  t.strictSame(problems.map(({ name }) => name).sort(), [...names].sort(), title)
  for (const { found, expected, example } of problems) t.ok(found && expected && example, 'complete')
}

t.test('five variables: a frozen configuration with every default', async t => {
  const config: Config = readConfig(GOOD)
  t.ok(Object.isFrozen(config))
  t.match(config, {
    host: '127.0.0.1',
    port: 3000,
    logLevel: 'info',
    trustProxy: [],
    trust: { azureTenantId: TENANT, azureClientId: CLIENT, publicUrl: 'http://127.0.0.1:3000' },
  })
})

t.test('every variable set well: accepted', async t => {
  const rows: readonly Environment[] = [
    { AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us/' },
    { AZURE_AUTHORITY_HOST: 'http://127.0.0.1:8443' },
    { AZURE_AUTHORITY_HOST: 'http://[::1]:8443' },
    { AZURE_TENANT_ID: TENANT.toUpperCase() },
    { AZURE_TENANT_ID: 'common', ALLOWED_TENANTS: '*' },
    { AZURE_TENANT_ID: 'organizations', ALLOWED_TENANTS: `${TENANT}, ${CLIENT}` },
    { ALLOWED_TENANTS: TENANT },
    { AUDIENCE: 'api://orders,https://orders.example' },
    { ALLOWED_CLIENTS: CLIENT },
    { ISSUERS: 'https://a.example/,http://localhost:9/x', ISSUERS_TOKEN_TYP: 'JWT' },
    { TOKEN_VERSIONS: '2.0' },
    { CLOCK_TOLERANCE_SECONDS: '0' },
    { CLOCK_TOLERANCE_SECONDS: '300' },
    { KEYS_MAX_STALE_HOURS: '72' },
    { HOST: '0.0.0.0', PUBLIC_URL: 'https://api.example.com/' },
    { HOST: '::1', PORT: '0' },
    { HOST: 'localhost', PORT: '65535' },
    { LOG_LEVEL: 'silent' },
    { TRUST_PROXY: '10.0.0.0/8, 127.0.0.1,fd00::/8' },
    { HTTPS_PROXY: 'http://user:secret@proxy:3128', NO_PROXY: 'a.example' },
    { https_proxy: 'http://proxy:3128', http_proxy: 'https://proxy', no_proxy: '*' },
    { ALLOWED_TENANTS: '', ISSUERS: ' ', PUBLIC_URL: '', SCOPE_PREFIX: '' },
  ]
  for (const env of rows) t.strictSame(problemsOf({ ...GOOD, ...env }), [], JSON.stringify(env))
  t.strictSame(problemsOf({ ISSUERS: 'https://a.example', AUDIENCE: 'x' }), [], 'an issuer without a tenant')
  t.strictSame(problemsOf({ ISSUERS: 'https://a.example', AZURE_CLIENT_ID: CLIENT }), [])
})

t.test('one thing wrong: reported under its name, and alone', async t => {
  const rows: readonly (readonly [Environment, string])[] = [
    [{ AZURE_TENANT_ID: undefined }, 'AZURE_TENANT_ID'],
    [{ AZURE_TENANT_ID: '' }, 'AZURE_TENANT_ID'],
    [{ AZURE_TENANT_ID: 'contoso.onmicrosoft.com' }, 'AZURE_TENANT_ID'],
    [{ AZURE_TENANT_ID: 'consumers' }, 'AZURE_TENANT_ID'],
    [{ AZURE_TENANT_ID: 'common' }, 'ALLOWED_TENANTS'],
    [{ AZURE_TENANT_ID: 'organizations', ALLOWED_TENANTS: 'contoso.com' }, 'ALLOWED_TENANTS'],
    [{ AZURE_TENANT_ID: 'common', ALLOWED_TENANTS: `*,${TENANT}` }, 'ALLOWED_TENANTS'],
    [{ ALLOWED_TENANTS: CLIENT }, 'ALLOWED_TENANTS'],
    [{ AZURE_CLIENT_ID: undefined }, 'AUDIENCE'],
    [{ AZURE_CLIENT_ID: 'a"b' }, 'AZURE_CLIENT_ID'],
    [{ AUDIENCE: '' }, 'AUDIENCE'],
    [{ AUDIENCE: 'api://a,,api://b' }, 'AUDIENCE'],
    [{ AZURE_AUTHORITY_HOST: 'http://login.example' }, 'AZURE_AUTHORITY_HOST'],
    [{ AZURE_AUTHORITY_HOST: 'login.microsoftonline.com' }, 'AZURE_AUTHORITY_HOST'],
    [{ AZURE_AUTHORITY_HOST: 'ftp://login.example' }, 'AZURE_AUTHORITY_HOST'],
    [{ AZURE_AUTHORITY_HOST: 'https://u:hunter2@login.example' }, 'AZURE_AUTHORITY_HOST'],
    [{ AZURE_AUTHORITY_HOST: 'https://login.example/tenant' }, 'AZURE_AUTHORITY_HOST'],
    [{ AZURE_AUTHORITY_HOST: 'https://login.example?x=1' }, 'AZURE_AUTHORITY_HOST'],
    [{ ISSUERS: 'http://issuer.example' }, 'ISSUERS'],
    [{ ISSUERS: 'https://a.example,,https://b.example' }, 'ISSUERS'],
    [{ ISSUERS: 'https://a.example/"' }, 'ISSUERS'],
    [{ ISSUERS: `https://login.microsoftonline.com/${TENANT}/v2.0` }, 'ISSUERS'],
    [{ ISSUERS: `https://sts.windows.net/${CLIENT}/` }, 'ISSUERS'],
    [{ ISSUERS_TOKEN_TYP: 'jwt' }, 'ISSUERS_TOKEN_TYP'],
    [{ TOKEN_VERSIONS: '3.0' }, 'TOKEN_VERSIONS'],
    [{ TOKEN_VERSIONS: '1.0,3.0' }, 'TOKEN_VERSIONS'],
    [{ CLOCK_TOLERANCE_SECONDS: '-1' }, 'CLOCK_TOLERANCE_SECONDS'],
    [{ CLOCK_TOLERANCE_SECONDS: '301' }, 'CLOCK_TOLERANCE_SECONDS'],
    [{ CLOCK_TOLERANCE_SECONDS: '1.5' }, 'CLOCK_TOLERANCE_SECONDS'],
    [{ CLOCK_TOLERANCE_SECONDS: 'a minute' }, 'CLOCK_TOLERANCE_SECONDS'],
    [{ KEYS_MAX_STALE_HOURS: '0' }, 'KEYS_MAX_STALE_HOURS'],
    [{ KEYS_MAX_STALE_HOURS: '73' }, 'KEYS_MAX_STALE_HOURS'],
    [{ SCOPE_PREFIX: 'api://x y/' }, 'SCOPE_PREFIX'],
    [{ PUBLIC_URL: 'http://api.example.com' }, 'PUBLIC_URL'],
    [{ PUBLIC_URL: 'https://API.example.com' }, 'PUBLIC_URL'],
    [{ PUBLIC_URL: 'https://api.example.com:443' }, 'PUBLIC_URL'],
    [{ PUBLIC_URL: 'https://api.example.com/a/../b' }, 'PUBLIC_URL'],
    [{ PUBLIC_URL: 'https://api.example.com/*/b' }, 'PUBLIC_URL'],
    [{ PUBLIC_URL: 'https://api.example.com/%zz' }, 'PUBLIC_URL'],
    [{ HOST: '0.0.0.0' }, 'PUBLIC_URL'],
    [{ HOST: '192.168.0.7' }, 'PUBLIC_URL'],
    [{ HOST: 'api.internal' }, 'PUBLIC_URL'],
    [{ HOST: '0.0.0.0', PUBLIC_URL: 'http://127.0.0.1:3000' }, 'PUBLIC_URL'],
    [{ PORT: '65536' }, 'PORT'],
    [{ PORT: 'http' }, 'PORT'],
    [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL'],
    [
      { AZURE_TENANT_ID: '', ISSUERS: 'https://a.example', AUDIENCE: 'a', DOCS_CLIENT_ID: 'x' },
      'DOCS_CLIENT_ID',
    ],
    [{ TRUST_PROXY: '1' }, 'TRUST_PROXY'],
    [{ TRUST_PROXY: '10.0.0.0/33' }, 'TRUST_PROXY'],
    [{ TRUST_PROXY: '10.0.0.0/8/8' }, 'TRUST_PROXY'],
    [{ TRUST_PROXY: 'proxy.internal' }, 'TRUST_PROXY'],
    [{ HTTPS_PROXY: 'proxy:3128' }, 'HTTPS_PROXY'],
    [{ HTTPS_PROXY: 'proxy' }, 'HTTPS_PROXY'],
    [{ HTTP_PROXY: 'socks5://proxy' }, 'HTTP_PROXY'],
  ]
  for (const [env, name] of rows) reports(t, { ...GOOD, ...env }, [name], JSON.stringify(env))
})

t.test('nothing set: both things that are missing', async t => {
  reports(t, {}, ['AZURE_TENANT_ID', 'AUDIENCE'], 'tenant and audience')
})

t.test('many things wrong: all at once, in one message', async t => {
  const env = {
    AZURE_TENANT_ID: 'contoso',
    TOKEN_VERSIONS: '3',
    CLOCK_TOLERANCE_SECONDS: '999',
    PORT: 'x',
    HOST: '0.0.0.0',
    LOG_LEVEL: 'loud',
  }
  const names = [
    'AZURE_TENANT_ID',
    'AUDIENCE',
    'TOKEN_VERSIONS',
    'CLOCK_TOLERANCE_SECONDS',
    'PORT',
    'PUBLIC_URL',
    'LOG_LEVEL',
  ]
  reports(t, env, names, 'seven')
  t.throws(() => readConfig(env), { message: /^7 configuration problems:\n {2}PORT: found "x"; expected/ })
  t.throws(() => readConfig({ ...GOOD, PORT: 'x' }), { message: /^1 configuration problem:/ })
})

t.test('secrets in variables: never repeated', async t => {
  const env = {
    ...GOOD,
    HTTPS_PROXY: 'socks5://user:hunter2@proxy',
    AZURE_AUTHORITY_HOST: 'https://user:hunter2@login.example',
    ISSUERS: 'https://user:hunter2@issuer.example',
    PUBLIC_URL: 'https://user:hunter2@api.example',
  }
  t.match(problemsOf(env), { length: 4 }, 'all four')
  t.notMatch(JSON.stringify(problemsOf(env)), /hunter2/)
})

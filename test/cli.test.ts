/** Decides whether the token command finds its settings, obtains tokens with the real msal-node, and says what went wrong. */
import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import {
  type AccountInfo,
  AuthError,
  InteractionRequiredAuthError,
  type PublicClientApplication,
  ServerError,
  TokenCacheContext,
} from '@azure/msal-node'
import { decodeJwt } from 'jose'
import { chromium } from 'playwright-core'
import { check, lock, unlock } from 'proper-lockfile'
import t, { type Test } from 'tap'
import { readCertificate as readPem } from '../src/certificate.ts'
import { accountsOf } from '../src/cli/accounts.ts'
import { isShowable, openInBrowser } from '../src/cli/browser.ts'
import { cacheFile, fileCache } from '../src/cli/cache.ts'
import { within } from '../src/cli/deadline.ts'
import { describeFailure } from '../src/cli/failure.ts'
import type { Io } from '../src/cli/io.ts'
import type { LocalTenant } from '../src/cli/local.ts'
import { createNetwork, type OAuthError } from '../src/cli/network.ts'
import { readTokenSettings } from '../src/cli/settings.ts'
import { readForms, signInAs } from '../src/cli/sign-in.ts'
import { runToken } from '../src/cli/token.ts'
import { Misconfigured } from '../src/errors.ts'
import { createAuthority, createRsaKey, createServerCertificate } from '../src/local-tenant/certificates.ts'
import { readProfile } from '../src/local-tenant/profile.ts'
import { startLocalTenant } from '../src/local-tenant/tenant.ts'
import { type Outcome, run, type World } from './helpers/command.ts'

const GUID = '11111111-2222-3333-4444-555555555555'
const SECRET = 'sup3r~s3cret'
const ENTRA = {
  AZURE_TENANT_ID: GUID,
  AZURE_CLIENT_ID: 'aaaaaaaa-2222-3333-4444-555555555555',
  TOKEN_CLIENT_ID: 'bbbbbbbb-2222-3333-4444-555555555555',
  TOKEN_CLIENT_SECRET: SECRET,
}
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

/** A plain http server on loopback; gone when the test is. */
async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const app = (letter: string, clientSecret?: string) => ({
  clientId: GUID.replace(/^1+/, letter.repeat(8)),
  ...(clientSecret && { clientSecret }),
})
const LOCAL: LocalTenant = {
  authority: 'https://localhost:8443',
  pages: 'http://localhost:8444',
  graph: 'https://localhost:8443/graph/v1.0',
  tenantId: 'cccccccc-2222-3333-4444-555555555555',
  ca: 'PEM',
  api: app('a'),
  publicClient: app('b'),
  daemon: app('d', 'daemon~secret'),
  daemonWithoutRole: app('e', 'other~secret'),
  people: [{ handle: 'ada', username: 'ada@local.localhost', about: 'has consented' }],
}

t.test('settings', async t => {
  t.test('nothing set and a local tenant running: its applications and everything granted', async t => {
    t.match(readTokenSettings({ AZURE_TENANT_ID: '' }, LOCAL, 'client-credentials'), {
      authority: `https://localhost:8443/${LOCAL.tenantId}`,
      host: 'localhost:8443',
      clientId: LOCAL.daemon.clientId,
      credential: { secret: 'daemon~secret' },
      scopes: [`api://${LOCAL.api.clientId}/.default`],
      local: LOCAL,
    })
    const people = readTokenSettings({ SCOPE_PREFIX: 'api://other/' }, LOCAL, 'interactive', ['Data.Read'])
    t.match(people, {
      clientId: LOCAL.publicClient.clientId,
      scopes: [`api://${LOCAL.api.clientId}/Data.Read`],
    })
    t.notOk(people.credential, 'a person needs none')
  })

  t.test('nothing set and nothing running: how to go on', async t => {
    t.throws(() => readTokenSettings({}, undefined, 'interactive'), {
      message: /no local tenant is running here: start it with `npm run dev`, or set AZURE_TENANT_ID/,
    })
  })

  t.test('the local tenant named in full: it is still the local one', async t => {
    const env = {
      AZURE_AUTHORITY_HOST: `${LOCAL.authority}/`,
      AZURE_TENANT_ID: LOCAL.tenantId,
      AZURE_CLIENT_ID: LOCAL.api.clientId,
      SCOPE_PREFIX: 'api://mine/',
      TOKEN_CLIENT_ID: LOCAL.daemonWithoutRole.clientId,
    }
    t.match(readTokenSettings(env, LOCAL, 'client-credentials'), {
      local: LOCAL,
      credential: { secret: 'other~secret' },
      scopes: ['api://mine/.default'],
    })
  })

  t.test('Entra: the public cloud, scopes of this API, proxy', async t => {
    const env = { ...ENTRA, HTTPS_PROXY: 'http://proxy.example:3128', NO_PROXY: 'intranet' }
    const settings = readTokenSettings(env, LOCAL, 'client-credentials')
    t.same(settings, {
      authority: `https://login.microsoftonline.com/${GUID}`,
      host: 'login.microsoftonline.com',
      tenant: GUID,
      clientId: ENTRA.TOKEN_CLIENT_ID,
      credential: { secret: SECRET },
      scopes: [`api://${ENTRA.AZURE_CLIENT_ID}/.default`],
      proxy: 'http://proxy.example:3128',
      noProxy: 'intranet',
    })
    const scopes = (env: Record<string, string>, wanted: string[] = []) =>
      readTokenSettings({ ...ENTRA, ...env }, undefined, 'interactive', wanted).scopes
    t.same(scopes({ TOKEN_SCOPE: 'Data.Read  openid' }), [
      `api://${ENTRA.AZURE_CLIENT_ID}/Data.Read`,
      'openid',
    ])
    t.same(scopes({ TOKEN_SCOPE: 'Data.Read' }, ['api://x/y']), ['api://x/y'], 'the command line wins')
    t.same(scopes({ SCOPE_PREFIX: 'https://api.example/', AZURE_CLIENT_ID: '' }), [
      'https://api.example/.default',
    ])
    t.same(scopes({ AZURE_TENANT_ID: 'organizations', TOKEN_CLIENT_SECRET: '' }).length, 1)
    t.same(scopes({ AZURE_TENANT_ID: 'contoso.onmicrosoft.com' }).length, 1)
  })

  const refused: Record<string, { env: Record<string, string>; names: string[]; found?: RegExp }> = {
    'everything missing but the cloud': {
      env: { AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us' },
      names: ['AZURE_TENANT_ID', 'TOKEN_CLIENT_ID', 'TOKEN_CLIENT_SECRET', 'AZURE_CLIENT_ID'],
    },
    'everything wrong at once': {
      env: {
        AZURE_AUTHORITY_HOST: 'http://localhost:8443',
        AZURE_TENANT_ID: `${SECRET} `,
        AZURE_CLIENT_ID: SECRET,
        TOKEN_CLIENT_ID: SECRET,
        TOKEN_CLIENT_SECRET: SECRET,
        TOKEN_CLIENT_CERTIFICATE_PATH: 'caller.pem',
        HTTPS_PROXY: `proxy:${SECRET}`,
      },
      names: [
        'AZURE_AUTHORITY_HOST',
        'AZURE_TENANT_ID',
        'TOKEN_CLIENT_ID',
        'TOKEN_CLIENT_SECRET',
        'AZURE_CLIENT_ID',
        'HTTPS_PROXY',
      ],
      found: /plain http, not even on loopback/,
    },
    'a tenant in the authority': {
      env: { ...ENTRA, AZURE_AUTHORITY_HOST: `https://login.microsoftonline.com/${GUID}` },
      names: ['AZURE_AUTHORITY_HOST'],
      found: /more than an origin/,
    },
    'an authority that is no URL': {
      env: { ...ENTRA, AZURE_AUTHORITY_HOST: 'login.microsoftonline.com' },
      names: ['AZURE_AUTHORITY_HOST'],
      found: /not an https URL/,
    },
    'an application at a shared endpoint': {
      env: { ...ENTRA, AZURE_TENANT_ID: 'common' },
      names: ['AZURE_TENANT_ID'],
      found: /exactly one/,
    },
  }
  for (const [situation, { env, names, found }] of Object.entries(refused)) {
    t.test(`${situation}: every problem at once, no value repeated`, async t => {
      try {
        readTokenSettings(env, undefined, 'client-credentials')
        t.fail('accepted')
      } catch (error) {
        t.type(error, Misconfigured)
        const { problems, message } = error as Misconfigured
        t.same(
          problems.map(problem => problem.name),
          names,
        )
        t.notMatch(message, /sup3r|s3cret/)
        if (found) t.match(message, found)
      }
    })
  }
})

t.test('usage', async t => {
  const wrong: Record<string, [args: string[], says: RegExp]> = {
    'an unknown option': [['--scop', 'x'], /Unknown option '--scop'\. Options: --scope, --claims, --json/],
    'an unknown way': [
      ['password'],
      /unknown way to a token: password\. Known: client-credentials, managed-/,
    ],
    'two ways': [['interactive', 'device-code'], /one way to a token at a time, not also device-code/],
    'a person by another way': [
      ['device-code', '--as', 'ada'],
      /goes with interactive, not with device-code/,
    ],
    'an unknown person': [['--as', 'eve'], /nobody here is called eve\. Known: ada/],
    'claims that are not JSON': [['--claims', '{'], /--claims takes a claims request as JSON, .* not \{/],
    'claims that are no object': [['--claims', '[]'], /--claims takes a claims request as JSON, for example/],
    'no time at all': [['--timeout', '0'], /--timeout takes seconds, more than 0 and at most 3600, not 0/],
    'time that is no number': [['--timeout', ' '], /--timeout takes seconds/],
    'an option without its value': [['--timeout'], /'--timeout <value>' argument missing/],
  }
  for (const [situation, [args, says]] of Object.entries(wrong)) {
    t.test(`${situation}: exit code 2 and what is allowed`, async t => {
      const { code, out, err } = await run(args, { localTenant: LOCAL })
      t.equal(code, 2)
      t.equal(out, '')
      t.match(err, says)
      t.match(err, /Try --help/)
    })
  }

  t.test('a person away from the local tenant: exit code 2', async t => {
    const { code, err } = await run(['--as', 'ada'], { env: ENTRA, localTenant: LOCAL })
    t.equal(code, 2)
    t.match(err, /--as works at the local tenant only/)
  })

  t.test('no local tenant: exit code 78, with and without a person', async t => {
    for (const args of [[], ['--as', 'ada']]) {
      const { code, out, err } = await run(args)
      t.equal(code, 78)
      t.equal(out, '')
      t.match(err, /no local tenant is running here: start it with `npm run dev`/)
    }
  })

  t.test('help: on stdout, with the people who live here, and no promise that is not kept', async t => {
    const { code, out, err } = await run(['--help'], { localTenant: LOCAL })
    t.equal(code, 0)
    t.equal(err, '')
    t.match(out, /EXAMPLES/)
    t.match(out, /ada +has consented/)
    t.notMatch(out, /%/)
    t.notMatch((await run(['-h'])).out, /Here:|%/)
  })

  t.test('a person at a terminal: red, unless declined', async t => {
    t.match((await run(['x'], { isTTY: true })).err, '\u001b[31merror:')
    t.match((await run(['x'], { isTTY: true, env: { NO_COLOR: '1' } })).err, /^error:/)
    t.match((await run(['x'])).err, /^error:/)
  })
})

t.test('the browser', async t => {
  t.test('what may be shown: https, and plain http on loopback', async t => {
    for (const url of [
      'https://login.example/a?b=c',
      'http://localhost:8444/',
      'http://127.0.0.1',
      'http://[::1]:1/',
    ]) {
      t.ok(isShowable(url), url)
    }
    for (const url of [
      'http://login.example/',
      'file:///etc/passwd',
      'calc.exe',
      '--help',
      'javascript:alert(1)',
    ]) {
      t.notOk(isShowable(url), url)
    }
  })

  t.test('the opener of the platform: gets the URL as one argument; what it says is told', async t => {
    const bin = t.testdir({
      'xdg-open': '#!/bin/sh\nprintf %s "$1" > "$(dirname "$0")/seen"; exit 3\n',
    })
    await chmod(join(bin, 'xdg-open'), 0o755)
    const url = 'https://login.example/?a=1&b=$(id)'
    const why = await new Promise(failed =>
      openInBrowser(url, 'linux', { PATH: `${bin}:/bin:/usr/bin` }, failed),
    )
    t.equal(why, 'xdg-open ended with 3')
    t.equal(await readFile(join(bin, 'seen'), 'utf8'), url)
  })

  t.test('no opener: told', async t => {
    const why = (platform: string) =>
      new Promise(failed => openInBrowser('https://x.example', platform, { PATH: '/nonexistent' }, failed))
    t.match(await why('linux'), /xdg-open ENOENT/)
    t.match(await why('darwin'), /open ENOENT/)
    t.match(await why('win32'), /rundll32 ENOENT/)
  })
})

t.test('the network', async t => {
  const network = (t: Test, options: Parameters<typeof createNetwork>[0]) => {
    const made = createNetwork(options)
    t.teardown(() => made.close())
    return made
  }

  t.test('an answer that takes too long, drop by drop: time-out for the whole exchange', async t => {
    const origin = await serve(t, (_, res) => {
      res.write('{')
      const drip = setInterval(() => res.write(' '), 20)
      res.on('close', () => clearInterval(drip))
    })
    const { msal, failures } = network(t, { timeoutMs: 200 })
    await t.rejects(msal.sendGetRequestAsync(`${origin}/slow?code=secret`), { name: 'AuthError' })
    t.same(failures, [`GET ${origin}/slow: no complete answer within 0.2 s`])
  })

  t.test('an answer without end: cut off', async t => {
    const origin = await serve(t, (_, res) => {
      const pour = () => {
        while (res.write('x'.repeat(65_536)));
      }
      res.on('drain', pour)
      pour()
    })
    const { msal, failures } = network(t, {})
    await t.rejects(msal.sendPostRequestAsync(origin, { body: 'a=b', headers: FORM }))
    t.same(failures, [`POST ${origin}/: an answer of more than 1048576 bytes`])
  })

  t.test('a redirect, a page, a list: not followed, not taken for JSON', async t => {
    const origin = await serve(t, (req, res) => {
      if (req.url === '/away') res.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()
      else if (req.url === '/page') res.writeHead(502, { 'content-type': 'text/html' }).end('<p>bad gateway')
      else res.end('null')
    })
    const { msal, failures, refusals } = network(t, {})
    for (const path of ['/away', '/page', '/list']) await t.rejects(msal.sendGetRequestAsync(origin + path))
    t.same(failures, [
      `GET ${origin}/away: answered 302 with no content type, not a JSON object`,
      `GET ${origin}/page: answered 502 with text/html, not a JSON object`,
      `GET ${origin}/list: answered 200 with no content type, not a JSON object`,
    ])
    t.same(refusals, [])
  })

  t.test('a proxy: for the world, never for loopback, not for NO_PROXY', async t => {
    const asked: string[] = []
    const proxy = createServer()
    proxy.on('connect', (req, socket) => {
      asked.push(req.url!)
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    })
    await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
    t.teardown(() => proxy.close())
    const origin = await serve(t, (_, res) => res.end('{}'))
    const { send, failures } = network(t, {
      proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
      noProxy: 'direct.invalid',
    })
    t.equal((await send('GET', origin)).text, '{}')
    await t.rejects(send('GET', 'https://direct.invalid/'))
    t.same(asked, [])
    await t.rejects(send('GET', 'https://login.invalid/x'))
    t.same(asked, ['login.invalid:443'])
    t.match(failures.at(-1), /^GET https:\/\/login\.invalid\/x: .*403/)
  })
})

t.test('the cache', async t => {
  const EMPTY = '{"Account":{},"IdToken":{},"AccessToken":{},"RefreshToken":{},"AppMetadata":{}}'
  /** What MSAL hands to the plugin, reduced to what the plugin uses. */
  const context = (text: string, changed: boolean, seen: string[] = []) =>
    new TokenCacheContext(
      {
        serialize: () => text,
        deserialize: (read: string) => {
          seen.push(read)
          if (read !== '') JSON.parse(read)
        },
      },
      changed,
    )

  t.test('where it is: beside the local tenant, else where XDG says', async t => {
    const where = (env: Record<string, string>, local: boolean) =>
      cacheFile({ env, cwd: '/w', home: '/h' }, local)
    t.equal(where({}, true), '/w/.local-tenant/msal-cache.json')
    t.equal(where({ LOCAL_TENANT_STATE: '/s' }, true), '/s/msal-cache.json')
    t.equal(where({}, false), '/h/.cache/protected-resource/msal-cache.json')
    t.equal(where({ XDG_CACHE_HOME: '/x' }, false), '/x/protected-resource/msal-cache.json')
    t.equal(where({ XDG_CACHE_HOME: 'x' }, false), '/h/.cache/protected-resource/msal-cache.json')
  })

  t.test('written for its owner alone, under a lock from before to after', async t => {
    const folder = join(t.testdir(), 'new')
    const file = join(folder, 'cache.json')
    const plugin = fileCache(file, text => t.fail(text))
    await plugin.beforeCacheAccess(context('', false))
    t.equal(await check(file, { realpath: false }), true, 'locked')
    await plugin.afterCacheAccess(context(EMPTY, true))
    t.equal(await check(file, { realpath: false }), false, 'released')
    t.equal((await stat(file)).mode & 0o777, 0o600)
    t.equal((await stat(folder)).mode & 0o777, 0o700)
    t.same(await readdir(folder), ['cache.json'], 'nothing else is left')
  })

  t.test('nothing changed: not written; the next reader sees what another run wrote', async t => {
    const file = join(t.testdir(), 'cache.json')
    const plugin = fileCache(file, text => t.fail(text))
    const seen: string[] = []
    await plugin.beforeCacheAccess(context('', false, seen))
    await plugin.afterCacheAccess(context('{"a":1}', false))
    t.notOk(existsSync(file))
    await writeFile(file, EMPTY)
    await plugin.beforeCacheAccess(context('', false, seen))
    await plugin.afterCacheAccess(context('', false))
    t.same(seen, ['', EMPTY])
  })

  t.test('damaged: reported, ignored, replaced', async t => {
    const file = join(t.testdir({ 'cache.json': '{"Account":' }), 'cache.json')
    const said: string[] = []
    const seen: string[] = []
    const plugin = fileCache(file, text => said.push(text))
    await plugin.beforeCacheAccess(context('', false, seen))
    await plugin.afterCacheAccess(context(EMPTY, true))
    t.match(said, [/cache\.json is damaged: ignored/])
    t.equal(seen.at(-1), '', 'MSAL starts with an empty one')
    t.equal(await readFile(file, 'utf8'), EMPTY)
  })

  t.test(
    'a folder that cannot be made, a file that is none: reported, and the run goes on without',
    async t => {
      const folder = t.testdir({ file: '', cache: {} })
      const said: string[] = []
      const blocked = fileCache(join(folder, 'file', 'cache.json'), text => said.push(text))
      await blocked.beforeCacheAccess(context('', false))
      await blocked.afterCacheAccess(context(EMPTY, true))
      const odd = fileCache(join(folder, 'cache'), text => said.push(text))
      await odd.beforeCacheAccess(context('', false))
      await odd.afterCacheAccess(context(EMPTY, true))
      t.match(said, [/not used: EEXIST/, /not read: EISDIR/, /not written: EISDIR/])
      t.same((await readdir(folder)).sort(), ['cache', 'file'], 'no temporary file is left')
    },
  )

  t.test('a lock that somebody took away: reported', async t => {
    const file = join(t.testdir(), 'cache.json')
    const said: string[] = []
    const plugin = fileCache(file, text => said.push(text))
    await plugin.beforeCacheAccess(context('', false))
    await unlock(file, { realpath: false })
    await plugin.afterCacheAccess(context('', false))
    t.match(said, [/lock of the token cache .* was lost: Lock is already released/])
  })

  t.test('a lock that is held: waited for', async t => {
    const file = join(t.testdir(), 'cache.json')
    const release = await lock(file, { realpath: false })
    const plugin = fileCache(file, text => t.fail(text))
    let entered = false
    const entering = plugin.beforeCacheAccess(context('', false)).then(() => {
      entered = true
    })
    await new Promise(resolve => setImmediate(resolve))
    t.equal(entered, false)
    await release()
    await entering
    await plugin.afterCacheAccess(context('', false))
  })
})

t.test('cached accounts: those of this host and tenant, guests included', async t => {
  const account = (username: string, environment: string, tenantId: string, ...guestOf: string[]) =>
    ({ username, environment, tenantId, tenantProfiles: new Map(guestOf.map(id => [id, {}])) }) as AccountInfo
  const other = GUID.replace('1', '9')
  const app = {
    getAllAccounts: async () => [
      account('ada', 'login.microsoftonline.com', GUID),
      account('gus', 'login.microsoftonline.com', other, GUID),
      account('eve', 'login.microsoftonline.com', other),
      account('ida', 'localhost:8443', GUID),
    ],
  } as PublicClientApplication
  const names = async (tenant: string) => {
    const settings = readTokenSettings({ ...ENTRA, AZURE_TENANT_ID: tenant }, undefined, 'interactive')
    return (await accountsOf(app, settings)).map(one => one.username)
  }
  t.same(await names(GUID), ['ada', 'gus'])
  t.same(await names('common'), ['ada', 'gus', 'eve'])
})

t.test('the certificate', async t => {
  const mine = await createRsaKey('mine')
  const other = await createRsaKey('other')
  const read = async (text: string) =>
    readPem(join(t.testdir({ 'caller.pem': text }), 'caller.pem'), 'TOKEN_CLIENT_CERTIFICATE_PATH')

  t.test('key and chain in any order: the certificate of the key leads', async t => {
    const { thumbprintSha256, privateKey, x5c } = await read(
      [other.certificate, mine.certificate, mine.privateKey].join('\n'),
    )
    t.equal(thumbprintSha256, new X509Certificate(mine.certificate).fingerprint256.replaceAll(':', ''))
    t.match(privateKey, /^-----BEGIN PRIVATE KEY-----/)
    t.equal(x5c.split('BEGIN').length, 3, 'the chain comes along')
    t.equal(new X509Certificate(x5c).subject, 'CN=mine', 'the leaf leads')
  })

  const wrong: Record<string, [text: string, says: RegExp]> = {
    'no certificate': [mine.privateKey, /found no certificate at/],
    'no key': [mine.certificate, /found no private key without a pass phrase at/],
    'a foreign certificate': [
      mine.privateKey + other.certificate,
      /no certificate that belongs to the private key/,
    ],
    'a broken certificate': [
      `${mine.privateKey}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----`,
      /does not parse/,
    ],
  }
  for (const [situation, [text, says]] of Object.entries(wrong)) {
    t.test(`${situation}: named, with no word of the content`, async t => {
      const error = await read(text).catch((error: Error) => error)
      t.type(error, Misconfigured)
      t.match((error as Error).message, says)
      t.notMatch((error as Error).message, /BEGIN|AAAA/)
    })
  }

  t.test('no file: the command ends with 78', async t => {
    const env = { TOKEN_CLIENT_CERTIFICATE_PATH: '/nonexistent/caller.pem' }
    const { code, out, err } = await run(['--no-cache'], { env, localTenant: LOCAL })
    t.equal(code, 78)
    t.equal(out, '')
    t.match(err, /TOKEN_CLIENT_CERTIFICATE_PATH: found ENOENT at \/nonexistent\/caller\.pem/)
  })
})

t.test('what people read', async t => {
  const settings = readTokenSettings(ENTRA, undefined, 'client-credentials')
  const describe = (error: Error, seen: { failures?: string[]; refusals?: OAuthError[] } = {}) =>
    describeFailure(error, { ...createNetwork({}), failures: [], refusals: [], ...seen }, settings)
  const wrap = (text: string) =>
    `Error(s): 1 - Timestamp: x - Description: ${text} - Correlation ID: c - Trace ID: t`

  const cases: Record<string, [text: string, says: RegExp, error?: string]> = {
    'a secret that has expired': [
      'AADSTS7000222: The provided client secret keys are expired.',
      /add a new one/,
    ],
    'a tenant that is not there': ['AADSTS90002: Tenant not found.', /check AZURE_TENANT_ID: this cloud/],
    'a scope that is not .default': ['AADSTS1002012: The provided value', /ends in \/\.default/],
    'a number without advice, a word with': [
      'AADSTS1: x',
      /check the client id and its cred/,
      'invalid_client',
    ],
    'another issuer': ['too many cats\r\nsecond line', /^too many cats \(odd\)\n {2}asked: https/, 'odd'],
    'no description': ['', /^odd\n {2}asked/, 'odd'],
    'text that would move the cursor': [
      'AADSTS90002: \u001b[2Jgone\u202e',
      /^AADSTS90002: {2}\[2Jgone {2}\(/,
    ],
  }
  for (const [situation, [text, says, error = 'invalid_request']] of Object.entries(cases)) {
    t.test(`${situation}: the issuer's first line, and what to do`, async t => {
      t.match(describe(new ServerError(error, '', wrap(text))), says)
    })
  }

  t.test('interaction required: code, suberror, advice, correlation id, place', async t => {
    const error = new InteractionRequiredAuthError(
      'invalid_grant',
      'abc',
      'AADSTS65001: No consent.',
      'consent_required',
    )
    t.equal(
      describe(error),
      `AADSTS65001: No consent. (invalid_grant, consent_required)
  what to do: nobody has consented: use interactive, or have an administrator grant the permission
  asked: https://login.microsoftonline.com/${GUID} as client ${ENTRA.TOKEN_CLIENT_ID}
  correlation id: abc`,
    )
  })

  t.test('what MSAL hides: taken from the network', async t => {
    const hidden = new AuthError('endpoints_resolution_error', '', 'See https://aka.ms/x')
    t.match(
      describe(hidden, { refusals: [{ error: 'invalid_tenant' }] }),
      /^invalid_tenant\n {2}what to do: check AZ/,
    )
    const cause = (text: string) => describe(hidden, { failures: [`GET https://h/x: ${text}`] })
    t.match(
      cause('ECONNREFUSED'),
      /^could not reach the issuer: GET https:\/\/h\/x: ECONNREFUSED\n.*nothing listens/,
    )
    t.match(cause('ENOTFOUND'), /the host name is not known/)
    t.match(cause('SELF_SIGNED_CERT_IN_CHAIN'), /NODE_EXTRA_CA_CERTS/)
    t.match(cause('no complete answer within 10 s'), /HTTPS_PROXY/)
    t.match(cause('answered 502'), /^GET https:\/\/h\/x: answered 502\n {2}asked/)
    t.match(describe(hidden), /^See https:\/\/aka\.ms\/x/)
    t.match(describe(new Error('the page is odd')), /^the page is odd\n {2}asked/)
  })

  t.test('the time is over: work that fails then is not heard', async t => {
    let fail: (error: Error) => void = () => {}
    const work = new Promise<string>((_, reject) => {
      fail = reject
    })
    const stop = async () => fail(new Error('stopped'))
    const error = await within(work, 0.01, stop).catch((error: Error) => error)
    t.match(describe(error as Error), /^no answer within 0\.01 s\n {2}what to do: try again, or wait longer/)
    t.equal(await within(Promise.resolve('done'), 1), 'done')
    await t.rejects(within(Promise.reject(new Error('early')), 1), { message: 'early' })
    await t.rejects(within(new Promise(() => {}), 0.01), { name: 'GaveUp' })
  })
})

t.test('the pages', async t => {
  const [person] = LOCAL.people
  const world = async (t: Test, listener: RequestListener) => {
    const pages = await serve(t, listener)
    const network = createNetwork({})
    t.teardown(() => network.close())
    const url = `${pages}/authorize?redirect_uri=${encodeURIComponent('http://127.0.0.1:1')}`
    return { url, signIn: () => signInAs(person!, url, { ...LOCAL, pages }, network) }
  }

  t.test('forms: as a browser would read them', async t => {
    const forms =
      readForms(`<FORM method=post action='/a?b=1&amp;c=2'><input type="hidden" name="x" value="&quot;&#39;&#x41;&bogus;">
      <button name="person" value="ada">Ada</button><input disabled name='free'><button>Next</button></FORM><form></form>`)
    t.same(forms, [
      {
        action: '/a?b=1&c=2',
        hidden: [['x', `"'A&bogus;`]],
        choices: [
          ['person', 'ada'],
          ['free', ''],
        ],
      },
      { action: '', hidden: [], choices: [] },
    ])
  })

  t.test('a page that does not offer the person: said', async t => {
    const { signIn } = await world(t, (_, res) => res.end('<form><button name="person" value="bob"></form>'))
    await t.rejects(signIn(), { message: 'the sign-in page does not offer ada' })
  })

  t.test('a form that leads elsewhere: not sent', async t => {
    const { signIn } = await world(t, (_, res) =>
      res.end(
        '<form action="https://evil.example/"><button name="person" value="ada@local.localhost"></form>',
      ),
    )
    await t.rejects(signIn(), { message: /a sign-in form leads to https:\/\/evil\.example, not to http:/ })
  })

  t.test('an error page: its text is told', async t => {
    const { signIn } = await world(t, (req, res) =>
      req.method === 'GET'
        ? res.end('<form><button name="person" value="ada"></form>')
        : res.writeHead(400).end('<style>p{}</style><h1>Sorry</h1> <p>AADSTS50011: &lt;mismatch&gt;</p>'),
    )
    await t.rejects(signIn(), {
      message: 'the sign-in page answered 400 without a way back: Sorry AADSTS50011: <mismatch>',
    })
  })

  t.test('a page of somebody else: not even fetched', async t => {
    const network = createNetwork({})
    await t.rejects(signInAs(person!, 'https://evil.example/authorize', LOCAL, network), {
      message: /https:\/\/evil\.example is not the local tenant's page port/,
    })
    await network.close()
  })
})

/** Posts a form as a page would. */
async function post(url: string, fields: Record<string, string>): Promise<string> {
  const answer = await fetch(url, { method: 'POST', headers: FORM, body: new URLSearchParams(fields) })
  return answer.text()
}

/** Presses Cancel on the sign-in page, and lets the answer go home. */
async function cancelSignIn(url: string): Promise<void> {
  const [form] = readForms(await (await fetch(url)).text())
  const sent = await post(new URL(form!.action, url).href, {
    ...Object.fromEntries(form!.hidden),
    cancel: '1',
  })
  const [back] = readForms(sent)
  await post(back!.action, Object.fromEntries(back!.hidden))
}

t.test('over the wire', async t => {
  const tenant = await startLocalTenant({ port: 0 })
  t.teardown(() => tenant.close())
  const { profile } = tenant
  const people = profile.people
  /** A folder of its own, so that no test sees the cache of another. */
  const home = (t: Test, files = {}) => ({ cwd: t.testdir(files), localTenant: profile as LocalTenant })
  const payload = ({ code, out, err }: Outcome) => {
    if (code !== 0) throw new Error(err)
    return decodeJwt(out)
  }

  t.test('client credentials by secret: the token alone on stdout, and again from the cache', async t => {
    const world = home(t)
    const first = await run([], world)
    t.match(first, { code: 0, err: '', out: /^[\w-]+\.[\w-]+\.[\w-]+\n$/ })
    t.match(payload(first), {
      aud: profile.api.clientId,
      azp: profile.daemon.clientId,
      roles: ['Data.Read.All'],
    })
    t.equal((await run(['client-credentials'], world)).out, first.out, 'the cache answers')
    t.not((await run(['--no-cache'], world)).out, first.out, 'a fresh one')
    t.not((await run(['--claims', '{"access_token":{}}'], world)).out, first.out, 'claims are never cached')
    const file = join(world.cwd, '.local-tenant', 'msal-cache.json')
    t.equal((await stat(file)).mode & 0o777, 0o600)
    t.same(await readdir(join(world.cwd, '.local-tenant')), ['msal-cache.json'], 'no lock is left')
  })

  t.test('client credentials by certificate: proven by a signature', async t => {
    const { certificate, privateKey } = tenant.daemonCertificate
    const world = home(t, { 'caller.pem': `${privateKey}\n${certificate}` })
    const env = { TOKEN_CLIENT_CERTIFICATE_PATH: join(world.cwd, 'caller.pem') }
    t.match(payload(await run([], { ...world, env })), { azp: profile.daemon.clientId, azpacr: '2' })
  })

  t.test('the daemon without a role, and a region forced by the environment: that one, and here', async t => {
    process.env.MSAL_FORCE_REGION = 'westus'
    t.teardown(() => delete process.env.MSAL_FORCE_REGION)
    const env = { TOKEN_CLIENT_ID: profile.daemonWithoutRole.clientId }
    const outcome = await run(['--json', '--no-cache'], { ...home(t), env })
    t.match(JSON.parse(outcome.out), { token_type: 'Bearer', account: null })
    const claims = payload(unwrap(outcome))
    t.equal(claims.azp, profile.daemonWithoutRole.clientId)
    t.notOk(claims.roles)
  })

  /** Turns the result of `--json` back into what goes without it. */
  function unwrap(outcome: Outcome): Outcome {
    return { ...outcome, out: outcome.code === 0 ? `${JSON.parse(outcome.out).access_token}\n` : '' }
  }

  t.test('--as ada: signed in by the code flow, the second time without a page', async t => {
    const world = home(t)
    const first = await run(['--as', 'ada', '--json'], world)
    t.equal(first.err, `Signed in: Ada Lovelace, ada@local.localhost (tenant ${profile.tenantId})\n`)
    t.match(JSON.parse(first.out), {
      token_type: 'Bearer',
      account: 'Ada Lovelace',
      scopes: [`api://${profile.api.clientId}/Data.Read`],
      expires_on: /^\d{4}-\d\d-\d\dT/,
    })
    const ada = payload(unwrap(first))
    t.match(ada, { azp: profile.publicClient.clientId, scp: /\bData\.Read\b/ })

    const noPages = { ...profile, pages: 'http://localhost:1' }
    const second = await run(['--as', 'ada'], { ...world, localTenant: noPages })
    t.equal(payload(second).oid, ada.oid)
    const bob = await run(['--as', 'bob'], { ...world, localTenant: noPages })
    t.equal(bob.code, 1, 'somebody else has to sign in')
    t.match(bob.err, /is not the local tenant's page port/)
  })

  t.test('bob, gus, and ada after her sessions were revoked: each with what they have', async t => {
    const world = home(t)
    const bob = payload(await run(['--as', 'bob'], world))
    t.match(bob, { name: 'Bob Noether' })
    t.notMatch(bob.scp, /Data\.Read/)
    t.match(payload(await run(['--as', 'gus', '--scope', 'Data.Read'], world)), { scp: 'Data.Read' })
    const ada = payload(await run(['--as', 'ada'], world))
    tenant.revokeSessions('ada')
    t.equal(payload(await run(['--as', 'ada'], world)).oid, ada.oid)
  })

  t.test('device code: message for people, token after approval, then the cached sign-in', async t => {
    const world = home(t)
    const heard: string[] = []
    const hear = async (text: string) => {
      const [, page, code] = /(http:\S+) and enter the code (\w+)/.exec(text) ?? []
      if (!code) return
      heard.push(text)
      await post(page!, { user_code: code, person: 'ada' })
    }
    const first = await run(['device-code'], { ...world, hear })
    t.match(payload(first), { name: 'Ada Lovelace' })
    t.equal(heard.length, 1)
    t.match(payload(await run(['device-code'], { ...world, hear })), { name: 'Ada Lovelace' })
    t.equal(heard.length, 1, 'not asked again')
  })

  t.test('device code declined: said', async t => {
    const hear = (text: string) => {
      const code = /enter the code (\w+)/.exec(text)?.[1]
      if (code) void post(`${profile.pages}/devicelogin`, { user_code: code, cancel: '1' })
    }
    const { code, out, err } = await run(['device-code'], { ...home(t), hear })
    t.equal(code, 1)
    t.equal(out, '')
    t.match(err, /AADSTS65004: .*\(authorization_declined\)\n {2}what to do: .*declined/)
  })

  t.test('device code that nobody enters: given up in time', async t => {
    const { code, err } = await run(['device-code', '--timeout', '0.5'], home(t))
    t.equal(code, 1)
    t.match(err, /enter the code[\s\S]*error: no answer within 0\.5 s/)
  })

  t.test('an unknown client: the issuer says so, by every way', async t => {
    const env = { TOKEN_CLIENT_ID: GUID, TOKEN_CLIENT_SECRET: SECRET }
    for (const how of ['client-credentials', 'device-code']) {
      const { code, err } = await run([how], { ...home(t), env })
      t.equal(code, 1)
      t.match(err, /AADSTS700016: .*\n {2}what to do: check the client id/)
    }
    const { err } = await run(['--as', 'ada'], { ...home(t), env })
    t.match(err, /the sign-in page answered|does not offer ada/)
  })

  t.test('interactive, cancelled on the page: said', async t => {
    const { code, out, err } = await run(['interactive'], { ...home(t), openBrowser: cancelSignIn })
    t.equal(code, 1)
    t.equal(out, '')
    t.match(err, /^Sign in in the browser, within 300 s/)
    t.match(err, /AADSTS65004: .*\(access_denied\)/)
  })

  t.test('interactive, the window closed: given up in time, and nothing listens any more', async t => {
    let redirectUri = ''
    const openBrowser = async (url: string) => {
      redirectUri = new URL(url).searchParams.get('redirect_uri')!
    }
    const { code, out, err } = await run(['interactive', '--timeout', '0.5'], { ...home(t), openBrowser })
    t.equal(code, 1)
    t.equal(out, '')
    t.match(err, /error: no answer within 0\.5 s\n {2}what to do: try again, or wait longer with --timeout/)
    await t.rejects(fetch(redirectUri))
  })

  t.test('interactive before a page was shown: given up in time', async t => {
    tenant.slow(60_000)
    const { code, err } = await run(['interactive', '--timeout', '0.2'], home(t))
    tenant.slow(0)
    t.equal(code, 1)
    t.match(err, /no answer within 0\.2 s/)
  })

  t.test('--no-browser, a browser that fails, and none at all: the URL is printed', async t => {
    const ada = people.find(person => person.handle === 'ada')!
    const network = createNetwork({})
    t.teardown(() => network.close())
    const hear = (text: string) => {
      const url = /^http:\S+$/m.exec(text)?.[0]
      if (url) void signInAs(ada, url, profile, network)
    }
    const worlds: [args: string[], world: World, says: RegExp][] = [
      [['--no-browser'], {}, /^Sign in here, within 300 s:\nhttp:/],
      [
        [],
        { openBrowser: async () => Promise.reject(new Error('no display')) },
        /No browser opens \(no display\)/,
      ],
      [
        [],
        { env: { PATH: '/nonexistent' } },
        /No browser opens \(spawn xdg-open ENOENT\)\. Sign in here:\nhttp:/,
      ],
    ]
    for (const [args, world, says] of worlds) {
      const outcome = await run(['interactive', ...args], { ...home(t), ...world, hear })
      t.match(payload(outcome), { name: 'Ada Lovelace' })
      t.match(outcome.err, says)
    }
  })

  t.test('a wrong secret: what to do, and no part of it repeated', async t => {
    const { code, out, err } = await run([], { ...home(t), env: { TOKEN_CLIENT_SECRET: SECRET } })
    t.equal(code, 1)
    t.equal(out, '')
    t.match(err, /^error: AADSTS7000215: .*\(invalid_client\)\n {2}what to do: the secret must be its value/)
    t.match(
      err,
      new RegExp(`asked: ${profile.authority}/${profile.tenantId} as client ${profile.daemon.clientId}`),
    )
    t.match(err, /correlation id: \w+/)
    t.notMatch(err, /sup3r|s3cret/)
  })

  t.test('a tenant that is not there: said, though MSAL swallows it', async t => {
    const { err } = await run([], { ...home(t), localTenant: { ...profile, tenantId: GUID } })
    t.match(err, /AADSTS90002: .*\n {2}what to do: check AZURE_TENANT_ID/)
  })

  t.test('a certificate that is not trusted: the true cause', async t => {
    const { certificate } = await createAuthority()
    const stale = await run([], { ...home(t), localTenant: { ...profile, ca: certificate } })
    t.equal(stale.code, 1)
    t.match(
      stale.err,
      /could not reach the issuer: GET https:\/\/localhost:\d+\/\S+: (UNABLE|SELF|CERT|ERR)_\w+/,
    )
    t.match(stale.err, /start it with `npm run dev`/)
    const env = { ...ENTRA, AZURE_AUTHORITY_HOST: profile.authority }
    const foreign = await run(['--no-cache'], { env })
    t.match(
      foreign.err,
      /: (UNABLE|SELF|CERT|ERR)_\w+.*\n {2}what to do: its certificate is not trusted: name/,
    )
  })

  t.test('nothing listens: the true cause', async t => {
    const { err } = await run(['--as', 'ada'], {
      ...home(t),
      localTenant: { ...profile, authority: 'https://localhost:1' },
    })
    t.match(err, /could not reach the issuer: GET https:\/\/localhost:1\/\S+: ECONNREFUSED/)
  })

  t.test('a sign-in page that is not https: not shown', async t => {
    const authority = await createAuthority()
    const { certificate: cert, privateKey: key } = await createServerCertificate(authority)
    const server = createTlsServer({ cert, key }, (req, res) => {
      const origin = `https://${req.headers.host}`
      res.end(
        JSON.stringify({
          issuer: `${origin}/${profile.tenantId}/v2.0`,
          authorization_endpoint: 'http://evil.example/authorize',
          token_endpoint: `${origin}/token`,
          jwks_uri: `${origin}/keys`,
        }),
      )
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => server.close())
    const origin = `https://localhost:${(server.address() as AddressInfo).port}`
    const localTenant = { ...profile, authority: origin, ca: authority.certificate }
    const { code, err } = await run(['interactive'], { ...home(t), localTenant })
    t.equal(code, 1)
    t.match(err, /the issuer names a sign-in page that is not https: http:\/\/evil\.example/)
  })

  t.test('runs at the same time on one cache: every token arrives, nothing is lost', async t => {
    const world = home(t)
    const runs = [[], ['--as', 'ada'], ['--as', 'bob'], ['--as', 'gus'], [], ['--as', 'ada']]
    for (const outcome of await Promise.all(runs.map(args => run(args, world)))) {
      t.match(outcome, { code: 0, err: /^(Signed in: [^\n]+\n)?$/ })
    }
    const cache = JSON.parse(await readFile(join(world.cwd, '.local-tenant', 'msal-cache.json'), 'utf8'))
    t.equal(Object.keys(cache.Account).length, 3)
    t.equal(Object.keys(cache.RefreshToken).length, 3)
    t.ok(Object.keys(cache.AccessToken).length >= 4)
    t.match(await run(['device-code', '--timeout', '0.3'], world), { code: 1 }, 'three sign-ins: which one?')
  })

  t.test('a damaged cache: a note, and the token all the same', async t => {
    const world = home(t, { '.local-tenant': { 'msal-cache.json': 'nonsense' } })
    const outcome = await run([], world)
    t.match(payload(outcome), { azp: profile.daemon.clientId })
    t.match(outcome.err, /^note: the token cache .* is damaged: ignored/)
    t.match(await run([], world), { code: 0, err: '' }, 'mended')
  })

  t.test('stdout that breaks: not taken for a refusal of usage', async t => {
    const broken = {
      write: () => {
        throw new Error('EPIPE')
      },
    }
    await t.rejects(runToken(['--help'], { ...home(t), stdout: broken } as unknown as Io), {
      message: 'EPIPE',
    })
  })

  const chromiumPath = '/usr/bin/chromium'
  const missing = existsSync(chromiumPath) ? false : `no browser at ${chromiumPath}`
  t.test(
    'interactive in a real browser that trusts nothing: signed in by a click',
    { skip: missing },
    async t => {
      const browser = await chromium.launch({
        executablePath: chromiumPath,
        args: [
          '--no-sandbox',
          '--disable-gpu',
          '--disable-quic',
          '--no-first-run',
          '--disable-dev-shm-usage',
        ].concat('--disable-background-networking', '--disable-component-update', '--disable-sync'),
      })
      t.teardown(() => browser.close())
      const page = await browser.newPage()
      const openBrowser = async (url: string) => {
        // Not awaited, as no browser is: MSAL waits for the answer itself.
        void page.goto(url).then(() => page.getByRole('button', { name: 'Ada Lovelace' }).click())
      }
      const outcome = await run(['interactive', '--scope', 'Data.Read'], { ...home(t), openBrowser })
      t.match(payload(outcome), { name: 'Ada Lovelace', scp: 'Data.Read' })
      await page.getByText('Signed in. You can close this window').waitFor()
    },
  )
})

t.test('the process', async t => {
  const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
  const launch = (cwd: string, args: string[], env: Record<string, string> = {}) => {
    const inherited = Object.entries(process.env).filter(([name]) => !/^(AZURE|TOKEN)_/.test(name))
    return spawn(process.execPath, [...process.execArgv, main, ...args], {
      cwd,
      env: { ...Object.fromEntries(inherited), ...env },
    })
  }
  const start = async (cwd: string, args: string[], env: Record<string, string> = {}): Promise<Outcome> => {
    const child = launch(cwd, args, env)
    const [out, err, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit'),
    ])
    return { code, out, err }
  }

  t.test('serve without a configuration: the server refuses', async t => {
    t.match(await start(t.testdir(), ['serve']), { code: 78, out: '', err: /AZURE_TENANT_ID/ })
  })

  t.test('dev: the token command finds the local tenant, and the API takes its token', async t => {
    const cwd = t.testdir()
    // Far from 3000, where another test may be about to listen.
    const port = 20_000 + (process.pid % 10_000)
    const child = launch(cwd, ['dev'], { LOCAL_TENANT_PORT: '0', PORT: String(port) })
    t.teardown(() => child.kill('SIGKILL'))
    const ended = once(child, 'exit')
    child.stdout.resume()
    let said = ''
    const up = new Promise<void>(resolve => {
      child.stderr.on('data', chunk => {
        said += chunk
        if (/Stop with Ctrl-C/.test(said)) resolve()
      })
    })
    t.equal(await Promise.race([up.then(() => 'up'), ended.then(() => said)]), 'up')
    const localTenant = await readProfile(join(cwd, '.local-tenant'))
    const { code, out } = await run(['--as', 'ada'], { cwd, localTenant })
    t.equal(code, 0)
    const answer = await fetch(`${localTenant?.apiUrl}/secure-data`, {
      headers: { authorization: `Bearer ${out.trim()}` },
    })
    t.match(await answer.json(), { message: 'Hello Ada Lovelace, this is protected data.' })
    child.kill('SIGTERM')
    await ended
  })

  t.test('help, no command, an unknown one: 0 on stdout, 2 on stderr', async t => {
    const cwd = t.testdir()
    const [asked, none, unknown, help] = await Promise.all([
      start(cwd, ['--help']),
      start(cwd, []),
      start(cwd, ['tokn']),
      start(cwd, ['token', '--help']),
    ])
    t.match(asked, { code: 0, out: /COMMANDS/, err: '' })
    t.match(none, { code: 2, out: '', err: /COMMANDS/ })
    t.match(unknown, { code: 2, out: '', err: /unknown command: tokn/ })
    t.match(help, { code: 0, out: /EXAMPLES/, err: '' })
  })

  t.test('.env is read, the environment wins, the profile is found', async t => {
    const cwd = t.testdir({
      '.env': `AZURE_TENANT_ID=${GUID}\nTOKEN_CLIENT_ID=x\n`,
      state: {},
      bad: { '.env': {} },
    })
    const [entra, bad] = await Promise.all([
      start(cwd, ['token'], { TOKEN_CLIENT_ID: GUID }),
      start(join(cwd, 'bad'), ['token']),
    ])
    t.equal(entra.code, 78)
    t.match(entra.err, /2 configuration problems:\n {2}TOKEN_CLIENT_SECRET.*\n {2}AZURE_CLIENT_ID/)
    t.match(bad, { code: 78, out: '' }, 'a .env that is none')

    const tenant = await startLocalTenant({ port: 0, stateFolder: join(cwd, 'state') })
    t.teardown(() => tenant.close())
    const world = { LOCAL_TENANT_STATE: join(cwd, 'state'), AZURE_TENANT_ID: '', TOKEN_CLIENT_ID: '' }
    const [found, late] = await Promise.all([
      start(cwd, ['token', '--as', 'ada'], world),
      start(cwd, ['token', 'interactive', '--no-browser', '--timeout', '0.5'], world),
    ])
    t.match(found, { code: 0, err: /^Signed in: Ada Lovelace, [^\n]+\n$/ })
    t.equal(decodeJwt(found.out).name, 'Ada Lovelace')
    t.ok(existsSync(join(cwd, 'state', 'msal-cache.json')))
    t.match(late, { code: 1, out: '', err: /no answer within 0\.5 s/ }, 'and the process ends')
  })
})

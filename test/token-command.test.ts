/** Decides whether the token command keeps its promises beyond one token: credentials, several resources, sign-ins that are kept and verified, on-behalf-of, managed identity. */
import { spawn } from 'node:child_process'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { decodeJwt, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import { verifyIdToken } from '../src/cli/id-token.ts'
import type { In } from '../src/cli/io.ts'
import { createNetwork } from '../src/cli/network.ts'
import { splitByResource } from '../src/cli/resources.ts'
import { readTokenSettings } from '../src/cli/settings.ts'
import type { Wish } from '../src/cli/wish.ts'
import { createRsaKey } from '../src/local-tenant/certificates.ts'
import { ID_TOKEN_MODES } from '../src/local-tenant/id-token-modes.ts'
import { startTenant } from './helpers/api.ts'
import { type Outcome, run, type World } from './helpers/command.ts'

const GUID = '11111111-2222-3333-4444-555555555555'
const SECRET = 'sup3r~s3cret'
const GRAPH = '00000003-0000-0000-c000-000000000000'
const USER_READ = 'https://graph.microsoft.com/User.Read'
const ENTRA = { AZURE_TENANT_ID: GUID, AZURE_CLIENT_ID: GUID, TOKEN_CLIENT_ID: GUID }

/** Stdin that holds this. */
const from = (...chunks: (string | Uint8Array)[]): In =>
  (async function* () {
    yield* chunks
  })()

/** A terminal at which these keys are pressed. */
const terminal = (...keys: (string | Uint8Array)[]): In =>
  Object.assign(from(...keys), { isTTY: true, setRawMode: () => {} })

const tokensOf = ({ code, out, err }: Outcome) => {
  if (code !== 0) throw new Error(err)
  return out.trim().split('\n')
}
const claimsOf = (outcome: Outcome) => decodeJwt(tokensOf(outcome)[0]!)

t.test('what must not be an argument', async t => {
  for (const args of [['--secret', SECRET], [`--client-secret=${SECRET}`], ['--assertion', SECRET]]) {
    t.test(
      `${args[0]!.split('=')[0]}: refused, with the places that are for it, and not repeated`,
      async t => {
        const { code, out, err } = await run(args)
        t.equal(code, 2)
        t.equal(out, '')
        t.match(err, /secrets come from the environment, a file or a prompt, never from an argument/)
        t.match(err, /TOKEN_CLIENT_SECRET, TOKEN_CLIENT_CERTIFICATE_PATH or TOKEN_FEDERATED_TOKEN_FILE/)
        t.notMatch(err, SECRET)
      },
    )
  }

  t.test('a token as a word: refused, and not repeated', async t => {
    const token = `ey${'x'.repeat(60)}.y.z`
    for (const args of [[token], ['on-behalf-of', token], ['silent', token]]) {
      const { code, err } = await run(args)
      t.equal(code, 2)
      t.notMatch(err, /xxx/)
    }
    t.match((await run(['on-behalf-of', '-', token])).err, /comes from stdin or a prompt, never from an arg/)
  })

  t.test('options that go with another way: exit code 2', async t => {
    t.match((await run(['interactive', '--account', 'a'])).err, /it goes with silent, not with interactive/)
    t.match((await run(['--id-token'])).err, /it goes with interactive, device-code, silent, not with client/)
  })
})

t.test('scopes of one resource go together, those of OpenID Connect with each', async t => {
  t.same(splitByResource(['api://a/One', 'https://g/x', 'openid', 'api://a/Two']), [
    ['api://a/One', 'api://a/Two', 'openid'],
    ['https://g/x', 'openid'],
  ])
  t.same(splitByResource(['openid', 'profile']), [['openid', 'profile']])
  t.same(splitByResource(['https://v.example//.default', 'urn:x']), [
    ['https://v.example//.default'],
    ['urn:x'],
  ])
})

t.test('on-behalf-of settings: this API, its credential, and Microsoft Graph', async t => {
  const env = { ...ENTRA, AZURE_CLIENT_SECRET: SECRET, TOKEN_SCOPE: 'Data.Read' }
  const scopes = (wanted: string[]) => readTokenSettings(env, undefined, 'on-behalf-of', wanted).scopes
  t.same(scopes([]), ['https://graph.microsoft.com/.default'], 'TOKEN_SCOPE is the calling application’s')
  t.same(scopes(['User.Read', 'api://x/y', 'openid']), [USER_READ, 'api://x/y', 'openid'])
  t.throws(() => readTokenSettings(ENTRA, undefined, 'on-behalf-of'), {
    message: /AZURE_CLIENT_SECRET: found nothing, and no AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED/,
  })
})

t.test('over the wire', async t => {
  const tenant = await startTenant(t)
  const { profile } = tenant
  /** A folder of its own, so that no test sees the sign-ins of another. */
  const home = (t: Test, files = {}): World & { cwd: string } => ({
    cwd: t.testdir(files),
    localTenant: profile,
  })
  /** The same, where no page can be opened. */
  const unasked = (world: World): World => ({
    ...world,
    localTenant: { ...profile, pages: 'http://localhost:1' },
  })

  /** Federates an application with an outside issuer; gives the outside issuer's tokens. */
  const federate = (app: 'api' | 'daemon') => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const subject = `system:serviceaccount:${app}:${randomUUID()}`
    tenant.addCredential(app, {
      issuer: 'https://cluster.example',
      subject,
      publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    })
    return (sub = subject) =>
      new SignJWT({})
        .setProtectedHeader({ alg: 'RS256' })
        .setIssuer('https://cluster.example')
        .setSubject(sub)
        .setAudience('api://AzureADTokenExchange')
        .setExpirationTime('1h')
        .sign(privateKey)
  }

  t.test('the caller’s credential', async t => {
    t.test('a federated token file: proven, and read anew in every run', async t => {
      const outside = federate('daemon')
      const world = home(t, { token: `${await outside()}\n` })
      const env = { TOKEN_FEDERATED_TOKEN_FILE: join(world.cwd, 'token') }
      t.match(claimsOf(await run(['--no-cache'], { ...world, env })), {
        azp: profile.daemon.clientId,
        azpacr: '2',
      })
      await writeFile(env.TOKEN_FEDERATED_TOKEN_FILE, await outside('somebody else'))
      const { code, err } = await run(['--no-cache'], { ...world, env })
      t.equal(code, 1)
      t.match(err, /AADSTS700213: .*\n {2}what to do: the app registration has no federated credential/)
    })

    t.test('a file that is not there, or empty: exit code 78, by the variable', async t => {
      const world = home(t, { empty: ' \n' })
      for (const [file, found] of [
        ['empty', 'an empty file'],
        ['none', 'ENOENT'],
      ] as const) {
        const env = { TOKEN_FEDERATED_TOKEN_FILE: join(world.cwd, file) }
        const { code, err } = await run([], { ...world, env })
        t.equal(code, 78)
        t.match(err, `TOKEN_FEDERATED_TOKEN_FILE: found ${found} at`)
      }
    })

    t.test('two credentials: exit code 78, both named', async t => {
      const env = { TOKEN_CLIENT_SECRET: SECRET, TOKEN_FEDERATED_TOKEN_FILE: 'x' }
      const { code, err } = await run([], { ...home(t), env })
      t.equal(code, 78)
      t.match(err, 'TOKEN_CLIENT_SECRET: found a value, and TOKEN_FEDERATED_TOKEN_FILE too')
      t.notMatch(err, SECRET)
    })

    t.test('no secret anywhere, at a terminal: asked for, not shown, sent', async t => {
      const localTenant = { ...profile, daemon: { clientId: profile.daemon.clientId } }
      const world = { ...home(t), localTenant }
      const typed = await run([], {
        ...world,
        stdin: terminal(Buffer.from(profile.daemon.clientSecret!), '\r'),
      })
      t.equal(claimsOf(typed).azp, profile.daemon.clientId)
      t.equal(typed.err, 'TOKEN_CLIENT_SECRET (it is not shown): \n')
      const nothing = await run([], { ...world, stdin: terminal('\r') })
      t.match(nothing, { code: 2, out: '', err: /no secret was typed: set TOKEN_CLIENT_SECRET/ })
      t.match(await run([], world), { code: 78, err: /TOKEN_CLIENT_SECRET: found nothing/ })
    })
  })

  t.test('several resources', async t => {
    t.test(
      'an application: a token each, one a line in the order asked; from the cache, --refresh',
      async t => {
        const world = home(t)
        const scopes = ['--scope', '.default', '--scope', 'https://graph.microsoft.com/.default']
        const first = tokensOf(await run(scopes, world))
        t.same(
          first.map(token => decodeJwt(token).aud),
          [profile.api.clientId, GRAPH],
        )
        t.same(tokensOf(await run(scopes, world)), first, 'from the cache')
        const anew = tokensOf(await run([...scopes, '--refresh'], world))
        t.equal(anew.length, 2)
        t.notOk(anew.some(token => first.includes(token)))
        const listed = JSON.parse((await run([...scopes, '--json'], world)).out)
        t.same(
          listed.map((one: { access_token: string }) => one.access_token),
          anew,
        )
      },
    )

    t.test('a person: one sign-in, one refresh token for both', async t => {
      const world = home(t)
      const scopes = ['--scope', `Data.Read ${USER_READ}`]
      const first = tokensOf(await run(['--as', 'ada', ...scopes], world))
      t.match(
        first.map(token => decodeJwt(token)),
        [
          { aud: profile.api.clientId, scp: 'Data.Read' },
          { aud: GRAPH, scp: 'User.Read' },
        ],
      )
      t.same(tokensOf(await run(['silent', ...scopes], unasked(world))), first, 'from the cache')
      const anew = tokensOf(await run(['silent', ...scopes, '--refresh'], unasked(world)))
      t.notOk(anew.some(token => first.includes(token)))
      tenant.answer('keys', 'html')
      t.match(await run(['silent', '--refresh'], unasked(world)), { code: 1, err: /not a JSON object/ })
      tenant.answer('all', 'ok')
      t.equal((await run(['silent'], unasked(world))).code, 0, 'an outage of the keys signs nobody out')
      t.match(await run(['silent', '--no-cache'], world), { code: 1, err: /nobody is signed in/ })
    })
  })

  t.test('sign-ins that are kept', async t => {
    t.test('silent with nobody, somebody, and more than one', async t => {
      const world = home(t)
      const nobody = await run(['silent'], world)
      t.match(nobody, { code: 1, out: '', err: /nobody is signed in: use interactive or device-code/ })
      await run(['--as', 'ada'], world)
      const ada = await run(['silent'], unasked(world))
      t.equal(claimsOf(ada).name, 'Ada Lovelace')
      t.match(ada.err, /^Signed in: Ada Lovelace, ada@local\.localhost \(tenant \S+\)\n$/)
      await run(['--as', 'gus'], world)
      t.match((await run(['silent'], world)).err, /more than one is signed in: name one of .*gus@partner/)
      const gus = await run(['silent', '--account', 'gus@partner.localhost'], unasked(world))
      t.equal(claimsOf(gus).name, 'Gus Babbage')
      t.match(
        (await run(['silent', '--account', 'eve'], world)).err,
        /eve is not signed in; those are: ada@local/,
      )
    })

    t.test('a sign-in that was revoked: silent says that a person is needed', async t => {
      const world = home(t)
      await run(['--as', 'bob'], world)
      tenant.revokeSessions('bob')
      const { code, err } = await run(['silent', '--refresh'], unasked(world))
      t.equal(code, 1)
      t.match(err, /AADSTS50173: .*\n {2}what to do: .* use interactive/)
    })

    t.test('claims that the sign-in does not satisfy: silent fails, interactive brings them', async t => {
      const world = home(t)
      const claims = ['--claims', '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}']
      await run(['--as', 'ada'], world)
      const refused = await run(['silent', ...claims], unasked(world))
      t.match(refused, { code: 1, err: /AADSTS50076: .*\n {2}what to do: .*use interactive/ })
      t.same(claimsOf(await run(['--as', 'ada', ...claims], world)).acrs, ['c1'])
    })

    t.test('accounts: who is signed in, without a token; sign-out: gone from the file', async t => {
      const world = home(t)
      const empty = await run(['accounts'], world)
      t.match(empty, { code: 0, out: '', err: /^Nobody is signed in \(.*msal-cache\.json\)/ })
      t.match(await run(['sign-out'], world), { code: 1, err: /nobody is signed in/ })
      await Promise.all(['ada', 'gus'].map(person => run(['--as', person], world)))

      const { out } = await run(['accounts'], world)
      t.match(out, `ada@local.localhost\t${profile.tenantId}\t${profile.authority}\tAda Lovelace\n`)
      t.equal(out.trim().split('\n').length, 2)
      const listed = await run(['accounts', '--json'], world)
      t.match(JSON.parse(listed.out)[0], { tenant: /^[\da-f-]{36}$/, authority: profile.authority })
      t.notMatch(out + listed.out, /ey[\w-]{10,}/)

      t.match(await run(['sign-out'], world), { code: 1, err: /more than one is signed in/ })
      t.match(await run(['sign-out', 'eve'], world), { code: 1, err: /eve is not signed in/ })
      const gone = await run(['sign-out', 'ada'], world)
      t.match(gone, {
        code: 0,
        out: '',
        err: /^Signed out here: ada@local\.localhost\. .*Not ended: the sess/,
      })
      t.notMatch(await readFile(join(world.cwd, '.local-tenant', 'msal-cache.json'), 'utf8'), /ada@local/)
      t.match(await run(['sign-out', 'gus@partner.localhost'], world), { code: 0 })
      t.equal((await run(['accounts'], world)).out, '')
    })

    t.test('an account without a name: known by its username', async t => {
      const world = home(t)
      const file = join(world.cwd, '.local-tenant', 'msal-cache.json')
      await run(['--as', 'ada', '--scope', 'Data.Read'], world)
      const cache = JSON.parse(await readFile(file, 'utf8'))
      for (const account of Object.values<{ name?: string; tenantProfiles: string[] }>(cache.Account)) {
        delete account.name
        account.tenantProfiles = account.tenantProfiles.map(text =>
          text.replace('"name":"Ada Lovelace",', ''),
        )
      }
      await writeFile(file, JSON.stringify({ ...cache, IdToken: {} }))
      t.match(
        (await run(['accounts'], world)).out,
        `ada@local.localhost\t${profile.tenantId}\t${profile.authority}\n`,
      )
      const silent = await run(['silent', '--scope', 'Data.Read', '--json'], unasked(world))
      t.equal(JSON.parse(silent.out).account, 'ada@local.localhost')
      t.match(silent.err, /^Signed in: ada@local\.localhost \(/)
    })

    t.test('words that they do not take: exit code 2; their help is the help', async t => {
      for (const args of [
        ['accounts', 'ada'],
        ['sign-out', 'ada', 'gus'],
        ['accounts', '--claims'],
      ]) {
        t.match(await run(args), { code: 2, err: /accounts takes the option --json, sign-out takes a user/ })
      }
      t.match(await run(['sign-out', '--help']), { code: 0, out: /^Usage/, err: '' })
    })
  })

  t.test('who signed in', async t => {
    t.test('--id-token: the verified claims on stderr, or in the JSON, and never the token', async t => {
      const world = home(t)
      const said = await run(['--as', 'gus', '--id-token'], world)
      const [line, ...rest] = said.err.split('\n')
      t.equal(line, `Signed in: Gus Babbage, gus@partner.localhost (tenant ${profile.tenantId})`)
      const claims = { aud: profile.publicClient.clientId, name: 'Gus Babbage', nonce: /^[\da-f-]{36}$/ }
      t.match(JSON.parse(rest.join('\n')), claims)
      const again = await run(['silent', '--id-token', '--json'], unasked(world))
      const { nonce: _, ...known } = claims
      t.match(JSON.parse(again.out).id_token_claims, known, 'a kept sign-in is asked about anew')
      t.equal(again.err.trim().split('\n').length, 1)
      t.notMatch(JSON.parse(again.out), { id_token: /./ })
      t.equal(JSON.parse((await run(['silent', '--json'], world)).out).id_token_claims, undefined)
    })

    t.test('at a shared endpoint: the issuer is the tenant’s own', async t => {
      const world = { ...home(t), localTenant: { ...profile, tenantId: 'common' } }
      t.match((await run(['--as', 'ada'], world)).err, /^Signed in: Ada Lovelace/)
    })

    const reasons: Record<string, RegExp> = {
      'wrong-audience':
        /the ID token is not good: unexpected "aud" claim value; nothing of this sign-in is kept/,
      'wrong-issuer': /the ID token is not good: unexpected "iss" claim value/,
      'wrong-nonce':
        /the ID token is not good: its nonce is not the one that was sent.*\n {2}what to do: try/,
      'foreign-key': /the ID token is not good: signature verification failed/,
      expired: /the ID token is not good: "exp" claim timestamp check failed/,
    }
    t.same(Object.keys(reasons), ID_TOKEN_MODES.slice(1), 'every mode is tried')
    for (const mode of ID_TOKEN_MODES.slice(1)) {
      t.test(`an ID token that is wrong (${mode}): no token, the reason, nothing kept`, async t => {
        const world = home(t)
        tenant.idTokens(mode)
        t.teardown(() => tenant.idTokens('ok'))
        const { code, out, err } = await run(['--as', 'ada'], world)
        t.equal(code, 1)
        t.equal(out, '')
        t.match(err, reasons[mode])
        t.equal((await run(['accounts'], world)).out, '')
      })
    }

    t.test('a wrong one with a device code, and one that comes with a refresh: the same', async t => {
      const world = home(t)
      const hear = (said: string) => {
        const code = /enter the code (\w+)/.exec(said)?.[1]
        const body = new URLSearchParams({ user_code: code ?? '', person: 'ada' })
        if (code) void fetch(`${profile.pages}/devicelogin`, { method: 'POST', body })
      }
      t.match((await run(['device-code'], { ...world, hear })).err, /\nSigned in: Ada Lovelace/)
      tenant.idTokens('wrong-audience')
      t.teardown(() => tenant.idTokens('ok'))
      const refreshed = await run(['silent', '--refresh'], world)
      t.match(refreshed, { code: 1, out: '', err: /the ID token is not good: unexpected "aud"/ })
      t.equal((await run(['accounts'], world)).out, '', 'what was kept is not trusted any more')
      t.match(await run(['device-code'], { ...world, hear }), { code: 1, out: '', err: /unexpected "aud"/ })
    })

    t.test('one without a tenant, one that is none, and keys that cannot be had', async t => {
      const network = createNetwork({ ca: profile.ca })
      t.teardown(() => network.close())
      const settings = readTokenSettings({}, { ...profile, publicClient: profile.api }, 'interactive')
      const wish: Wish = { settings, network, resources: [], refresh: false, timeoutSeconds: 1 }
      const mint = (claims: Record<string, unknown>) => tenant.mint('id-token', { claims })
      t.match(await verifyIdToken({ idToken: await mint({}) }, wish), { name: 'Ada Lovelace' })
      const noTenant = { idToken: await mint({ tid: undefined }) }
      await t.rejects(verifyIdToken(noTenant, wish), { message: /no applicable key found/ })
      await t.rejects(verifyIdToken({ idToken: '' }, wish), {
        message: /the ID token is not good: Invalid JWT/,
      })
      tenant.answer('keys', 'html')
      t.teardown(() => tenant.answer('all', 'ok'))
      await t.rejects(verifyIdToken({ idToken: await mint({}) }, wish), {
        name: 'AuthError',
        message: /discovery\/v2\.0\/keys: answered 200 with text\/html, not a JSON object/,
      })
    })
  })

  t.test('on-behalf-of', async t => {
    const exchange = (stdin: In, more: World = {}, args: string[] = []) =>
      run(['on-behalf-of', ...args], { localTenant: profile, ...more, stdin })
    const ada = () => from(`${tenant.issue()}\n`)

    t.test('a person’s token from stdin: one of Microsoft Graph for the same person', async t => {
      const world = home(t)
      const caller = await run(['--as', 'ada', '--json'], world)
      const { code, out, err } = await run(['on-behalf-of', '-'], { ...world, stdin: from(caller.out) })
      t.match({ code, err }, { code: 0, err: '' })
      const claims = decodeJwt(out)
      t.match(claims, { aud: GRAPH, appid: profile.api.clientId, appidacr: '1', scp: 'User.Read' })
      t.equal(claims.oid, decodeJwt(JSON.parse(caller.out).access_token).oid)
      const accounts = await run(['accounts', '--json'], world)
      t.equal(JSON.parse(accounts.out).length, 1, 'the caller does not count as signed in')
    })

    t.test('the API’s certificate and federated token: proven', async t => {
      const { certificate, privateKey } = await createRsaKey('api')
      tenant.addCredential('api', { certificate })
      const { cwd } = home(t, { 'api.pem': privateKey + certificate, token: await federate('api')() })
      for (const env of [
        { AZURE_CLIENT_CERTIFICATE_PATH: join(cwd, 'api.pem') },
        { AZURE_FEDERATED_TOKEN_FILE: join(cwd, 'token') },
      ]) {
        t.match(claimsOf(await exchange(ada(), { env })), { appid: profile.api.clientId, appidacr: '2' })
      }
      const env = { AZURE_CLIENT_CERTIFICATE_PATH: '/nonexistent' }
      t.match(await exchange(ada(), { env }), {
        code: 78,
        err: /AZURE_CLIENT_CERTIFICATE_PATH: found ENOENT/,
      })
    })

    t.test('at a shared endpoint: in the tenant of the token, which must say it', async t => {
      const localTenant = { ...profile, tenantId: 'organizations' }
      t.equal(claimsOf(await exchange(ada(), { localTenant })).tid, profile.tenantId)
      for (const token of ['x.y.z', tenant.issue({ claims: { tid: 'organizations' } })]) {
        const { code, err } = await exchange(from(token), { localTenant })
        t.equal(code, 2)
        t.match(err, /the caller's token must say its tenant/)
      }
    })

    const refused: Record<string, [token: () => string | Promise<string>, says: RegExp]> = {
      'an application’s token': [
        () => tenant.issue({ app: 'daemon' }),
        /AADSTS7000114: [\s\S]*nobody is behind/,
      ],
      'a token for somebody else': [
        () => tenant.mint('wrong-audience'),
        /AADSTS500131: [\s\S]*whose audience is AZURE_CLIENT_ID/,
      ],
      'a token that is over': [() => tenant.mint('expired'), /AADSTS500133: [\s\S]*is over: ask for another/],
      'a token of a foreign key': [
        () => tenant.mint('foreign-key'),
        /AADSTS50013: [\s\S]*see what explain says/,
      ],
      'no token': [() => '', /no token came from stdin/],
    }
    for (const [situation, [token, says]] of Object.entries(refused)) {
      t.test(`${situation}: refused, with what to do, and not repeated`, async t => {
        const given = await token()
        const { code, out, err } = await exchange(from(given))
        t.ok(code > 0)
        t.equal(out, '')
        t.match(err, says)
        if (given) t.notMatch(err, given.split('.')[2]!)
      })
    }

    t.test('consent is missing: who has to do what', async t => {
      tenant.graphConsent(false)
      t.teardown(() => tenant.graphConsent(true))
      const { code, err } = await exchange(ada())
      t.equal(code, 1)
      t.match(
        err,
        /AADSTS65001: .*\(invalid_grant, consent_required\)\n {2}what to do: .*administrator grant/,
      )
    })

    t.test('conditional access: the claims that a sign-in has to bring, and then it works', async t => {
      tenant.graphContext('c7')
      t.teardown(() => tenant.graphContext(undefined))
      const { code, err } = await exchange(ada())
      t.equal(code, 1)
      const [, claims] = /the person has to sign in again, with --claims '(.*)'/.exec(err) ?? []
      const caller = await run(['--as', 'ada', '--claims', claims!], home(t))
      t.match(claimsOf(await exchange(from(caller.out))), { aud: GRAPH })
    })

    t.test('at a terminal: the token is asked for and not shown', async t => {
      const asked = await exchange(terminal(tenant.issue(), '\r'), {}, ['--scope', 'User.Read'])
      t.equal(claimsOf(asked).aud, GRAPH)
      t.match(asked.err, /^Paste the token and press Enter \(it is not shown\): \n$/)
      const localTenant = { ...profile, api: { clientId: profile.api.clientId } }
      const poor = await exchange(terminal(tenant.issue(), '\r'), { localTenant })
      t.match(poor, { code: 78, err: /AZURE_CLIENT_SECRET: found nothing/ }, 'one question at a time')
    })
  })

  t.test('managed identity', async t => {
    const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
    /** In a process of its own, for msal-node chooses the endpoint once in a process. */
    const start = async (t: Test, args: string[], env: Record<string, string>): Promise<Outcome> => {
      const inherited = Object.entries(process.env).filter(([name]) => !/^(AZURE|TOKEN|IDENTITY)_/.test(name))
      const child = spawn(
        process.execPath,
        [...process.execArgv, main, 'token', 'managed-identity', ...args],
        {
          cwd: t.testdir(),
          env: { ...Object.fromEntries(inherited), ...env },
        },
      )
      const [out, err, [code]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'exit'),
      ])
      return { code, out, err }
    }
    /** An endpoint of the platform on loopback, that hears and answers. */
    const endpoint = async (t: Test, answer: () => [status: number, body: object]) => {
      const heard: IncomingMessage[] = []
      const server = createServer((request, response) => {
        heard.push(request)
        const [status, body] = answer()
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
      })
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      t.teardown(() => server.close())
      return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, heard }
    }
    const token = tenant.issue({ app: 'daemon' })
    const good = (): [number, object] => [
      200,
      { access_token: token, expires_on: String(decodeJwt(token).exp), resource: 'x', token_type: 'Bearer' },
    ]
    const api = { AZURE_TENANT_ID: profile.tenantId, AZURE_CLIENT_ID: profile.api.clientId }

    t.test('a virtual machine (IMDS): its token, alone, past any proxy', async t => {
      const { url, heard } = await endpoint(t, good)
      const env = { ...api, AZURE_POD_IDENTITY_AUTHORITY_HOST: url, HTTPS_PROXY: 'http://127.0.0.1:1' }
      t.same(await start(t, [], env), { code: 0, out: `${token}\n`, err: '' })
      const asked = new URL(heard[0]!.url!, url)
      t.match(asked.pathname, /^\/metadata\/identity\/oauth2\/token/)
      t.equal(asked.searchParams.get('resource'), `api://${profile.api.clientId}`)
      t.equal(heard[0]!.headers.metadata, 'true')
    })

    t.test('App Service, a user-assigned identity, two resources: a token each', async t => {
      const { url, heard } = await endpoint(t, good)
      const env = { IDENTITY_ENDPOINT: `${url}/msi/token`, IDENTITY_HEADER: 'abc', TOKEN_CLIENT_ID: GUID }
      const scopes = ['--scope', 'https://graph.microsoft.com/.default', '--scope', 'api://x/.default']
      const { code, out } = await start(t, [...scopes, '--json', '--claims', '{"access_token":{}}'], env)
      t.equal(code, 0)
      t.match(JSON.parse(out), [{ access_token: token, account: null }, { access_token: token }])
      t.same(
        heard.map(({ url: path }) => new URL(path!, url).searchParams.get('resource')),
        ['https://graph.microsoft.com', 'api://x'],
      )
      t.match(heard[0]!.url, `client_id=${GUID}`)
      t.equal(heard[0]!.headers['x-identity-header'], 'abc')
    })

    t.test('an endpoint that knows no such identity, and none at all: said', async t => {
      const { url } = await endpoint(t, () => [
        400,
        { error: 'invalid_request', error_description: 'Identity not found' },
      ])
      const refused = await start(t, [], { ...api, AZURE_POD_IDENTITY_AUTHORITY_HOST: url })
      t.match(refused, { code: 1, out: '', err: /Identity not found/ })
      t.match(
        refused.err,
        /asked: the managed identity endpoint of this machine as client \(system-assigned\)/,
      )
      const env = { ...api, IDENTITY_ENDPOINT: 'http://127.0.0.1:1', IDENTITY_HEADER: 'abc' }
      t.match(await start(t, [], env), {
        code: 1,
        err: /ECONNREFUSED[\s\S]*for machines and services on Azure/,
      })
    })

    t.test('a single permission, an identity that is no GUID: exit code 78', async t => {
      const { code, err } = await run(['managed-identity', '--scope', 'Data.Read'], {
        env: { ...ENTRA, TOKEN_CLIENT_ID: 'x' },
      })
      t.equal(code, 78)
      t.match(err, /TOKEN_CLIENT_ID: [\s\S]*TOKEN_SCOPE: found a single permission/)
    })
  })
})

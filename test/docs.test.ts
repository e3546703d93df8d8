/** The page of the API description: people sign in on it, call, and are told why they were refused; with a mouse or by keys, at a desk or on a telephone. */
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { CODES } from '../src/errors.ts'
import { MEANINGS } from '../src/http/problem.ts'
import { type Api, startApi, startTenant } from './helpers/api.ts'
import { openPage, skip, startBrowser } from './helpers/browser.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SCREENSHOTS = join(ROOT, 'test/screenshots')

const tenant = await startTenant(t)
const { profile } = tenant
/** As `npm run dev` puts the two side by side. */
const api = await startApi(t, {
  tenant,
  env: {
    PUBLIC_URL: 'http://127.0.0.1:3000',
    DOCS_CLIENT_ID: profile.publicClient.clientId,
    AZURE_CLIENT_SECRET: profile.api.clientSecret,
    GRAPH_URL: profile.graph,
  },
  world: { pages: { origin: profile.pages, people: profile.people } },
})
/** At a tenant whose people nobody knows beforehand. */
const strange = await startApi(t, {
  tenant,
  env: { DOCS_CLIENT_ID: profile.publicClient.clientId },
  world: { pages: { origin: profile.pages, people: [] } },
})
tenant.setDocsOrigins([api.url, strange.url])
/** A server on which nobody has set DOCS_CLIENT_ID. */
const plain = await startApi(t, { tenant })

function directivesOf(headers: Headers): string[] {
  const policy = headers.get('content-security-policy') ?? ''
  return policy.split(';').sort()
}

t.test('the headers of the page', async t => {
  await t.test(
    'its policy: this origin and the sign-in, nothing inline, no upgrade that breaks loopback',
    async t => {
      const page = await api.get('/docs')
      t.match(page, { status: 200 })
      t.same(directivesOf(page.headers), [
        "base-uri 'none'",
        `connect-src 'self' ${profile.pages}`,
        "default-src 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "img-src 'self' data:",
        "script-src 'self'",
        "style-src 'self'",
      ])
      t.match(page.text, '<title>protected-resource</title>')
      t.notMatch(page.text, /https?:|<script>|<style|style=| on\w+=/, 'no other host, nothing inline')
    },
  )

  await t.test('at Microsoft: the authority is where the code is redeemed', async t => {
    const microsoft = await startApi(t, {
      tenant,
      waitForKeys: false,
      env: {
        AZURE_AUTHORITY_HOST: '',
        DOCS_CLIENT_ID: profile.publicClient.clientId,
        // Behind port 9 nobody hears it.
        HTTPS_PROXY: 'http://127.0.0.1:9',
      },
    })
    const page = await microsoft.get('/docs')
    t.ok(directivesOf(page.headers).includes("connect-src 'self' https://login.microsoftonline.com"))
    const { signIn } = (await microsoft.get('/docs/page/facts.json')).json
    t.same(signIn, { clientId: profile.publicClient.clientId, people: [] })
    const { flows } = (await microsoft.get('/docs/json')).json.components.securitySchemes.entra
    t.match(flows.authorizationCode, {
      tokenUrl: `https://login.microsoftonline.com/${profile.tenantId}/oauth2/v2.0/token`,
    })
  })

  await t.test('helmet: on the page and what belongs to it, and nowhere else', async t => {
    const headers = {
      'cross-origin-opener-policy': 'same-origin-allow-popups',
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    }
    for (const path of ['/docs', '/docs/json', '/docs/page/main.js', '/docs/page/facts.json']) {
      const answer = await api.get(path)
      t.match(Object.fromEntries(answer.headers), headers, path)
      t.equal(answer.headers.get('strict-transport-security'), null, 'behind TLS only')
    }
    const back = await api.get('/docs/static/oauth2-redirect.html')
    t.equal(back.status, 200)
    t.match(
      Object.fromEntries(back.headers),
      { ...headers, 'cross-origin-opener-policy': 'unsafe-none' },
      'the window of the sign-in stays in touch with the page',
    )
    t.equal((await plain.get('/docs')).headers.get('strict-transport-security'), 'max-age=31536000')
    for (const path of ['/secure-data', '/openapi.json', '/openapi.yaml', '/livez']) {
      const names = [...(await api.get(path)).headers.keys()]
      t.same(
        names.filter(name => /policy|frame|dns|xss|cluster|permitted/.test(name)),
        [],
        path,
      )
    }
  })
})

t.test('the document of the page', async t => {
  const { json: served } = await api.get('/openapi.json')
  const { json: shown } = await api.get('/docs/json')

  await t.test(
    'the same, but for a server that is where the page is, and without the secret of an application',
    async t => {
      const { entra, bearer } = served.components.securitySchemes
      t.same(shown.servers, [{ url: '/' }])
      t.same(shown.components.securitySchemes, { entra, bearer })
      const scope = `api://${profile.api.clientId}/Data.Read`
      t.same(shown.paths['/secure-data'].get.security, [{ entra: [scope] }, { bearer: ['Data.Read.All'] }])
      t.same(shown.components.responses, served.components.responses)
      t.same(Object.keys(shown.paths), Object.keys(served.paths))
    },
  )

  await t.test('the endpoints of the sign-in: those that a browser reaches', async t => {
    const page = `${profile.pages}/${profile.tenantId}/oauth2/v2.0`
    const schemes = served.components.securitySchemes
    t.match(schemes.entra.flows.authorizationCode, {
      authorizationUrl: `${page}/authorize`,
      tokenUrl: `${page}/token`,
    })
    const token = `${profile.authority}/${profile.tenantId}/oauth2/v2.0/token`
    t.equal(schemes.entraApplication.flows.clientCredentials.tokenUrl, token)
  })

  await t.test('without DOCS_CLIENT_ID: no sign-in is offered, and it says what to set', async t => {
    const { json } = await plain.get('/docs/json')
    t.same(Object.keys(json.components.securitySchemes), ['bearer'])
    t.match(
      json.components.securitySchemes.bearer.description,
      /To sign in on this page, set `DOCS_CLIENT_ID`/,
    )
    const { json: facts } = await plain.get('/docs/page/facts.json')
    t.notOk('signIn' in facts)
    t.ok(directivesOf((await plain.get('/docs')).headers).includes("connect-src 'self'"))
    for (const operation of Object.values<{ get: { security: object[] } }>(json.paths)) {
      for (const entry of operation.get.security) t.same(Object.keys(entry), ['bearer'])
    }
  })

  await t.test('below a path: page and calls stay below it', async t => {
    const below = await startApi(t, { tenant, env: { PUBLIC_URL: 'https://api.example.com/v1' } })
    t.same((await below.get('/docs/json')).json.servers, [{ url: '/v1' }])
    const { text } = await below.get('/docs')
    const links = [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, link]) => link!)
    t.ok(links.length > 4)
    t.same(
      links.filter(link => !link.startsWith('/v1/docs/')),
      [],
    )
  })
})

t.test('made when somebody first asks', async t => {
  await t.test('many at once: made once', async t => {
    const asked = await startApi(t, { tenant })
    const { routes } = asked.app.protectedResource
    const { registered } = routes
    let times = 0
    Object.assign(routes, {
      registered: () => {
        times++
        return registered()
      },
    })
    const paths = ['/docs', '/docs/json', '/openapi.json', '/openapi.yaml', '/docs/page/main.js']
    const answers = await Promise.all(paths.map(path => asked.get(path)))
    t.same(
      answers.map(({ status }) => status),
      paths.map(() => 200),
    )
    t.equal(times, 1)
  })

  await t.test('it fails: 500, told in the log, and tried again with the next request', async t => {
    const failing = await startApi(t, { tenant })
    const { routes } = failing.app.protectedResource
    const { registered } = routes
    Object.assign(routes, {
      registered: () => {
        Object.assign(routes, { registered })
        throw new Error('not now')
      },
    })
    t.match(await failing.get('/docs'), { status: 500, json: { code: 'internal_error' } })
    t.match(
      failing.lines.find(({ event }) => event === 'failed'),
      { err: { message: 'not now' } },
    )
    t.match(await failing.get('/docs'), { status: 200 })
  })

  await t.test(
    'refusals there: those of the application itself, told in its log, with the headers of the page',
    async t => {
      const missing = await api.get('/docs/static/nothing.js')
      t.match(missing, { status: 404, json: { code: 'not_found' } })
      t.ok(directivesOf(missing.headers).includes("script-src 'self'"))
      t.match(api.refusals().at(-1), { route: '/docs/static/*', status: 404, code: 'not_found' })
      const range = { headers: { range: 'bytes=99999999-' } }
      t.match(await api.get('/docs/static/swagger-ui.css', undefined, range), {
        status: 416,
        json: { status: 416, code: 'bad_request' },
      })
      t.match(
        await api.raw('GET /docs/static/../../secure-data HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
        /^HTTP\/1.1 403 /,
      )
      const wrong = await api.get('/docs/', undefined, { method: 'POST' })
      t.match(wrong, { status: 405, json: { code: 'method_not_allowed' } })
      t.equal(wrong.headers.get('allow'), 'GET, HEAD')
    },
  )

  await t.test('a part of a file, and HEAD: as they were asked for', async t => {
    const path = '/docs/static/swagger-ui-bundle.js'
    const whole = await api.get(path)
    const part = await api.get(path, undefined, { headers: { range: 'bytes=0-9' } })
    t.match(part, { status: 206, text: whole.text.slice(0, 10) })
    const head = await api.get(path, undefined, { method: 'HEAD' })
    t.match(head, { status: 200, text: '' })
    t.equal(head.headers.get('content-length'), String(Buffer.byteLength(whole.text)))
  })
})

t.test('what to do about each refusal: something for every reason, and the same as in README.md', async t => {
  const { remedies } = (await api.get('/docs/page/facts.json')).json
  t.same(Object.keys(remedies), [...CODES])
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8')
  const rows = [...readme.matchAll(/^\| `(\w+)` \| \d{3} \| .* \| (.*) \|$/gm)]
  t.ok(rows.length > 25)
  for (const [, code, remedy] of rows) t.equal(remedies[code!], remedy, `${code}`)
})

t.test('the scripts of the page: each is let into the image, where only .ts would be', async t => {
  const folder = 'src/http/page/browser'
  const allowed = (await readFile(join(ROOT, '.dockerignore'), 'utf8')).split('\n')
  const scripts = (await readdir(join(ROOT, folder))).filter(name => name.endsWith('.js'))
  t.ok(scripts.length > 3)
  for (const name of scripts) t.ok(allowed.includes(`!${folder}/${name}`), name)
})

t.test('one click at the local tenant', async t => {
  const ask = async (changes: Record<string, string>) => {
    const url = new URL(`${profile.pages}/${profile.tenantId}/oauth2/v2.0/authorize`)
    url.search = new URLSearchParams({
      response_type: 'code',
      client_id: profile.publicClient.clientId,
      redirect_uri: `${api.url}/docs/static/oauth2-redirect.html`,
      scope: `api://${profile.api.clientId}/Data.Read`,
      login_hint: 'ada@local.localhost',
      ...changes,
    }).toString()
    const response = await fetch(url, { redirect: 'manual' })
    const location = response.headers.get('location') ?? undefined
    return {
      status: response.status,
      text: await response.text(),
      answer: location === undefined ? undefined : new URL(location).searchParams,
    }
  }
  await t.test('the docs page names a person: straight back with a code', async t => {
    const { status, answer } = await ask({})
    t.equal(status, 302)
    t.ok(answer?.get('code'))
  })
  await t.test('it names nobody who lives there: back with an error', async t => {
    const { answer } = await ask({ login_hint: 'eve@local.localhost' })
    t.equal(answer?.get('error'), 'invalid_grant')
  })
  for (const [what, changes] of Object.entries({
    'another application names a person': { redirect_uri: 'http://127.0.0.1:4000/' },
    'the choice is asked for': { prompt: 'select_account' },
  })) {
    await t.test(`${what}: the person chooses`, async t => {
      const { status, text } = await ask(changes)
      t.equal(status, 200)
      t.match(text, /Pick a person/)
    })
  }
})

const signInButton = (page: Page, name: string) => page.getByRole('button', { name: `Sign in as ${name}` })
const panelOf = (page: Page) => page.getByRole('complementary', { name: 'The last call' })
const operation = (page: Page, id: string) => page.locator(`.opblock[id$="-${id}"]`)

/** Opens the page and waits until everything on it is there. */
async function openDocs(t: Test, browser: Browser, server: Api, options: BrowserContextOptions = {}) {
  const opened = await openPage(t, browser, [server.url, profile.pages], options)
  await opened.page.goto(`${server.url}/docs`)
  await opened.page.locator('.opblock').first().waitFor()
  return opened
}

/** Sends the request of an operation, as a person does; gives what is shown of the answer. */
async function call(page: Page, id: string): Promise<string> {
  const block = operation(page, id)
  const execute = block.getByRole('button', { name: 'Execute' })
  if ((await execute.count()) === 0) await block.locator('.opblock-summary-control').click()
  const path = await block.locator('.opblock-summary-path').getAttribute('data-path')
  const answered = page.waitForResponse(one => new URL(one.url()).pathname === path)
  const [response] = await Promise.all([answered, execute.click()])
  const answer = block
    .locator('.live-responses-table .response')
    .filter({ hasText: String(response.status()) })
  await answer.waitFor()
  return answer.innerText()
}

/** Presses Tab until an element has the focus, which must then be seen. */
async function tabTo(t: Test, page: Page, wanted: Locator): Promise<void> {
  for (let presses = 0; presses < 120; presses++) {
    await page.keyboard.press('Tab')
    const isThere = await wanted.evaluate(element => element === document.activeElement)
    if (!isThere) continue
    t.notMatch(await wanted.evaluate(element => getComputedStyle(element).outlineStyle), 'none', 'seen')
    return
  }
  t.fail('the keyboard does not reach it')
}

const isContained = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth)

t.test('in a browser that trusts nothing', { skip }, async t => {
  await mkdir(SCREENSHOTS, { recursive: true })
  const browser = await startBrowser(t)

  await t.test('Authorize, choose Ada, call: 200 and her name', async t => {
    const { page, complaints } = await openDocs(t, browser, api)
    t.equal(await page.title(), 'protected-resource')
    t.notMatch(await page.locator('body').innerText(), /swagger/i)
    await page.getByRole('button', { name: 'Authorize' }).first().click()
    const dialog = page.locator('.dialog-ux')
    t.notMatch(await dialog.innerText(), /swagger|secret/i, 'a public client has none')
    const [popup] = await Promise.all([
      page.waitForEvent('popup'),
      dialog.getByRole('button', { name: 'Apply given OAuth2 credentials' }).click(),
    ])
    await popup.getByRole('button', { name: /Ada Lovelace/ }).click()
    await page.getByText('Signed in.').waitFor()
    await page.locator('.close-modal').click()
    t.match(await call(page, 'getSecureData'), 'Hello Ada Lovelace, this is protected data.')
    t.match(await panelOf(page).innerText(), /GET \/secure-data was answered 200\./)
    t.match(await call(page, 'getMe'), /"displayName": "Ada Lovelace"/)
    t.match(await panelOf(page).innerText(), /GET \/me was answered 200\./)
    t.match(await call(page, 'getWhoami'), /"name": "Ada Lovelace"/)
    t.same(complaints, [])
  })

  await t.test('as Bob, who lacks the scope: 403, explained; then out: 401, explained', async t => {
    const { page, complaints } = await openDocs(t, browser, api)
    await signInButton(page, 'Bob Noether').click()
    await page.getByText('Signed in as Bob Noether.').waitFor()
    t.match(await call(page, 'getSecureData'), /403[\s\S]*insufficient_scope/)
    const panel = panelOf(page)
    t.match(await panel.innerText(), 'Why was I refused?')
    t.match(await panel.innerText(), 'GET /secure-data was answered 403 insufficient_scope')
    t.match(await panel.innerText(), MEANINGS.insufficient_scope.detail)
    t.match(await panel.innerText(), /Ask for the scope in the challenge/)
    t.match(await panel.innerText(), `api://${profile.api.clientId}/Data.Read`)
    t.equal(await panel.getByRole('status').getAttribute('aria-live'), 'polite', 'is read aloud')
    t.match(await call(page, 'getMe'), /403[\s\S]*insufficient_scope/)
    t.match(await panel.innerText(), 'GET /me was answered 403 insufficient_scope')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByText('Not signed in.').waitFor()
    t.match(await call(page, 'getSecureData'), /401[\s\S]*no_credentials/)
    t.match(await panel.innerText(), MEANINGS.no_credentials.detail)
    t.same(complaints, [])
  })

  await t.test(
    'where people are not known beforehand: one button, and the tenant asks; a refusal there is told',
    async t => {
      const { page, complaints } = await openDocs(t, browser, strange)
      const signIn = async (button: RegExp): Promise<void> => {
        const [popup] = await Promise.all([
          page.waitForEvent('popup'),
          page.getByRole('button', { name: 'Sign in', exact: true }).click(),
        ])
        await popup.getByRole('button', { name: button }).click()
      }
      await signIn(/Cancel/)
      await page.getByText(/^The sign-in failed: .*AADSTS65004/).waitFor()
      await signIn(/Gus Babbage/)
      await page.getByText('Signed in.').waitFor()
      t.match(await call(page, 'getSecureData'), 'Hello Gus Babbage')
      t.same(complaints, [])
    },
  )

  await t.test('by keys alone: sign in, call, read, close', async t => {
    const { page, complaints } = await openDocs(t, browser, api)
    await tabTo(t, page, signInButton(page, 'Bob Noether'))
    await page.keyboard.press('Enter')
    await page.getByText('Signed in as Bob Noether.').waitFor()
    const block = operation(page, 'getSecureData')
    await tabTo(t, page, block.locator('.opblock-summary-control'))
    await page.keyboard.press('Enter')
    const execute = block.getByRole('button', { name: 'Execute' })
    await tabTo(t, page, execute)
    await page.keyboard.press('Enter')
    const panel = panelOf(page)
    await panel.getByText('insufficient_scope').waitFor()
    await tabTo(t, page, panel.getByRole('button', { name: 'Close' }))
    await page.keyboard.press('Enter')
    await panel.getByRole('heading').waitFor({ state: 'detached' })
    t.ok(await execute.evaluate(element => element === document.activeElement), 'back where it began')
    await page.keyboard.press('Enter')
    await panel.getByText('insufficient_scope').waitFor()
    await page.keyboard.press('Escape')
    await panel.getByRole('heading').waitFor({ state: 'detached' })
    t.same(complaints, [])
  })

  await t.test('without DOCS_CLIENT_ID: paste a token', async t => {
    const { page, complaints } = await openDocs(t, browser, plain)
    t.equal(await page.getByRole('button', { name: /^Sign in/ }).count(), 0)
    await page.getByRole('button', { name: 'Authorize' }).first().click()
    t.match(await page.locator('.dialog-ux').innerText(), /set DOCS_CLIENT_ID on the server/)
    await page.getByLabel('auth-bearer-value').fill(tenant.issue({ person: 'ada' }))
    await page.getByRole('button', { name: 'Apply credentials' }).click()
    await page.locator('.close-modal').click()
    t.match(await call(page, 'getSecureData'), 'Hello Ada Lovelace, this is protected data.')
    t.same(complaints, [])
  })

  for (const width of [1280, 390]) {
    for (const colorScheme of ['light', 'dark'] as const) {
      await t.test(
        `${width} px, ${colorScheme}: nothing sticks out, and the colours are those asked for`,
        async t => {
          const viewport = { width, height: 900 }
          const { page, complaints } = await openDocs(t, browser, api, { viewport, colorScheme })
          const shoot = async (name: string, fullPage = false): Promise<void> => {
            t.ok(await isContained(page), name)
            await page.screenshot({
              path: join(SCREENSHOTS, `docs-${width}-${colorScheme}-${name}.png`),
              fullPage,
            })
          }
          const [red = 0] =
            /\d+/.exec(await page.evaluate(() => getComputedStyle(document.body).backgroundColor)) ?? []
          t.equal(Number(red) < 100, colorScheme === 'dark')
          await shoot('page')
          await page.getByRole('button', { name: 'Authorize' }).first().click()
          await shoot('dialog')
          await page.locator('.close-modal').click()
          await signInButton(page, 'Bob Noether').click()
          await page.getByText('Signed in as Bob Noether.').waitFor()
          await call(page, 'getSecureData')
          await shoot('refused')
          await shoot('whole', true)
          t.same(complaints, [])
        },
      )
    }
  }

  await t.test('the watch itself: it hears what the policy forbids', async t => {
    const { page, complaints } = await openDocs(t, browser, api)
    await page.evaluate(() => fetch('https://validator.swagger.io/').catch(() => {}))
    await page.evaluate(() => {
      const script = document.createElement('script')
      script.textContent = 'window.ran = true'
      document.head.append(script)
    })
    t.equal(await page.evaluate(() => 'ran' in window), false)
    t.match(complaints.join('\n'), /violation: connect-src https:\/\/validator\.swagger\.io/)
    t.match(complaints.join('\n'), /violation: script-src-elem inline/)
  })
})

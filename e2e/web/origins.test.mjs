// Pages of other origins call the API from a real browser, which alone enforces CORS. No request is intercepted here:
// Playwright answers preflights itself where it intercepts.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { launch, missing } from './browser.mjs'
import { customer, start } from './system.mjs'

/** Serves an empty page on any free port, as a front end of another origin would be. */
async function site() {
  const server = createServer((_, answer) => {
    answer.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>app</title>')
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() }
}

/** Runs in the page: logs in, refreshes, reads the menu and a bill; returns what a script can see of it. */
async function visit({ api, who }) {
  const call = async (path, token, body) => {
    const answer = await fetch(`${api}/api/v1${path}`, {
      method: body ? 'POST' : 'GET', credentials: 'include', body: body && JSON.stringify(body),
      headers: {
        ...(body && { 'Content-Type': 'application/json' }), ...(token && { Authorization: `Bearer ${token}` }),
        ...(path === '/bills/inquiry' && { 'Idempotency-Key': crypto.randomUUID() }),
      },
    })
    return { status: answer.status, headers: Object.fromEntries(answer.headers), ...await answer.json() }
  }
  const login = await call('/auth/login', '', { userId: who.userId, password: who.password })
  const refreshed = await call('/auth/refresh', '', { refreshToken: login.data.refreshToken })
  const token = refreshed.data.accessToken
  return {
    login: login.status, refreshed: refreshed.status, token,
    menu: await call('/bills/menu', token), bill: await call('/bills/inquiry', token, { lineNumber: who.lineNumber }),
    refused: await call('/bills/menu', 'no-token'), cookies: document.cookie,
  }
}

describe('pages of other origins in a browser', { skip: missing, timeout: 180_000 }, () => {
  let allowed, other, system, browser, who

  before(async () => {
    allowed = await site()
    other = await site()
    system = await start({ CORS_ORIGINS: allowed.origin })
    browser = await launch()
    who = customer(system.demo, 'normal')
  })
  after(async () => {
    await browser?.close()
    await system?.stop()
    allowed?.close()
    other?.close()
  })

  const open = async (origin) => {
    const page = await (await browser.newContext()).newPage()
    await page.goto(origin)
    return page
  }

  test('a page of an allowed origin logs in, refreshes and reads a bill', async () => {
    const page = await open(allowed.origin)
    const seen = await page.evaluate(visit, { api: system.demo.baseUrl, who })
    assert.deepEqual([seen.login, seen.refreshed, seen.menu.status], [200, 200, 200])
    assert.ok([200, 202].includes(seen.bill.status), JSON.stringify(seen.bill))
    assert.match(seen.menu.headers.ratelimit, /^"user";r=\d+;t=\d+/, 'the script reads the exposed headers')
    assert.match(seen.menu.headers['ratelimit-policy'], /"user";q=100;w=60/)
    assert.ok(seen.menu.headers['x-request-id'])
    assert.equal(seen.refused.status, 401, 'and errors')
    assert.equal(seen.refused.success, false)
    assert.equal(seen.cookies, '', 'no script reads the device cookie')
    await page.context().close()
  })

  test('a page of another origin can do nothing, even with a token', async () => {
    const friend = await open(allowed.origin)
    const { token } = await friend.evaluate(visit, { api: system.demo.baseUrl, who })
    await friend.context().close()
    const page = await open(other.origin)
    await assert.rejects(page.evaluate(visit, { api: system.demo.baseUrl, who }), /Failed to fetch/)
    const outcomes = await page.evaluate(async ({ api, token }) => {
      const outcome = (path, options) => fetch(`${api}/api/v1${path}`, options).then((a) => a.status, (e) => e.name)
      return {
        withToken: await outcome('/bills/menu', { headers: { Authorization: `Bearer ${token}` } }),
        withCookies: await outcome('/auth/verify', { credentials: 'include' }),
        // A request that needs no preflight is sent, and its answer withheld.
        simple: await outcome('/auth/login', { method: 'POST', body: '{}' }),
        health: await fetch(`${api}/health`).then((a) => a.status, (e) => e.name),
      }
    }, { api: system.demo.baseUrl, token })
    assert.deepEqual(outcomes, {
      withToken: 'TypeError', withCookies: 'TypeError', simple: 'TypeError', health: 'TypeError',
    })
    await page.context().close()
  })
})

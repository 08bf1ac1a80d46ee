import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { missing, open } from './browser.mjs'
import { customer, start } from './system.mjs'

const pages = ['start', 'change', 'errors', 'limits', 'sandbox', 'browsers', 'versioning', 'changelog']

describe('the developer portal, with the network cut', { skip: missing, timeout: 300_000 }, () => {
  let system, web, origin

  before(async () => {
    system = await start()
    origin = system.demo.baseUrl
    web = await open(origin)
  })
  after(async () => {
    await web?.browser.close()
    await system?.stop()
  })

  const visit = async (path, width = 1280) => {
    web.seen.faults.length = web.seen.foreign.length = 0
    const page = await web.context.newPage()
    await page.setViewportSize({ width, height: 900 })
    const answer = await page.goto(origin + path)
    assert.equal(answer.status(), 200, path)
    return page
  }
  const clean = () => {
    assert.deepEqual(web.seen.foreign, [], 'a page asked another host')
    assert.deepEqual(web.seen.faults, [], 'the console has errors')
  }

  test('every guide reads in both languages at every width', async () => {
    const page = await visit('/docs/en/start')
    for (const lang of ['ko', 'en']) {
      for (const name of pages) {
        await page.goto(`${origin}/docs/${lang}/${name}`)
        for (const width of [320, 375, 768, 1280]) {
          await page.setViewportSize({ width, height: 900 })
          const seen = await page.evaluate(() => ({
            lang: document.documentElement.lang,
            titles: document.querySelectorAll('h1').length,
            wider: document.documentElement.scrollWidth - innerWidth,
            dead: [...document.querySelectorAll('a[href^="#"]')]
              .filter((a) => !document.getElementById(decodeURIComponent(a.hash.slice(1)))).map((a) => a.hash),
          }))
          assert.deepEqual(seen, { lang, titles: 1, wider: 0, dead: [] }, `${lang}/${name} at ${width}`)
        }
      }
    }
    await page.close()
    clean()
  })

  test('every link leads somewhere', async () => {
    const page = await visit('/docs/ko/start')
    const links = new Set()
    for (const lang of ['ko', 'en']) {
      for (const name of [...pages, 'reference']) {
        await page.goto(`${origin}/docs/${lang}/${name}`)
        for (const url of await page.$$eval('a[href]', (all) => all.map((a) => a.href))) {
          if (url.startsWith(origin)) links.add(url.split('#')[0])
        }
      }
    }
    assert.ok(links.size > 20)
    for (const url of links) assert.equal((await fetch(url)).status, 200, url)
    await page.close()
    clean()
  })

  test('the guides have no fault that axe finds, light and dark, on a phone and a desk', async () => {
    const axe = await readFile(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')
    const page = await visit('/docs/ko/start')
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme })
      for (const [path, width] of [['ko/errors', 1280], ['en/change', 375], ['ko/limits', 375]]) {
        await page.setViewportSize({ width, height: 900 })
        await page.goto(`${origin}/docs/${path}`)
        await page.evaluate(axe)
        const found = await page.evaluate(async () => (await globalThis.axe.run()).violations
          .map((v) => [v.id, v.nodes.map((n) => n.target.join(' ')).slice(0, 3)]))
        assert.deepEqual(found, [], `${path} ${colorScheme} at ${width}`)
      }
    }
    await page.close()
    clean()
  })

  test('on a phone the menu leads to another guide by the keyboard, and the language can be switched', async () => {
    const page = await visit('/docs/en/start', 375)
    await page.locator('.guides summary').focus()
    await page.keyboard.press('Enter')
    await page.locator('.guides details a', { hasText: 'Limits' }).focus()
    await page.keyboard.press('Enter')
    await page.waitForURL('**/docs/en/limits')
    await page.getByRole('link', { name: '한국어' }).click()
    await page.waitForURL('**/docs/ko/limits')
    assert.equal(await page.locator('h1').innerText(), '한도')
    await page.close()
    clean()
  })

  test('the reference opens, searches, logs in and calls this instance', async () => {
    const who = customer(system.demo, 'normal')
    const page = await visit('/docs/en/reference')
    await page.locator('#login summary').click()
    assert.equal(await page.locator('#login-form [name=userId]').inputValue(), who.userId, 'the demo ids are suggested')

    await page.locator('#login-form [name=password]').fill('Wrong-Password-1')
    await page.locator('#login-form button').first().click()
    await page.locator('#login-fault', { hasText: 'AUTH_001' }).waitFor()
    web.seen.faults.length = 0 // the console names the 401

    await page.locator('#login-form [name=password]').fill(who.password)
    await page.locator('#login-form button').first().click()
    await page.waitForFunction(() => document.getElementById('who').value !== '')
    await page.locator('#login summary').click()

    await page.getByRole('button', { name: /search/i }).first().click()
    await page.keyboard.type('bill screen')
    await page.getByRole('option', { name: /bills\/menu/ }).first().click()
    await page.getByRole('button', { name: /test request.*get \/bills\/menu/is }).first().click()
    const answer = page.waitForResponse((r) => r.url().includes('/api/v1/bills/menu'))
    await page.getByRole('button', { name: /send/i }).first().click()
    const body = await (await answer).json()
    assert.equal((await answer).status(), 200, JSON.stringify(body))
    assert.match(body.data.currentMonth, /^\d{4}-\d{2}$/)
    assert.match((await answer).request().headers().authorization, /^Bearer eyJ/)

    const stored = await page.evaluate(
      () => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
    )
    assert.doesNotMatch(stored, /eyJ/, 'the token is in the memory of the tab alone')
    await page.reload()
    assert.equal(await page.locator('#who').evaluate((o) => o.value), '', 'a reload forgets it')
    await page.close()
    clean()
  })

  test('the reference fits a phone', async () => {
    const page = await visit('/docs/ko/reference', 375)
    await page.getByRole('heading', { name: 'phonebill', level: 1 }).waitFor()
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0)
    await page.close()
    clean()
  })
})

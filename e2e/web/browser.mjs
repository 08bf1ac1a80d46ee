// Debian's Chromium (scripts/deps.sh --browser installs it), driven by playwright-core.
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'

const places = [
  process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]
const executablePath = places.find((p) => p && existsSync(p))

/** Why tests in a browser are skipped; false when they run. With REQUIRE_BROWSER=1 they are never skipped. */
export const missing = executablePath || process.env.REQUIRE_BROWSER
  ? false
  : 'there is no Chromium on this machine: scripts/deps.sh --browser'

/** Starts a browser for which no name resolves: it reaches 127.0.0.1 alone. */
export function launch() {
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
  })
}

/**
 * Opens a browser that reaches the origin and nothing else: other names do not resolve, and other requests are cut off
 * and recorded. `seen` has what went wrong: foreign requests, errors of the console, exceptions, refusals by the CSP.
 */
export async function open(origin) {
  const browser = await launch()
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
  const seen = { foreign: [], faults: [] }
  await context.route('**/*', (route) => {
    const url = route.request().url()
    if (new URL(url).origin === origin || /^(data|blob):/.test(url)) return route.continue()
    seen.foreign.push(url)
    return route.abort()
  })
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (e) => {
      // A validator in the viewer tries whether it may compile text, and works without when it may not.
      if (e.blockedURI !== 'eval') console.error('CSP', e.violatedDirective, e.blockedURI)
    })
  })
  context.on('console', (m) => {
    if (m.type() === 'error') seen.faults.push(m.text())
  })
  context.on('weberror', (e) => seen.faults.push(String(e.error())))
  context.on('page', (page) => page.on('websocket', (s) => seen.foreign.push(s.url())))
  return { browser, context, seen }
}

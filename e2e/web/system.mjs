// Starts the whole of phonebill for a test: bin/phonebill with a data folder of its own, on any free ports.
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const listeners = [
  'GATEWAY_ADDR', 'GATEWAY_INTERNAL_ADDR', 'AUTH_ADDR', 'AUTH_INTERNAL_ADDR', 'BILL_ADDR', 'BILL_INTERNAL_ADDR',
  'PRODUCT_ADDR', 'PRODUCT_INTERNAL_ADDR', 'KOS_ADDR', 'KOS_CONTROL_ADDR', 'MVNOAP_ADDR', 'MVNOAP_CONTROL_ADDR',
]

/**
 * Starts the system and resolves when it is ready: with `demo`, what .data/demo.json says of a `make run`, and `stop`.
 * With PHONEBILL_DATA set it takes the system that runs there already, and stop leaves it running.
 */
export async function start(settings = {}) {
  if (process.env.PHONEBILL_DATA) {
    const demo = JSON.parse(await readFile(join(process.env.PHONEBILL_DATA, 'demo.json'), 'utf8'))
    return { demo, stop: async () => {} }
  }
  const folder = await mkdtemp(join(tmpdir(), 'phonebill-web-'))
  const env = { ...process.env, PHONEBILL_ENV: 'development', PHONEBILL_DATA: folder, ...settings }
  for (const name of listeners) env[name] = '127.0.0.1:0'
  const binary = new URL('../../bin/phonebill', import.meta.url).pathname
  const child = spawn(binary, [], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  let said = ''
  await new Promise((resolve, reject) => {
    const hear = (chunk) => {
      said += chunk
      if (said.includes('phonebill is ready')) resolve()
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.once('error', (error) => reject(new Error(`${binary} does not start (make build): ${error.message}`)))
    child.once('exit', (code) => reject(new Error(`phonebill ended with ${code}:\n${said}`)))
  })
  const demo = JSON.parse(await readFile(join(folder, 'demo.json'), 'utf8'))
  return {
    demo,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Returns the demo customer with the scenario, the n-th of them from 0. */
export function customer(demo, scenario, n = 0) {
  const all = demo.customers.filter((c) => c.scenario === scenario)
  if (!all[n]) throw new Error(`there is no demo customer ${n} with scenario ${scenario}`)
  return all[n]
}

// Runs the collection that a developer opens in Postman against the running system.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import newman from 'newman'
import { customer, start } from './system.mjs'

test('the collection of the journey passes', { timeout: 180_000 }, async () => {
  const system = await start()
  try {
    const who = customer(system.demo, 'normal', 2)
    const summary = await new Promise((resolve, reject) => {
      newman.run({
        collection: new URL('journey.postman_collection.json', import.meta.url).pathname,
        envVar: [
          ['baseUrl', system.demo.baseUrl], ['userId', who.userId], ['password', who.password],
          ['lineNumber', who.lineNumber],
        ].map(([key, value]) => ({ key, value })),
        timeoutRequest: 30_000,
      }, (error, result) => (error ? reject(error) : resolve(result)))
    })
    assert.deepEqual(summary.run.failures.map((f) => `${f.source.name}: ${f.error.message}`), [])
    assert.equal(summary.run.stats.assertions.total, 14)
  } finally {
    await system.stop()
  }
})

// What the client does when answers are late, broken or foreign: against a server of the test's own.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, beforeEach, describe, test } from 'node:test'
import { NoAnswer, Phonebill, isApiError } from '../dist/index.js'

describe('repeats', { timeout: 60_000 }, () => {
  let server, api, answers, seen
  before(async () => {
    server = createServer((req, res) => {
      let body = ''
      req.on('data', (chunk) => { body += chunk })
      req.on('end', () => {
        const key = req.headers['idempotency-key']
        seen.push({ line: `${req.method} ${req.url}`, key, body, at: performance.now() })
        const answer = answers.shift()
        if (answer === 'cut') return void req.socket.destroy()
        res.writeHead(answer.status, { 'Content-Type': 'application/json', ...answer.headers })
        res.end(JSON.stringify(answer.body))
      })
    })
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    api = new Phonebill({ baseUrl: `http://127.0.0.1:${server.address().port}/api/v1/`, longestWait: 5 })
  })
  after(() => server.close())
  beforeEach(() => { seen = [] })

  const success = (data, status = 200, headers = {}) =>
    ({ status, headers, body: { success: true, message: '', data } })
  const error = (status, code, headers = {}) => ({
    status, headers, body: { success: false, error: { code, message: code, timestamp: '', path: '', traceId: 't' } },
  })
  const bill = { status: 'COMPLETED', requestId: 'r1', source: 'KOS', billInfo: {} }
  const ask = (settings) => api.inquireBill({ lineNumber: '01012345678' }, { idempotencyKey: 'k1', ...settings })

  test('a 429 is repeated after Retry-After, not before', async () => {
    answers = [error(429, 'RATE_LIMIT_EXCEEDED', { 'Retry-After': '1' }), success({ lines: [] })]
    await api.request('get', '/bills/menu')
    assert.equal(seen.length, 2)
    assert.ok(seen[1].at - seen[0].at >= 990)
  })

  test('a Retry-After that is too long for a person is the error, with the seconds', async () => {
    answers = [error(503, 'SERVICE_UNAVAILABLE', { 'Retry-After': '600' })]
    await assert.rejects(api.request('get', '/bills/menu'), (e) => isApiError(e) && e.retryAfter === 600)
  })

  test('a 503 with Retry-After is repeated with the same key, twice and no more', async () => {
    const busy = () => error(503, 'SERVICE_UNAVAILABLE', { 'Retry-After': '1' })
    answers = [busy(), busy(), success(bill)]
    assert.equal((await ask()).source, 'KOS')
    assert.deepEqual(seen.map((s) => s.key), ['k1', 'k1', 'k1'])
    assert.ok(seen[2].at - seen[0].at >= 1980)
    seen = []
    answers = [busy(), busy(), busy(), success(bill)]
    await assert.rejects(ask(), (e) => isApiError(e, 'SERVICE_UNAVAILABLE') && e.retryAfter === 1)
    assert.equal(seen.length, 3)
  })

  test('without Retry-After nothing says when, and a log-in is sent once: both are the error', async () => {
    answers = [error(429, 'RATE_LIMIT_EXCEEDED')]
    await assert.rejects(api.request('get', '/bills/menu'), (e) => isApiError(e, 'RATE_LIMIT_EXCEEDED'))
    answers = [error(429, 'RATE_LIMIT_EXCEEDED', { 'Retry-After': '1' })]
    await assert.rejects(
      api.login({ userId: 'someone', password: 'Wrong-Password-1' }),
      (e) => isApiError(e, 'RATE_LIMIT_EXCEEDED') && e.retryAfter === 1,
    )
    assert.equal(seen.length, 2)
  })

  test('what has a key is sent again with the same key and body when the answer is lost', async () => {
    answers = ['cut', error(502, 'BAD_GATEWAY'), success(bill)]
    assert.equal((await ask()).source, 'KOS')
    assert.deepEqual(seen.map((s) => s.key), ['k1', 'k1', 'k1'])
    assert.equal(new Set(seen.map((s) => s.body)).size, 1)
  })

  test('what has none is sent once', async () => {
    answers = ['cut']
    await assert.rejects(api.login({ userId: 'someone', password: 'Wrong-Password-1' }), NoAnswer)
    assert.equal(seen.length, 1)
  })

  test('a refusal is not repeated', async () => {
    answers = [error(409, 'CHANGE_DENIED')]
    await assert.rejects(
      api.changeProduct({ lineNumber: '1', currentProductCode: 'A', targetProductCode: 'B' }, { idempotencyKey: 'k2' }),
      (e) => isApiError(e, 'CHANGE_DENIED'),
    )
    assert.equal(seen.length, 1)
  })

  test('a Location elsewhere is not followed', async () => {
    answers = [success({ requestId: 'r1', status: 'PROCESSING' }, 202, { Location: 'http://127.0.0.1:1/api/v1/x' })]
    await assert.rejects(ask(), NoAnswer)
    answers = [success({ requestId: 'r1', status: 'PROCESSING' }, 202, { Location: '/health' })]
    await assert.rejects(ask(), NoAnswer)
  })

  test('polls wait at the server, until the state is final', async () => {
    const states = []
    answers = [
      success({ requestId: 'r1', status: 'PROCESSING' }, 202, { Location: '/api/v1/bills/inquiry/r1' }),
      success({ requestId: 'r1', status: 'PROCESSING', progress: 50 }), success(bill),
    ]
    await ask({ onProgress: (s) => states.push(s.progress ?? 0) })
    assert.deepEqual(states, [0, 50])
    assert.equal(seen[2].line, 'GET /api/v1/bills/inquiry/r1?wait=20')
  })

  test('a failure afterwards has its code', async () => {
    answers = [success({ requestId: 'r1', status: 'FAILED', failureCode: 'CHANGE_DENIED', failureReason: '미납' })]
    await assert.rejects(api.followChange('r1'), { name: 'RequestFailed', code: 'CHANGE_DENIED', message: '미납' })
  })

  test('an abort ends a wait for Retry-After with its reason', async () => {
    answers = [error(429, 'RATE_LIMIT_EXCEEDED', { 'Retry-After': '5' })]
    const stop = new AbortController()
    const call = api.request('get', '/bills/menu', { signal: stop.signal })
    while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve))
    stop.abort(new Error('gone'))
    await assert.rejects(call, /gone/)
  })

  test('an answer that is not of the API is no answer', async () => {
    answers = [{ status: 404, body: 'proxy' }, { status: 404, body: 'proxy' }, { status: 404, body: 'proxy' }]
    await assert.rejects(api.request('get', '/bills/menu'), NoAnswer)
  })
})

// The client against the running system.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { customer, start } from '../../../e2e/web/system.mjs'
import { MemoryTokens, Phonebill, RequestFailed, isApiError } from '../dist/index.js'

describe('the client and the running system', { timeout: 180_000 }, () => {
  let system, baseUrl
  before(async () => {
    system = await start()
    baseUrl = system.demo.baseUrl + '/api/v1'
  })
  after(() => system?.stop())

  const session = async (who, settings = {}) => {
    const api = new Phonebill({ baseUrl, ...settings })
    const user = await api.login({ userId: who.userId, password: who.password })
    return { api, user: user.user }
  }
  const key = () => crypto.randomUUID()

  test('log in, see a bill, see it again, log out', async () => {
    const who = customer(system.demo, 'normal')
    const tokens = new MemoryTokens()
    const { api, user } = await session(who, { tokens })
    assert.equal(user.userId, who.userId)
    const menu = await api.request('get', '/bills/menu', { query: { lineNumber: who.lineNumber } })
    const inquiry = { lineNumber: who.lineNumber, inquiryMonth: menu.currentMonth }
    const bill = await api.inquireBill(inquiry, { idempotencyKey: key() })
    assert.equal(bill.status, 'COMPLETED')
    assert.ok(bill.billInfo.totalAmount > 0)
    assert.equal((await api.inquireBill(inquiry, { idempotencyKey: key() })).source, 'CACHE')
    const history = await api.request('get', '/bills/history', { query: { page: 1, size: 5 } })
    assert.ok(history.items.length >= 2)
    await api.logout()
    assert.equal(tokens.load(), undefined)
    await assert.rejects(api.request('get', '/bills/menu'), (e) => isApiError(e, 'UNAUTHORIZED') && e.status === 401)
  })

  test('a slow line is one promise with progress', async () => {
    const who = customer(system.demo, 'slow')
    const { api } = await session(who)
    const states = []
    const bill = await api.inquireBill({ lineNumber: who.lineNumber }, {
      idempotencyKey: key(), onProgress: (state) => states.push(state.status),
    })
    assert.equal(states[0], 'PROCESSING', 'it was taken by 202')
    assert.ok(bill.billInfo.totalAmount > 0)
  })

  test('an abort ends the waiting, not the inquiry', async () => {
    const who = customer(system.demo, 'slow')
    const { api } = await session(who)
    const menu = await api.request('get', '/bills/menu')
    const stop = new AbortController()
    let requestId
    await assert.rejects(api.inquireBill({ lineNumber: who.lineNumber, inquiryMonth: menu.availableMonths[1] }, {
      idempotencyKey: key(), signal: stop.signal,
      onProgress: (state) => {
        requestId = state.requestId
        stop.abort(new Error('the customer left'))
      },
    }), /the customer left/)
    assert.equal((await api.followBill(requestId)).status, 'COMPLETED')
  })

  test('a change is made once, however often it is sent', async () => {
    const who = customer(system.demo, 'normal', 3)
    const { api } = await session(who)
    const { products } = await api.request('get', '/products/available', { query: { lineNumber: who.lineNumber } })
    const { currentProduct } = await api.request('get', '/products/customer/{lineNumber}', {
      path: { lineNumber: who.lineNumber },
    })
    const target = products.find((p) => p.productCode !== currentProduct.productCode)
    const order = {
      lineNumber: who.lineNumber, currentProductCode: currentProduct.productCode, targetProductCode: target.productCode,
    }
    const idempotencyKey = key()
    const both = await Promise.all([1, 2].map(() => api.changeProduct(order, { idempotencyKey })))
    assert.equal(both[0].requestId, both[1].requestId)
    const ledger = await (await fetch(system.demo.kos.control + '/control/ledger')).json()
    assert.equal(ledger.filter((row) => row.lineNumber.replaceAll('-', '') === who.lineNumber).length, 1)
    assert.equal((await api.followChange(both[0].requestId)).status, 'COMPLETED')
    await assert.rejects(
      api.changeProduct({ ...order, currentProductCode: 'OTHER-001' }, { idempotencyKey }),
      (e) => isApiError(e, 'IDEMPOTENCY_KEY_REUSED') && e.status === 422,
    )
  })

  test('errors are typed by code', async () => {
    const { api } = await session(customer(system.demo, 'suspended'))
    const foreign = customer(system.demo, 'normal').lineNumber
    await assert.rejects(
      api.inquireBill({ lineNumber: foreign }, { idempotencyKey: key() }),
      (e) => isApiError(e, 'FORBIDDEN') && /^[0-9a-f]{32}$/.test(e.traceId),
    )
    await assert.rejects(
      api.request('get', '/bills/history', { query: { page: 0 } }),
      (e) => isApiError(e, 'VALIDATION_ERROR') && e.fields[0].field === 'page',
    )
    const none = await session(customer(system.demo, 'no_bill'))
    await assert.rejects(
      none.api.inquireBill({ lineNumber: customer(system.demo, 'no_bill').lineNumber }, { idempotencyKey: key() }),
      (e) => isApiError(e, 'BILL_NOT_FOUND') || e instanceof RequestFailed && e.code === 'BILL_NOT_FOUND',
    )
  })

  test('one refresh serves all callers, and a session that is over is told once', async () => {
    const who = customer(system.demo, 'normal', 1)
    const tokens = new MemoryTokens()
    let expired, refreshes = 0
    const ended = []
    const counting = (url, init) => {
      if (new Headers(init.headers).get('Authorization') === `Bearer ${expired}`) { // as half an hour later
        return Promise.resolve(Response.json(
          { success: false, error: { code: 'TOKEN_EXPIRED', message: '', timestamp: '', path: '', traceId: '' } },
          { status: 401 },
        ))
      }
      if (String(url).endsWith('/auth/refresh')) refreshes++
      return fetch(url, init)
    }
    const { api } = await session(who, { tokens, fetch: counting, onSessionEnd: (reason) => ended.push(reason.code) })
    expired = tokens.load().accessToken
    const menus = await Promise.all(Array.from({ length: 10 }, () => api.request('get', '/bills/menu')))
    assert.equal(menus.length, 10)
    assert.equal(refreshes, 1)
    assert.notEqual(tokens.load().accessToken, expired)

    expired = tokens.load().accessToken
    await tokens.save({ accessToken: expired, refreshToken: 'r1.AZQMLopUfTyxoF8PbxvL.Zm9vYmFy' })
    const calls = await Promise.allSettled([1, 2, 3].map(() => api.request('get', '/bills/menu')))
    assert.ok(calls.every((c) => c.status === 'rejected' && isApiError(c.reason, 'REFRESH_TOKEN_INVALID')))
    assert.deepEqual(ended, ['REFRESH_TOKEN_INVALID'])
    assert.equal(tokens.load(), undefined)
  })
})

// Compiled and never run: what the types must refuse, and what they must know.
import { Phonebill, isApiError, type AnyApiError } from '../src/index.js'

const api = new Phonebill({ baseUrl: '/api/v1' })

export async function refused(): Promise<void> {
  // @ts-expect-error an inquiry takes an idempotency key
  await api.inquireBill({ lineNumber: '01012345678' }, {})
  // @ts-expect-error a change takes one too
  await api.request('post', '/products/change', {
    body: { lineNumber: '01012345678', currentProductCode: 'A', targetProductCode: 'B' },
  })
  // @ts-expect-error there is no such path
  await api.request('get', '/bills/menus')
  // @ts-expect-error there is no such query parameter
  await api.request('get', '/bills/history', { query: { lines: '1' } })
  // @ts-expect-error the path needs its parameter
  await api.request('get', '/products/customer/{lineNumber}', {})
}

export async function known(): Promise<string> {
  const menu = await api.request('get', '/bills/menu')
  const bill = await api.inquireBill({ lineNumber: '01012345678' }, { idempotencyKey: crypto.randomUUID() })
  const source: 'KOS' | 'CACHE' | 'STALE' = bill.source
  return menu.currentMonth + source + bill.billInfo.productName
}

export function narrowed(error: AnyApiError): string | undefined {
  switch (error.code) {
    case 'CHANGE_IN_PROGRESS':
      return error.details.requestId
    case 'TOKEN_REVOKED':
      return error.details.reason
    default:
      return isApiError(error, 'FORBIDDEN') ? error.message : error.traceId
  }
}

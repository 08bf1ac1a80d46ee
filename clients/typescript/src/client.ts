import { type ApiError, NoAnswer, RequestFailed, errorOf, isApiError } from './errors.js'
import type { CallOptions, CallSettings, Data, Method, PathOf, Schemas } from './operations.js'
import { MemoryTokens, type TokenStore, type Tokens } from './tokens.js'
import { unless, wait } from './wait.js'

export interface Settings {
  /** The base of the API, such as `https://api.example.com/api/v1`. In a browser a path will do. */
  baseUrl: string
  /** Where the tokens of the session are; in memory when left out. */
  tokens?: TokenStore
  /** Called when the session is over and the customer has to log in again. */
  onSessionEnd?: (reason: ApiError) => void
  /** How often a call is repeated that may be repeated (2 when left out): after 429, 503, or no answer. */
  retries?: number
  /** The longest that a repeat waits for Retry-After, in seconds (30 when left out); longer fails with the error. */
  longestWait?: number
  /** fetch of another environment. */
  fetch?: typeof fetch
}

/** How a request is followed until its outcome is known. */
export interface FollowSettings<S> extends CallSettings {
  /** Called with the state of a request that goes on: first when it was taken, then after each look. */
  onProgress?: (state: S) => void
}

/** What identifies one act of the customer: the same key over repeats, reloads and a new login, until the outcome. */
export interface Keyed {
  idempotencyKey: string
}

/** Seconds for which one look at a request waits at the server. */
const look = 20

interface Call {
  method: string
  url: string
  body?: unknown
  key?: string | undefined
  signal?: AbortSignal | undefined
  /** May be sent again when it is unknown whether it had an effect. */
  repeatable: boolean
}

/** The API of phonebill. One client serves one customer at a time; all its methods may be called at once. */
export class Phonebill {
  readonly #base: URL
  readonly #tokens: TokenStore
  readonly #settings: Settings
  readonly #fetch: typeof fetch
  #refreshing: Promise<Tokens> | undefined

  constructor(settings: Settings) {
    const here = (globalThis as { location?: { href: string } }).location?.href
    this.#base = new URL(settings.baseUrl.replace(/\/*$/, '/'), here)
    this.#tokens = settings.tokens ?? new MemoryTokens()
    this.#settings = settings
    this.#fetch = settings.fetch ?? ((input, init) => fetch(input, init))
  }

  /** Begins a session. It is sent once: each wrong password counts. */
  async login(credentials: Schemas['LoginRequest'], settings: CallSettings = {}): Promise<Data<'post', '/auth/login'>> {
    const answer = await this.#send({
      method: 'POST', url: this.#url('auth/login'), body: credentials, signal: settings.signal, repeatable: false,
    }, undefined)
    const data = await this.#data<Data<'post', '/auth/login'>>(answer)
    await this.#tokens.save({ accessToken: data.accessToken, refreshToken: data.refreshToken })
    return data
  }

  /** Ends the session. The tokens are forgotten here even when the server cannot be asked. */
  async logout(settings: CallSettings = {}): Promise<void> {
    try {
      await this.request('post', '/auth/logout', settings as CallOptions<'post', '/auth/logout'>)
    } finally {
      await this.#tokens.save(undefined)
    }
  }

  /** Calls any operation of the specification; parameters, body and result are typed by it. */
  async request<M extends Method, P extends PathOf<M>>(
    method: M, path: P, ...[options]: {} extends CallOptions<M, P> ? [CallOptions<M, P>?] : [CallOptions<M, P>]
  ): Promise<Data<M, P>> {
    const { answer } = await this.#request(method, path, (options ?? {}) as Loosely)
    return this.#data<Data<M, P>>(answer)
  }

  /**
   * Asks for the bill of a month and waits until it is there. Fails with RequestFailed when the request was accepted
   * and failed afterwards. An abort ends the waiting; the request goes on and its result is in the history.
   */
  async inquireBill(
    inquiry: Schemas['BillInquiryRequest'], settings: Keyed & FollowSettings<BillState>,
  ): Promise<BillOutcome> {
    const { answer, url } = await this.#request('post', '/bills/inquiry', { ...settings, body: inquiry })
    if (answer.status !== 202) return this.#data<BillOutcome>(answer)
    return this.#follow<BillState>(answer, url, settings) as Promise<BillOutcome>
  }

  /**
   * Orders a change of plan and waits until its outcome is known. Fails with ApiError when it is refused at once, and
   * with RequestFailed when it is refused or taken back later. An abort ends the waiting, not the order.
   */
  async changeProduct(
    order: Schemas['ProductChangeRequest'], settings: Keyed & FollowSettings<ChangeState>,
  ): Promise<ChangeOutcome> {
    const { answer, url } = await this.#request('post', '/products/change', { ...settings, body: order })
    if (answer.status !== 202) return this.#data<ChangeOutcome>(answer)
    return this.#follow<ChangeState>(answer, url, settings) as Promise<ChangeOutcome>
  }

  /** Waits for the outcome of a bill inquiry that was taken earlier, for instance before a reload of the page. */
  async followBill(
    requestId: string, settings: FollowSettings<BillState> = {},
  ): Promise<BillOutcome> {
    return this.#poll(this.#url(`bills/inquiry/${encodeURIComponent(requestId)}`), settings) as Promise<BillOutcome>
  }

  /** Waits for the outcome of a change that was ordered earlier. */
  async followChange(
    requestId: string, settings: FollowSettings<ChangeState> = {},
  ): Promise<ChangeOutcome> {
    return this.#poll(this.#url(`products/change/${encodeURIComponent(requestId)}`), settings) as Promise<ChangeOutcome>
  }

  #url(path: string): string {
    return new URL(path, this.#base).href
  }

  async #request(method: string, path: string, options: Loosely): Promise<{ answer: Response, url: string }> {
    const filled = path.slice(1)
      .replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(options.path?.[name])))
    const url = new URL(filled, this.#base)
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value))
    }
    const answer = await this.#authorised({
      method: method.toUpperCase(), url: url.href, body: options.body, key: options.idempotencyKey,
      signal: options.signal, repeatable: method === 'get' || options.idempotencyKey !== undefined,
    })
    return { answer, url: url.href }
  }

  async #data<T>(answer: Response): Promise<T> {
    if (answer.status === 204) return undefined as T
    const body = await answer.json().catch(() => undefined) as { data?: unknown } | undefined
    if (body === undefined) throw new NoAnswer(`status ${answer.status} without JSON`)
    return body.data as T
  }

  /** Sends with the session's token; when that is out of date, refreshes it and sends once more. */
  async #authorised(call: Call): Promise<Response> {
    const tokens = await this.#tokens.load()
    try {
      return await this.#send(call, tokens?.accessToken)
    } catch (error) {
      const stale = isApiError(error, 'TOKEN_EXPIRED') ||
        isApiError(error, 'TOKEN_REVOKED') && error.details.reason === 'RIGHTS_CHANGED'
      if (!stale || tokens === undefined) throw error
      const current = await this.#tokens.load()
      const fresh = current !== undefined && current.accessToken !== tokens.accessToken
        ? current // somebody else has refreshed meanwhile
        : await unless(call.signal, this.#refresh())
      return this.#send(call, fresh.accessToken)
    }
  }

  /** Exchanges the refresh token once, however many callers wait for it. An abort of one of them does not end it. */
  #refresh(): Promise<Tokens> {
    this.#refreshing ??= this.#exchange().finally(() => { this.#refreshing = undefined })
    return this.#refreshing
  }

  async #exchange(): Promise<Tokens> {
    const tokens = await this.#tokens.load()
    try {
      const answer = await this.#send({
        method: 'POST', url: this.#url('auth/refresh'), body: { refreshToken: tokens?.refreshToken ?? '' },
        repeatable: true, // within seconds the same token brings the same session on
      }, undefined)
      const data = await this.#data<Data<'post', '/auth/refresh'>>(answer)
      const fresh = { accessToken: data.accessToken, refreshToken: data.refreshToken }
      await this.#tokens.save(fresh)
      return fresh
    } catch (error) {
      if (isApiError(error) && error.status === 401) {
        await this.#tokens.save(undefined)
        this.#settings.onSessionEnd?.(error)
      }
      throw error
    }
  }

  /** Sends, and repeats what may be repeated. Fails with ApiError, NoAnswer or the signal's reason. */
  async #send(call: Call, accessToken: string | undefined): Promise<Response> {
    const retries = this.#settings.retries ?? 2
    for (let tries = 0; ; tries++) {
      const failed = await this.#sendOnce(call, accessToken)
      if (failed instanceof Response) return failed
      const pause = this.#pause(call, failed, tries)
      if (tries >= retries || pause === undefined) throw failed
      await wait(pause, call.signal)
    }
  }

  async #sendOnce(call: Call, accessToken: string | undefined): Promise<Response | ApiError | NoAnswer> {
    const headers = new Headers({ Accept: 'application/json' })
    if (call.body !== undefined) headers.set('Content-Type', 'application/json')
    if (accessToken !== undefined) headers.set('Authorization', `Bearer ${accessToken}`)
    if (call.key !== undefined) headers.set('Idempotency-Key', call.key)
    try {
      const answer = await this.#fetch(call.url, {
        method: call.method, headers, redirect: 'error', credentials: 'include', cache: 'no-store',
        ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
        ...(call.signal && { signal: call.signal }),
      })
      return answer.ok ? answer : await errorOf(answer)
    } catch (error) {
      call.signal?.throwIfAborted()
      return new NoAnswer('the API could not be reached', { cause: error })
    }
  }

  /** Returns the seconds before a repeat; undefined when there is none. */
  #pause(call: Call, failed: ApiError | NoAnswer, tries: number): number | undefined {
    if (failed instanceof NoAnswer) return call.repeatable ? 0.2 * 2 ** tries : undefined
    const longest = this.#settings.longestWait ?? 30
    switch (failed.status) {
      case 429:
      case 503: // nothing was done
        return call.repeatable && failed.retryAfter !== undefined && failed.retryAfter <= longest
          ? failed.retryAfter
          : undefined
      case 502:
      case 504:
        return call.repeatable ? 0.2 * 2 ** tries : undefined
      default:
        return undefined
    }
  }

  /** Follows what a 202 has taken: its Location, which must be below the base of the API. */
  async #follow<S extends State>(accepted: Response, asked: string, settings: FollowSettings<S>): Promise<S> {
    const location = new URL(accepted.headers.get('Location') ?? '', asked)
    if (!location.href.startsWith(this.#base.href)) throw new NoAnswer('a Location that is not of the API')
    settings.onProgress?.(await this.#data<S>(accepted))
    await wait(Number(accepted.headers.get('Retry-After') ?? 0) || 0, settings.signal)
    return this.#poll(location.href, settings)
  }

  /** Looks at a request until it is final. */
  async #poll<S extends State>(address: string, settings: FollowSettings<S>): Promise<S> {
    const url = new URL(address)
    url.searchParams.set('wait', String(look))
    for (;;) {
      const answer = await this.#authorised({ method: 'GET', url: url.href, signal: settings.signal, repeatable: true })
      const state = await this.#data<S>(answer)
      switch (state.status) {
        case 'COMPLETED':
          return state
        case 'FAILED':
        case 'CANCELLED':
          throw new RequestFailed(
            state.requestId, state.status, state.failureCode, state.failureReason ?? '요청을 처리하지 못하였습니다',
          )
        default:
          settings.onProgress?.(state)
          await wait(Number(answer.headers.get('Retry-After') ?? 0) || 0, settings.signal)
      }
    }
  }
}

/** The state of a request that was accepted. */
interface State {
  requestId: string
  status: 'PENDING' | 'PROCESSING' | 'COMPLETED' | 'FAILED' | 'CANCELLED'
  failureCode?: Schemas['FailureCode']
  failureReason?: string
}

interface Loosely extends CallSettings {
  path?: Record<string, unknown>
  query?: Record<string, unknown>
  body?: unknown
  idempotencyKey?: string
}

/** The state of a bill inquiry, as long as it is not final. */
export type BillState = Schemas['BillInquiryAcceptedData'] | Schemas['BillInquiryStatusData']
/** The state of a change, as long as it is not final. */
export type ChangeState = Schemas['ProductChangeAcceptedData'] | Schemas['ProductChangeStatusData']

/** A bill that is there, by the call itself or by a look at the request afterwards. */
export type BillOutcome = Schemas['BillInquiryData'] | (Schemas['BillInquiryStatusData'] &
  Required<Pick<Schemas['BillInquiryStatusData'], 'billInfo' | 'source'>> & { status: 'COMPLETED' })
/** A change that the carrier has accepted. */
export type ChangeOutcome = Schemas['ProductChangeData'] |
  (Schemas['ProductChangeStatusData'] & { status: 'COMPLETED' })

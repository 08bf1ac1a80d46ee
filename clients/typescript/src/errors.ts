// What a call can fail with. Decide by `code`; `message` is Korean and may be shown to the customer.
import type { Schemas } from './operations.js'

export type ErrorCode = Schemas['ErrorCode']

/** What `details` has with some codes. */
export interface ErrorDetails {
  CHANGE_IN_PROGRESS: { requestId: string }
  REAUTHENTICATION_FAILED: { reason: string }
  TOKEN_REVOKED: { reason: string }
  REFRESH_TOKEN_INVALID: { reason: string }
}

type DetailsOf<C extends ErrorCode> = Partial<Record<string, string>> &
  (C extends keyof ErrorDetails ? Partial<ErrorDetails[C]> : unknown)

/** An answer of 400 or more. */
export class ApiError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'ApiError'

  constructor(
    readonly code: C,
    readonly status: number,
    message: string,
    /** Which inputs are at fault and why. */
    readonly fields: readonly Schemas['ErrorField'][],
    readonly details: DetailsOf<C>,
    /** Finds the request in the operator's logs: show it as the number to quote. Empty when no service answered. */
    readonly traceId: string,
    /** Seconds to wait before the next try, of 429 and 503. */
    readonly retryAfter: number | undefined,
  ) {
    super(message)
  }
}

/** One error for each code: a `switch` over `code` narrows the type. */
export type AnyApiError = { [C in ErrorCode]: ApiError<C> }[ErrorCode]

/** No answer: the network is away, or what answered is not the API. The call may have had an effect. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
}

/** A request that was accepted (202) and failed or was taken back afterwards. */
export class RequestFailed extends Error {
  override readonly name = 'RequestFailed'

  constructor(
    readonly requestId: string,
    readonly status: 'FAILED' | 'CANCELLED',
    readonly code: Schemas['FailureCode'] | undefined,
    message: string,
  ) {
    super(message)
  }
}

/** Reports whether the value is an error of the API, of that code when one is given. */
export function isApiError(value: unknown): value is AnyApiError
export function isApiError<C extends ErrorCode>(value: unknown, code: C): value is ApiError<C>
export function isApiError(value: unknown, code?: ErrorCode): boolean {
  return value instanceof ApiError && (code === undefined || value.code === code)
}

/** Makes the error of an answer of 400 or more. */
export async function errorOf(answer: Response): Promise<ApiError | NoAnswer> {
  const seconds = Number(answer.headers.get('Retry-After') ?? NaN)
  const body: unknown = await answer.json().catch(() => undefined)
  const error = (body as Partial<Schemas['ErrorEnvelope']> | undefined)?.error
  if (error === undefined || typeof error.code !== 'string') {
    return new NoAnswer(`status ${answer.status} without an error of the API`)
  }
  return new ApiError(
    error.code, answer.status, error.message, error.fields ?? [], error.details ?? {}, error.traceId,
    Number.isFinite(seconds) ? seconds : undefined,
  )
}

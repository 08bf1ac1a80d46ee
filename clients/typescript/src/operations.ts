// The types of calls, read out of the generated schema.
import type { components, paths } from './schema.js'

export type Schemas = components['schemas']

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'

/** The paths that have the method. */
export type PathOf<M extends Method> = {
  [P in keyof paths]: paths[P] extends { [K in M]: object } ? P : never
}[keyof paths]

type Operation<M extends Method, P extends PathOf<M>> = paths[P] extends { [K in M]: infer O } ? O : never

type Parameters<O, In extends string> = O extends { parameters: { [K in In]?: infer V } }
  ? [Exclude<V, undefined>] extends [never] ? undefined : Exclude<V, undefined>
  : undefined

type Body<O> = O extends { requestBody: { content: { 'application/json': infer B } } }
  ? B
  : O extends { requestBody?: infer R }
    ? NonNullable<R> extends { content: { 'application/json': infer B } }
      ? [NonNullable<R>] extends [never] ? undefined : B | undefined
      : undefined
    : undefined

type Json<R> = R extends { content: { 'application/json': infer J } } ? J : never

/** What `data` of a success has; the whole body for the few answers without an envelope. */
export type Data<M extends Method, P extends PathOf<M>> =
  Operation<M, P> extends { responses: infer R }
    ? {
      [S in keyof R]: S extends 200 | 201 | 202 ? (Json<R[S]> extends { data: infer D } ? D : undefined) : never
    }[keyof R]
    : never

/** Makes a key optional when undefined fits it. */
type Loose<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } &
  { [K in keyof T as undefined extends T[K] ? K : never]?: T[K] }

type Optional<T> = T extends undefined ? undefined : {} extends T ? T | undefined : T

/** An operation that takes an idempotency key is given one: a repeat must never act twice. */
type Key<O> = [NonNullable<Parameters<O, 'header'>>] extends [never]
  ? undefined
  : 'Idempotency-Key' extends keyof NonNullable<Parameters<O, 'header'>> ? string : undefined

/** How one call is made. */
export interface CallSettings {
  /** Ends the call, its repeats and its waiting. The promise fails with the signal's reason. */
  signal?: AbortSignal | undefined
}

export type CallOptions<M extends Method, P extends PathOf<M>> = CallSettings & Loose<{
  path: Optional<Parameters<Operation<M, P>, 'path'>>
  query: Optional<Parameters<Operation<M, P>, 'query'>>
  body: Body<Operation<M, P>>
  idempotencyKey: Key<Operation<M, P>>
}>

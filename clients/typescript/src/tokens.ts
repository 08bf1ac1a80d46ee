/** The tokens of a session. */
export interface Tokens {
  accessToken: string
  refreshToken: string
}

/** Where the tokens of a session are. Both may return promises; save(undefined) ends the session here. */
export interface TokenStore {
  load(): Tokens | undefined | Promise<Tokens | undefined>
  save(tokens: Tokens | undefined): void | Promise<void>
}

/** Keeps the tokens in memory: gone with the page or the process, and out of reach for other scripts' storage. */
export class MemoryTokens implements TokenStore {
  #tokens: Tokens | undefined

  constructor(tokens?: Tokens) {
    this.#tokens = tokens
  }

  load(): Tokens | undefined {
    return this.#tokens
  }

  save(tokens: Tokens | undefined): void {
    this.#tokens = tokens
  }
}

// Package kos is the anti-corruption layer in front of KOS-Order, the carrier's backend: one call of a port is at most
// one HTTP request, and nothing else in phonebill knows KOS's codes, words or date formats.
//
// A call passes the operation's circuit breaker (breaker.go), the rate limiter with its lanes and its bulkhead
// (ratelimiter.go), and the wire (call.go). The answer is judged in one table (classify.go), written to the call log
// (pendingcalls.go) and converted to nouns (convert.go). Begin with operations.go: it declares every operation with all
// that is particular to it.
package kos

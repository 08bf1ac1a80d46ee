// Package kos is the anti-corruption layer in front of KOS-Order: one call of a port is at most one request on the wire. A call
// passes the operation's breaker, then the quota, then the wire; what came back is judged in one table (classify.go), written to
// the call log and turned into nouns (convert.go). Nothing else in phonebill knows KOS's words, codes or date formats.
package kos

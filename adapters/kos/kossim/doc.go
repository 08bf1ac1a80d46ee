// Package kossim is a simulator of KOS-Order, the carrier's backend: the sandbox for front-end developers, the twin for
// fault tests, and part of `make run`. Its contracts are openapi/kos.yaml (what phonebill calls) and
// openapi/kos-control.yaml (what tests and operators steer it with).
//
// It proves "exactly once": every received call is in the call log at once, every accepted change is one row of an
// append-only ledger. With a StateDir both survive a crash, because they are fsynced before KOS answers.
//
// The parts: plans.go, lines.go and bills.go are what KOS knows; changes.go is what it does; quota.go, faults.go and
// journal.go are how it behaves; api.go, operations.go and control.go are how it is reached.
package kossim

// Package kossim is a simulator of KOS-Order, the carrier's backend: the sandbox for front-end developers, the other
// side of fault tests, and part of `make run`. Its contracts are openapi/kos.yaml (what phonebill calls) and
// openapi/kos-control.yaml (what tests and operators control it with).
//
// It proves "exactly once": every received call is in the call log at once, every accepted change is one row of an
// append-only ledger. With a StateDir both survive a crash, because they are fsynced before KOS answers.
//
// Begin with operations.go, the table of its operations. plans.go, lines.go and bills.go hold its data; changes.go
// decides orders; quota.go, faults.go and shapes.go make it refuse, fail or answer oddly; journal.go stores its state;
// api.go and control.go are its two HTTP interfaces.
package kossim

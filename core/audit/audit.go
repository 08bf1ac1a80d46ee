// Package audit holds the records of what staff did and of the calls to KOS, kept append-only (ADR 26). Begin with
// Entry (chain.go).
package audit

import (
	"time"

	"phonebill/core/id"
	"phonebill/core/line"
)

// Call is one call to KOS: its request, times and result (UFR-BILL-040, processing history). A call that was never sent
// (breaker open, budget used up) is not recorded here and is counted in the metrics only, so that the log grows no
// faster than the budget allows.
type Call struct {
	ID         id.ID
	Operation  string // as R-KOS-CALLS names it: bill.inquiry, customer.get, …
	Line       line.Number
	RequestID  id.ID // of the inquiry or order that caused the call; zero when none did
	AskedAt    time.Time
	AnsweredAt time.Time
	Waited     time.Duration // for its turn, before it was made; the log keeps whole milliseconds
	Attempt    int           // counts from 1 per question
	Breaker    string        // state of the operation's circuit breaker when it admitted the call: CLOSED or HALF_OPEN
	// Result is KOS's result code, or TIMEOUT, BROKEN, MALFORMED, UNREADABLE, REFUSED (our key), UNKNOWN_CODE,
	// CANCELED, NOT_SENT.
	Result     string
	HTTPStatus int    // 0 without a response
	Request    []byte // clear; the store encrypts
	Answer     []byte // clear; the store encrypts
}

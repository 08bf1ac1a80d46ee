package ports

import (
	"time"

	"phonebill/core/id"
	"phonebill/core/quota"
)

// Call says what one call to KOS, or to another system behind a product, may spend and whom it is made for. It is an
// argument of every KOS port; the context carries cancellation and trace only.
type Call struct {
	Lane      quota.Lane // of the KOS budget
	RequestID id.ID      // the inquiry or order that it is made for, also in the call log; zero = none
	Attempt   int        // of the question, for the call log, counting from 1; 0 counts as 1
	NotAfter  time.Time  // it is not put on the wire at or after it, by the clock that all instances share; zero = none
	Payer     Payer      // the customer whose allowance it is taken from; zero = none
	OnSent    func()     // nil, or called when the question is on its way; see Sent
}

// Sent reports that the question is on its way: its call has got a connection, or it waits for a call that others
// have begun. A question that needs no call, or whose call is not made, does not. OnSent may be called several times
// and from any goroutine.
func (c Call) Sent() {
	if c.OnSent != nil {
		c.OnSent()
	}
}

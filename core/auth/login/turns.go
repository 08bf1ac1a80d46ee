package login

import (
	"context"
	"time"

	"phonebill/core/fault"
)

// Turns lets few logins work at a time. The passwords are hashed one after the other anyway; without turns, the many that wait for that
// would share the machine with everybody's reads first (bar S6). It is safe for concurrent use.
type Turns chan struct{}

// NewTurns answers turns for that many logins at a time.
func NewTurns(most int) Turns { return make(Turns, most) }

const (
	patience = 3 * time.Second // for a turn
	comeBack = 2 * time.Second // Retry-After of who got none
)

// take waits for a turn and answers what gives it back, or SERVICE_UNAVAILABLE with a Retry-After.
func (t Turns) take(ctx context.Context) (back func(), err error) {
	back = func() { <-t }
	select {
	case t <- struct{}{}: // also for a client who has hung up: his guess is judged
		return back, nil
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case t <- struct{}{}:
		return back, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, fault.New(fault.ServiceUnavailable).RetryIn(comeBack)
}

package product

import "time"

// Notice is an order that has ended and whose customer must be notified.
type Notice struct {
	Order    Order
	Attempts int       // made before this one
	Lease    time.Time // until when it is claimed; the store refuses a worker with an older one
}

// Waits between two attempts to notify a customer.
const (
	firstNoticeWait = 10 * time.Second
	maxNoticeWait   = 15 * time.Minute
	noticeDoublings = 7 // 10 s twice that often is past the longest wait
)

// Wait returns how long a notice waits after a failed attempt: 10, 20, 40 … s, at most 15 min, with jitter over the
// upper half; rnd is in [0,1). It is tried until it succeeds.
func (n Notice) Wait(rnd float64) time.Duration {
	wait := min(firstNoticeWait<<min(n.Attempts, noticeDoublings), maxNoticeWait)
	return wait/2 + time.Duration(rnd*float64(wait/2))
}

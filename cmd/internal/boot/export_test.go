package boot

import "time"

// After replaces the timer of the unit's delay.
func (u *Unit) After(after func(time.Duration) <-chan time.Time) { u.after = after }

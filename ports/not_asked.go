package ports

import "errors"

// NotAskedError stands beside ErrNotAsked in a chain and names the reason why the call was not sent: OPEN (breaker),
// QUOTA, NOT_SENT (no connection, or no time left).
type NotAskedError string

// Error returns the reason, for logs.
func (e NotAskedError) Error() string { return "kos: " + string(e) }

// NotAskedReason returns why a call was not sent, empty when the chain names no reason.
func NotAskedReason(err error) string {
	if why, ok := errors.AsType[NotAskedError](err); ok {
		return string(why)
	}
	return ""
}

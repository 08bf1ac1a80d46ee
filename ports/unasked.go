package ports

import "errors"

// UnaskedError stands beside ErrNotAsked in a chain and names what kept the call from leaving: OPEN (breaker), QUOTA, NOT_SENT (no
// connection, or no time left).
type UnaskedError string

// Error is for logs.
func (e UnaskedError) Error() string { return "kos: " + string(e) }

// WhyNotAsked answers what kept a call from leaving, empty when nobody said.
func WhyNotAsked(err error) string {
	if why, ok := errors.AsType[UnaskedError](err); ok {
		return string(why)
	}
	return ""
}

package fetch

import (
	"context"
	"strings"
	"time"

	"phonebill/core/freshness"
	"phonebill/ports"
)

// Fallback keeps flights in First, and in Second while First errs. An instance that can ask First does not see those in Second, so that
// one subject may then be asked about twice: better than once for each instance.
type Fallback struct{ First, Second ports.Flights }

// second marks the tokens of Second.
const second = "second:"

// Begin asks First, then Second.
func (f Fallback) Begin(ctx context.Context, s freshness.Subject, lease time.Duration) (freshness.Flight, error) {
	turn, err := f.First.Begin(ctx, s, lease)
	if err == nil {
		return turn, nil
	}
	turn, err = f.Second.Begin(ctx, s, lease)
	if turn.Token != "" {
		turn.Token = second + turn.Token
	}
	return turn, err
}

// Land goes where the token came from.
func (f Fallback) Land(ctx context.Context, s freshness.Subject, token string, l freshness.Landing) error {
	if token, ok := strings.CutPrefix(token, second); ok {
		return f.Second.Land(ctx, s, token, l)
	}
	return f.First.Land(ctx, s, token, l)
}

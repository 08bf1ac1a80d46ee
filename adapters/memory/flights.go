package memory

import (
	"context"
	"strconv"
	"sync"
	"time"

	"phonebill/core/freshness"
	"phonebill/ports"
)

// Flights implements ports.Flights for one process.
type Flights struct {
	now   ports.Clock
	mu    sync.Mutex
	fence int
	held  map[freshness.Subject]flight
}

// flight is a lease (token not empty) or the outcome that was noted last.
type flight struct {
	token string
	until time.Time
	last  freshness.Outcome
}

// NewFlights returns flights on a clock.
func NewFlights(now ports.Clock) *Flights {
	return &Flights{now: now, held: map[freshness.Subject]flight{}}
}

// Begin grants the flight to one caller.
func (f *Flights) Begin(_ context.Context, s freshness.Subject, lease time.Duration) (freshness.Flight, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, h := f.now(), f.held[s]
	if now.Before(h.until) {
		switch {
		case h.token != "":
			return freshness.Flight{State: freshness.Pending, Until: h.until}, nil
		case h.last.Refusal != "":
			return freshness.Flight{
				State: freshness.Refused, Refusal: h.last.Refusal, At: h.last.At, Until: h.until,
			}, nil
		case h.last.Failures > 0:
			return freshness.Flight{
				State: freshness.Resting, Failures: h.last.Failures, At: h.last.At, Until: h.until,
			}, nil
		}
	}
	f.fence++
	token := strconv.Itoa(f.fence)
	f.held[s] = flight{token: token, until: now.Add(lease), last: h.last}
	return freshness.Flight{State: freshness.Granted, Token: token, Failures: h.last.Failures, At: h.last.At}, nil
}

// Finish gives the lease back and notes the outcome.
func (f *Flights) Finish(_ context.Context, s freshness.Subject, token string, o freshness.Outcome) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case token == "" || f.held[s].token != token:
	case o == freshness.Outcome{}:
		delete(f.held, s)
	default:
		f.held[s] = flight{until: f.now().Add(o.For), last: o}
	}
	return nil
}

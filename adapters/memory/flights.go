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

// flight is a lease (token not empty) or a note.
type flight struct {
	token string
	until time.Time
	note  freshness.Landing
}

// NewFlights returns flights on a clock.
func NewFlights(now ports.Clock) *Flights {
	return &Flights{now: now, held: map[freshness.Subject]flight{}}
}

// Begin returns the holder of the flight.
func (f *Flights) Begin(_ context.Context, s freshness.Subject, lease time.Duration) (freshness.Flight, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, h := f.now(), f.held[s]
	if now.Before(h.until) {
		switch {
		case h.token != "":
			return freshness.Flight{State: freshness.Theirs, Until: h.until}, nil
		case h.note.Refusal != "":
			return freshness.Flight{State: freshness.Refused, Refusal: h.note.Refusal, At: h.note.At, Until: h.until}, nil
		case h.note.Failures > 0:
			return freshness.Flight{State: freshness.Resting, Failures: h.note.Failures, At: h.note.At, Until: h.until}, nil
		}
	}
	f.fence++
	token := strconv.Itoa(f.fence)
	f.held[s] = flight{token: token, until: now.Add(lease), note: h.note}
	return freshness.Flight{State: freshness.Mine, Token: token, Failures: h.note.Failures}, nil
}

// Land gives the turn back.
func (f *Flights) Land(_ context.Context, s freshness.Subject, token string, l freshness.Landing) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case token == "" || f.held[s].token != token:
	case l == freshness.Landing{}:
		delete(f.held, s)
	default:
		f.held[s] = flight{until: f.now().Add(l.For), note: l}
	}
	return nil
}

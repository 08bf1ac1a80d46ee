package memory_test

import (
	"testing"
	"time"

	"phonebill/adapters/memory"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestFlights(t *testing.T) {
	t.Parallel()
	portstest.Flights(t, func(*testing.T) (one, other ports.Flights, pass func(time.Duration)) {
		now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		f := memory.NewFlights(func() time.Time { return now })
		return f, f, func(d time.Duration) { now = now.Add(d) }
	})
}

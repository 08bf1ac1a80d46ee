package fetch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/freshness"
	"phonebill/core/freshness/fetch"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestFallbackIsFlights(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"first": true, "second": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			portstest.Flights(t, func(*testing.T) (one, other ports.Flights, pass func(time.Duration)) {
				now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
				held := memory.NewFlights(func() time.Time { return now })
				f := fetch.Fallback{First: noFlights{}, Second: held}
				if first {
					f = fetch.Fallback{First: held, Second: noFlights{}}
				}
				return f, f, func(d time.Duration) { now = now.Add(d) }
			})
		})
	}
}

// sometimes errs as told.
type sometimes struct {
	ports.Flights
	away bool
}

func (s *sometimes) Begin(ctx context.Context, about freshness.Subject, lease time.Duration) (freshness.Flight, error) {
	if s.away {
		return freshness.Flight{}, errors.New("away")
	}
	return s.Flights.Begin(ctx, about, lease)
}

func TestFallbackLandsWhereItBegan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := &sometimes{Flights: memory.NewFlights(time.Now), away: true}
		second := memory.NewFlights(time.Now)
		f := fetch.Fallback{First: first, Second: second}
		about := freshness.Subject{Kind: freshness.Plans}
		turn, err := f.Begin(t.Context(), about, time.Minute)
		require.NoError(t, err)
		first.away = false
		other, err := f.Begin(t.Context(), about, time.Minute)
		require.NoError(t, err)
		require.Equal(t, freshness.Mine, other.State)
		require.NoError(t, f.Land(t.Context(), about, turn.Token, freshness.Landing{}))
		held, err := second.Begin(t.Context(), about, time.Minute)
		require.NoError(t, err)
		require.Equal(t, freshness.Mine, held.State, "landed in the second")
		held, err = first.Begin(t.Context(), about, time.Minute)
		require.NoError(t, err)
		require.Equal(t, freshness.Theirs, held.State, "not in the first")
	})
}

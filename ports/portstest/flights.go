package portstest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/ports"
)

// Flights is the suite of ports.Flights. open returns two instances that share the same flights, and a function that
// lets time pass.
func Flights(t *testing.T, open func(t *testing.T) (one, other ports.Flights, pass func(time.Duration))) {
	t.Helper()
	const lease, short = time.Minute, 50 * time.Millisecond
	const note = time.Second // long enough for a busy machine to ask meanwhile
	march := calendar.MonthOf(start)
	subject := freshness.Subject{Kind: freshness.Bills, Line: Line(1), Month: march}
	begin := func(t *testing.T, f ports.Flights, s freshness.Subject, lease time.Duration) freshness.Flight {
		t.Helper()
		got, err := f.Begin(t.Context(), s, lease)
		require.NoError(t, err)
		return got
	}
	t.Run("one asks, the others wait", func(t *testing.T) {
		t.Parallel()
		one, other, _ := open(t)
		own := begin(t, one, subject, lease)
		require.Equal(t, freshness.Mine, own.State)
		require.NotEmpty(t, own.Token)
		for _, f := range []ports.Flights{one, other} {
			others := begin(t, f, subject, lease)
			require.Equal(t, freshness.Theirs, others.State)
			require.Empty(t, others.Token)
			require.False(t, others.Until.IsZero())
		}
		require.NoError(t, one.Land(t.Context(), subject, own.Token, freshness.Landing{}))
		require.Equal(t, freshness.Mine, begin(t, other, subject, lease).State)
	})
	t.Run("subjects do not meet", func(t *testing.T) {
		t.Parallel()
		one, other, _ := open(t)
		for _, s := range []freshness.Subject{
			subject, {Kind: freshness.Bills, Line: Line(1), Month: march.Add(-1)},
			{Kind: freshness.Bills, Line: Line(2), Month: march}, {Kind: freshness.Customers, Line: Line(1)},
			{Kind: freshness.Plans},
		} {
			require.Equal(t, freshness.Mine, begin(t, one, s, lease).State, s)
			require.Equal(t, freshness.Theirs, begin(t, other, s, lease).State, s)
		}
	})
	t.Run("of many at once one asks", func(t *testing.T) {
		t.Parallel()
		one, other, _ := open(t)
		var own atomic.Int32
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				f, err := []ports.Flights{one, other}[i%2].Begin(t.Context(), subject, lease)
				if err == nil && f.State == freshness.Mine {
					own.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, own.Load())
	})
	t.Run("a lease that is over is given to the next, and the late one changes nothing", func(t *testing.T) {
		t.Parallel()
		one, other, pass := open(t)
		late := begin(t, one, subject, short)
		pass(2 * short)
		next := begin(t, other, subject, lease)
		require.Equal(t, freshness.Mine, next.State)
		require.NotEqual(t, late.Token, next.Token)
		for _, l := range []freshness.Landing{{}, {Refusal: fault.BillNotFound, At: start, For: lease},
			{Failures: 1, At: start, For: lease}} {
			require.NoError(t, one.Land(t.Context(), subject, late.Token, l))
			require.Equal(t, freshness.Theirs, begin(t, one, subject, lease).State)
		}
		require.NoError(t, other.Land(t.Context(), subject, next.Token, freshness.Landing{}))
		require.Equal(t, freshness.Mine, begin(t, one, subject, lease).State)
	})
	t.Run("KOS's no is remembered for a while", func(t *testing.T) {
		t.Parallel()
		one, other, pass := open(t)
		own := begin(t, one, subject, lease)
		require.NoError(t, one.Land(t.Context(), subject, own.Token,
			freshness.Landing{Refusal: fault.BillNotFound, At: start, For: note}))
		got := begin(t, other, subject, lease)
		require.Equal(t, freshness.Refused, got.State)
		require.Equal(t, fault.BillNotFound, got.Refusal)
		require.True(t, got.At.Equal(start), got.At)
		pass(note + short)
		got = begin(t, other, subject, lease)
		require.Equal(t, freshness.Mine, got.State)
		require.Zero(t, got.Failures)
	})
	t.Run("failures in a row are remembered beyond the rest", func(t *testing.T) {
		t.Parallel()
		one, other, pass := open(t)
		for n := 1; n <= 3; n++ {
			own := begin(t, one, subject, lease)
			require.Equal(t, freshness.Mine, own.State)
			require.Equal(t, n-1, own.Failures)
			require.NoError(t, one.Land(t.Context(), subject, own.Token, freshness.Landing{Failures: n, At: start, For: note}))
			got := begin(t, other, subject, lease)
			require.Equal(t, freshness.Resting, got.State)
			require.Equal(t, n, got.Failures)
			require.True(t, got.At.Equal(start), got.At)
			pass(note + short)
		}
		own := begin(t, other, subject, lease)
		require.NoError(t, other.Land(t.Context(), subject, own.Token, freshness.Landing{}))
		require.Zero(t, begin(t, one, subject, lease).Failures, "an answer ends the row")
	})
	t.Run("a caller without the flight changes nothing", func(t *testing.T) {
		t.Parallel()
		one, other, _ := open(t)
		own := begin(t, one, subject, lease)
		require.NoError(t, one.Land(t.Context(), subject, own.Token, freshness.Landing{Failures: 8, At: start, For: lease}))
		for _, l := range []freshness.Landing{{}, {Failures: 1, At: start, For: short},
			{Refusal: fault.BillNotFound, At: start, For: lease}} {
			require.NoError(t, other.Land(t.Context(), subject, "", l))
			got := begin(t, other, subject, lease)
			require.Equal(t, freshness.Resting, got.State)
			require.Equal(t, 8, got.Failures)
		}
	})
}

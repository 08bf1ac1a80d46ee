package portstest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/personal"
	"phonebill/ports"
)

// Flights is the suite of ports.Flights. open returns two instances with the same flights, and a function that lets
// time pass.
func Flights(t *testing.T, open func(t *testing.T) (one, other ports.Flights, pass func(time.Duration))) {
	t.Helper()
	const lease, short = time.Minute, 50 * time.Millisecond
	const note = time.Second // long enough for a busy machine to ask meanwhile
	bill := func(line int, month string) freshness.Subject {
		return freshness.Subject{Kind: freshness.Bills, Key: personal.NewSecret(Line(line).Digits()), Part: month}
	}
	subject := bill(1, "202603")
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
		require.Equal(t, freshness.Granted, own.State)
		require.NotEmpty(t, own.Token)
		for _, f := range []ports.Flights{one, other} {
			others := begin(t, f, subject, lease)
			require.Equal(t, freshness.Pending, others.State)
			require.Empty(t, others.Token)
			require.False(t, others.Until.IsZero())
		}
		require.NoError(t, one.Finish(t.Context(), subject, own.Token, freshness.Outcome{}))
		require.Equal(t, freshness.Granted, begin(t, other, subject, lease).State)
	})
	t.Run("subjects do not meet", func(t *testing.T) {
		t.Parallel()
		one, other, _ := open(t)
		for _, s := range []freshness.Subject{
			subject, bill(1, "202602"), bill(2, "202603"), {Kind: freshness.Customers, Key: subject.Key},
			{Kind: freshness.Plans},
		} {
			require.Equal(t, freshness.Granted, begin(t, one, s, lease).State, s)
			require.Equal(t, freshness.Pending, begin(t, other, s, lease).State, s)
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
				if err == nil && f.State == freshness.Granted {
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
		require.Equal(t, freshness.Granted, next.State)
		require.NotEqual(t, late.Token, next.Token)
		for _, o := range []freshness.Outcome{{}, {Refusal: fault.BillNotFound, At: start, For: lease},
			{Failures: 1, At: start, For: lease}} {
			require.NoError(t, one.Finish(t.Context(), subject, late.Token, o))
			require.Equal(t, freshness.Pending, begin(t, one, subject, lease).State)
		}
		require.NoError(t, other.Finish(t.Context(), subject, next.Token, freshness.Outcome{}))
		require.Equal(t, freshness.Granted, begin(t, one, subject, lease).State)
	})
	t.Run("KOS's no is remembered for a while", func(t *testing.T) {
		t.Parallel()
		one, other, pass := open(t)
		own := begin(t, one, subject, lease)
		require.NoError(t, one.Finish(t.Context(), subject, own.Token,
			freshness.Outcome{Refusal: fault.BillNotFound, At: start, For: note}))
		got := begin(t, other, subject, lease)
		require.Equal(t, freshness.Refused, got.State)
		require.Equal(t, fault.BillNotFound, got.Refusal)
		require.True(t, got.At.Equal(start), got.At)
		pass(note + short)
		got = begin(t, other, subject, lease)
		require.Equal(t, freshness.Granted, got.State)
		require.Zero(t, got.Failures)
	})
	t.Run("who may ask learns when the last outcome was noted", func(t *testing.T) {
		t.Parallel()
		one, other, _ := open(t)
		own := begin(t, one, subject, lease)
		require.False(t, own.At.After(time.Time{}), "nothing is known")
		require.NoError(t, one.Finish(t.Context(), subject, own.Token, freshness.Stored(start)))
		own = begin(t, other, subject, lease)
		require.Equal(t, freshness.Granted, own.State, "at once")
		require.True(t, own.At.Equal(start), own.At)
		require.Zero(t, own.Failures)
	})
	t.Run("failures in a row are remembered beyond the rest", func(t *testing.T) {
		t.Parallel()
		one, other, pass := open(t)
		for n := 1; n <= 3; n++ {
			own := begin(t, one, subject, lease)
			require.Equal(t, freshness.Granted, own.State)
			require.Equal(t, n-1, own.Failures)
			require.NoError(t, one.Finish(t.Context(), subject, own.Token, freshness.Outcome{Failures: n, At: start, For: note}))
			got := begin(t, other, subject, lease)
			require.Equal(t, freshness.Resting, got.State)
			require.Equal(t, n, got.Failures)
			require.True(t, got.At.Equal(start), got.At)
			pass(note + short)
		}
		own := begin(t, other, subject, lease)
		require.NoError(t, other.Finish(t.Context(), subject, own.Token, freshness.Outcome{}))
		require.Zero(t, begin(t, one, subject, lease).Failures, "an answer ends the row")
	})
	t.Run("a caller without the flight changes nothing", func(t *testing.T) {
		t.Parallel()
		one, other, _ := open(t)
		own := begin(t, one, subject, lease)
		require.NoError(t, one.Finish(t.Context(), subject, own.Token, freshness.Outcome{Failures: 8, At: start, For: lease}))
		for _, o := range []freshness.Outcome{{}, {Failures: 1, At: start, For: short},
			{Refusal: fault.BillNotFound, At: start, For: lease}} {
			require.NoError(t, other.Finish(t.Context(), subject, "", o))
			got := begin(t, other, subject, lease)
			require.Equal(t, freshness.Resting, got.State)
			require.Equal(t, 8, got.Failures)
		}
	})
}

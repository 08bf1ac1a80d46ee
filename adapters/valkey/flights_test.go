package valkey_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/valkey"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func subject() freshness.Subject {
	return freshness.Subject{Kind: freshness.Bills, Line: one(), Month: portstest.Month()}
}

func begin(t *testing.T, f ports.Flights, lease time.Duration) freshness.Flight {
	t.Helper()
	got, err := f.Begin(t.Context(), subject(), lease)
	require.NoError(t, err)
	return got
}

// TestFailuresSurviveALeaseThatRanOut: somebody who was to ask after two failures dies; the third failure is the third all the same.
func TestFailuresSurviveALeaseThatRanOut(t *testing.T) {
	t.Parallel()
	c := open(t)
	f := valkey.NewFlights(c.Client, c.vault, c.log)
	mine := begin(t, f, time.Minute)
	require.NoError(t, f.Land(t.Context(), subject(), mine.Token, freshness.Landing{Failures: 2, At: start, For: time.Millisecond}))
	wait(5 * time.Millisecond)
	mine = begin(t, f, time.Millisecond)
	require.Equal(t, 2, mine.Failures)
	wait(5 * time.Millisecond)
	mine = begin(t, f, time.Minute)
	require.Equal(t, freshness.Mine, mine.State)
	require.Equal(t, 2, mine.Failures)
	key := c.keys(t)[0]
	ttl, err := c.raw.Do(t.Context(), c.raw.B().Pttl().Key(key).Build()).AsInt64()
	require.NoError(t, err)
	require.InDelta(t, float64(2*time.Minute/time.Millisecond), float64(ttl), float64(10*time.Second/time.Millisecond))
}

// TestWhoLandsLateLandsUnlessAnotherHasBegun: what is learnt after the lease is of use to all who did not ask meanwhile.
func TestWhoLandsLateLandsUnlessAnotherHasBegun(t *testing.T) {
	t.Parallel()
	c := open(t)
	f := valkey.NewFlights(c.Client, c.vault, c.log)
	mine := begin(t, f, time.Millisecond)
	wait(5 * time.Millisecond)
	require.NoError(t, f.Land(t.Context(), subject(), mine.Token,
		freshness.Landing{Refusal: fault.BillNotFound, At: start, For: time.Minute}))
	got := begin(t, f, time.Minute)
	require.Equal(t, freshness.Refused, got.State)
	require.WithinDuration(t, time.Now().Add(time.Minute), got.Until, 20*time.Second)
	require.NoError(t, f.Land(t.Context(), subject(), mine.Token, freshness.Landing{}), "landed already")
	require.NoError(t, f.Land(t.Context(), subject(), "", freshness.Landing{}))
	require.Equal(t, freshness.Refused, begin(t, f, time.Minute).State)
	require.Equal(t, 1, c.count(t, "flight", "miss"))
	require.Equal(t, 2, c.count(t, "flight", "hit"))
}

func TestFlightsErrWithoutACache(t *testing.T) {
	t.Parallel()
	c := open(t)
	f := valkey.NewFlights(c.Client, c.vault, c.log)
	mine := begin(t, f, time.Minute)
	c.wire.cut()
	for range 5 {
		_, err := f.Begin(t.Context(), subject(), time.Minute)
		require.Error(t, err)
		require.Error(t, f.Land(t.Context(), subject(), mine.Token, freshness.Landing{}))
	}
	require.Equal(t, 10, c.count(t, "flight", "trouble"))
	require.Equal(t, 1, c.logged.lines())
	c.wire.flow()
	require.Eventually(t, func() bool {
		got, err := f.Begin(t.Context(), subject(), time.Minute)
		return err == nil && got.State == freshness.Theirs
	}, 10*time.Second, 10*time.Millisecond)
}

// TestAFlightThatCannotBeReadIsAnError: whatever lies under the key, the caller is told to go his own way.
func TestAFlightThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	c := open(t)
	f := valkey.NewFlights(c.Client, c.vault, c.log)
	begin(t, f, time.Minute)
	key := c.keys(t)[0]
	for _, failures := range []string{"x", "", "9999999999999999999999"} {
		set := c.raw.B().Hset().Key(key).FieldValue().FieldValue("u", "0").FieldValue("n", failures).Build()
		require.NoError(t, c.raw.Do(t.Context(), set).Error())
		_, err := f.Begin(t.Context(), subject(), time.Minute)
		require.Error(t, err)
	}
	until := strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10)
	require.NoError(t, c.raw.Do(t.Context(), c.raw.B().Hset().Key(key).FieldValue().FieldValue("u", until).FieldValue("n", "0").Build()).Error())
	require.Equal(t, freshness.Theirs, begin(t, f, time.Minute).State)
}

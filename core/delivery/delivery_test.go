package delivery_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/delivery"
)

var created = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestAfter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome  delivery.Outcome
		attempts int
		age      time.Duration
		rnd      float64
		state    delivery.State
		wait     time.Duration
	}{
		"accepted":              {delivery.Accepted, 0, 0, 0, delivery.Delivered, 0},
		"accepted late":         {delivery.Accepted, 50, 100 * time.Hour, 0, delivery.Delivered, 0},
		"rejected":              {delivery.Rejected, 0, 0, 0, delivery.Parked, 0},
		"first failure, low":    {delivery.Failed, 0, 0, 0, delivery.Pending, time.Second},
		"first failure, middle": {delivery.Failed, 0, 0, 0.5, delivery.Pending, 1500 * time.Millisecond},
		"third failure":         {delivery.Failed, 2, 0, 0, delivery.Pending, 4 * time.Second},
		"ninth failure":         {delivery.Failed, 8, 0, 0, delivery.Pending, 256 * time.Second},
		"tenth failure":         {delivery.Failed, 9, 0, 0, delivery.Pending, 450 * time.Second},
		"hundredth failure":     {delivery.Failed, 99, 0, 0, delivery.Pending, 450 * time.Second},
		"three days less a bit": {delivery.Failed, 99, 72*time.Hour - 1, 0, delivery.Pending, 450 * time.Second},
		"three days":            {delivery.Failed, 99, 72 * time.Hour, 0, delivery.Parked, 0},
	} {
		state, wait := delivery.NextState(created, c.attempts, delivery.Attempt{Outcome: c.outcome}, created.Add(c.age),
			c.rnd)
		require.Equal(t, c.state, state, name)
		require.Equal(t, c.wait, wait, name)
	}
}

func TestWaitsGrowWithinBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		attempts, rnd := rapid.IntRange(0, 1000).Draw(t, "attempts"), rapid.Float64Range(0, 0.999).Draw(t, "rnd")
		_, wait := delivery.NextState(created, attempts, delivery.Attempt{Outcome: delivery.Failed}, created, rnd)
		_, later := delivery.NextState(created, attempts+1, delivery.Attempt{Outcome: delivery.Failed}, created, rnd)
		require.GreaterOrEqual(t, wait, time.Second)
		require.Less(t, wait, 15*time.Minute)
		require.GreaterOrEqual(t, later, wait)
	})
}

func TestHeldIsNoAttempt(t *testing.T) {
	t.Parallel()
	for outcome, made := range map[delivery.Outcome]bool{
		delivery.Accepted: true, delivery.Failed: true, delivery.Rejected: true, delivery.NotAttempted: false,
	} {
		require.Equal(t, made, delivery.Attempt{Outcome: outcome}.Made())
	}
}

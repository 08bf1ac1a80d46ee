package verify_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/verify"
	"phonebill/core/fault"
)

var (
	now        = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	errBackend = errors.New("backend is in trouble")
	hong       = auth.Subject{UserID: "hong1234"}
)

// guesses fails to judge for a cancelled context, or always.
type guesses struct {
	memory.Guesses
	broken error
}

func (g *guesses) Fail(ctx context.Context, s auth.Subject, x auth.Guess, at time.Time) (bool, error) {
	if err := errors.Join(g.broken, ctx.Err()); err != nil {
		return false, err
	}
	return g.Guesses.Fail(ctx, s, x, at)
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	g := &guesses{}
	l := &verify.Limiter{Guesses: g, Now: func() time.Time { return now }}
	try := func(o verify.Outcome, err error) error {
		ctx, cancel := context.WithCancel(t.Context())
		return l.Try(ctx, hong, func() (verify.Outcome, error) { cancel(); return o, err })
	}
	failures := func() int {
		a, err := g.Peek(t.Context(), hong)
		require.NoError(t, err)
		require.Zero(t, a.Pending)
		return a.Failures
	}
	wrong := fault.New(fault.SecondFactor)
	require.ErrorIs(t, try(verify.Wrong, wrong), wrong)
	require.Equal(t, 1, failures(), "also when the caller hangs up")
	require.ErrorIs(t, try(verify.Unjudged, wrong), wrong)
	require.Equal(t, 1, failures())
	require.NoError(t, try(verify.Right, nil))
	require.Zero(t, failures())
	for range 4 {
		require.ErrorIs(t, try(verify.Wrong, wrong), wrong)
	}
	require.ErrorIs(t, try(verify.Wrong, wrong), fault.New(fault.LockedNow))
	require.ErrorIs(t, l.Try(t.Context(), hong, nil), fault.New(fault.Locked), "without a check")
}

func TestAJudgementThatIsLostCounts(t *testing.T) {
	t.Parallel()
	g := &guesses{broken: errBackend}
	l := &verify.Limiter{Guesses: g, Now: func() time.Time { return now }}
	err := l.Try(t.Context(), hong, func() (verify.Outcome, error) {
		return verify.Wrong,
			fault.New(fault.WrongCredentials)
	})
	require.ErrorIs(t, err, errBackend)
	a, err := g.Peek(t.Context(), hong)
	require.NoError(t, err)
	require.Equal(t, auth.Attempts{Pending: 1, PendingUntil: now.Add(auth.DefaultLockout().Judging)}, a)
}

package auth_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/auth"
)

// fail takes a guess and judges it wrong.
func fail(t *testing.T, a auth.Attempts, at time.Time) (after auth.Attempts, last bool) {
	t.Helper()
	p := auth.DefaultLockout()
	a, g := p.Take(a, at)
	require.Equal(t, auth.GuessAllowed, g.Verdict)
	return p.Fail(a, g, at)
}

func TestFiveFailuresLockForHalfAnHour(t *testing.T) {
	t.Parallel()
	p := auth.DefaultLockout()
	var a auth.Attempts
	var last bool
	for i := 1; i <= 4; i++ {
		a, last = fail(t, a, now)
		require.False(t, last)
		require.Equal(t, auth.Attempts{Failures: i}, a)
	}
	a, last = fail(t, a, now)
	require.True(t, last)
	require.True(t, a.Locked(now))
	end := now.Add(30 * time.Minute)
	refused, g := p.Take(a, end.Add(-1))
	require.Equal(t, auth.GuessRefused, g.Verdict)
	require.Equal(t, a, refused, "a refused guess does not prolong the lock")
	a, last = fail(t, a, end)
	require.False(t, last)
	require.Equal(t, auth.Attempts{Failures: 1}, a, "a new row begins")
}

func TestRightPasswordsAtOnceNeverLock(t *testing.T) {
	t.Parallel()
	p := auth.DefaultLockout()
	var a auth.Attempts
	guesses := make([]auth.Guess, p.Failures)
	for i := range guesses {
		a, guesses[i] = p.Take(a, now)
		require.Equal(t, auth.GuessAllowed, guesses[i].Verdict)
	}
	_, g := p.Take(a, now)
	require.Equal(t, auth.GuessBusy, g.Verdict)
	for _, g := range guesses {
		a = p.Succeed(a, g)
	}
	require.Zero(t, a)
}

func TestJudgements(t *testing.T) {
	t.Parallel()
	p := auth.DefaultLockout()
	four := auth.Attempts{Failures: 4}
	one, g := p.Take(four, now)
	require.Equal(t, auth.Attempts{Failures: 4, Pending: 1, PendingUntil: now.Add(15 * time.Second)}, one)
	_, busy := p.Take(one, now)
	require.Equal(t, auth.GuessBusy, busy.Verdict)
	require.Equal(t, four, p.GiveBack(one, g), "never looked at: as it was")
	require.Zero(t, p.Succeed(one, g))
	locked, last := p.Fail(one, g, now)
	require.True(t, last)
	require.Equal(t, auth.Attempts{Failures: 5, LockedUntil: now.Add(p.LockFor)}, locked)
	require.Zero(t, p.Clear(locked))
	two, h := p.Take(auth.Attempts{Failures: 1}, now)
	two, _ = p.Take(two, now)
	require.Equal(t, auth.Attempts{Pending: 1, PendingUntil: two.PendingUntil}, p.Succeed(two, h),
		"the other one is still judged")
	require.Equal(t, auth.Attempts{Pending: 2, PendingUntil: two.PendingUntil}, p.Clear(two), "also after an unlock")
}

func TestALostGuessCountsAsFailed(t *testing.T) {
	t.Parallel()
	p := auth.DefaultLockout()
	a, lost := p.Take(auth.Attempts{Failures: 3}, now)
	lapsed := now.Add(p.Judging)
	a, other := p.Take(a, lapsed)
	require.Equal(t, auth.Attempts{Failures: 4, Pending: 1, Round: 1, PendingUntil: lapsed.Add(p.Judging)}, a)
	same, last := p.Fail(a, lost, lapsed)
	require.Equal(t, a, same, "counted already")
	require.False(t, last)
	require.Equal(t, a, p.GiveBack(a, lost))
	require.Equal(t, auth.Attempts{Pending: 1, Round: 1, PendingUntil: a.PendingUntil}, p.Succeed(a, lost),
		"late, but right")
	_, g := p.Take(a, lapsed.Add(p.Judging))
	require.Equal(t, auth.GuessRefused, g.Verdict, "the fifth was lost too: that locks")
	_, g = p.Take(a, a.PendingUntil.Add(p.LockFor))
	require.Equal(t, auth.Guess{Verdict: auth.GuessAllowed, Round: 2}, g, "the lock ends as any other")
	_, last = p.Fail(a, other, now)
	require.True(t, last)
}

// TestNoInterleavingAllowsASixthGuess lets many guessers take, judge, stall and die in any order. Between two successes
// any window shorter than the lock holds at most five looks at a password, and every look that is not taken back is
// counted.
func TestNoInterleavingAllowsASixthGuess(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, a, at := auth.DefaultLockout(), auth.Attempts{}, now
		type look struct {
			at     time.Time
			guess  auth.Guess
			judged bool
			back   bool
		}
		var pending []*look // since the last success
		var open []*look    // whose process lives
		undecided := func() (left []*look) {
			for _, l := range pending {
				if !l.judged && l.guess.Round == a.Round {
					left = append(left, l)
				}
			}
			return left
		}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 5, 20, 900}).Draw(t, "gap")) * time.Second)
			what := rapid.SampledFrom([]string{"take", "take", "take", "fail", "fail", "crash", "back", "succeed",
				"clear"}).Draw(t, "what")
			if what == "take" {
				var g auth.Guess
				before := a
				a, g = p.Take(a, at)
				if g.Verdict == auth.GuessAllowed {
					l := &look{at: at, guess: g}
					pending, open = append(pending, l), append(open, l)
				} else {
					require.Equal(t, g.Verdict == auth.GuessRefused, a.Locked(at))
					require.Equal(t, before.Failures+before.Pending, p.Failures)
				}
			} else if what == "clear" {
				if rapid.IntRange(0, 9).Draw(t, "rarely") == 0 {
					a = p.Clear(a)
					pending = undecided()
				}
			} else if len(open) > 0 {
				n := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				l := open[n]
				open = append(open[:n:n], open[n+1:]...)
				l.judged = what != "crash"
				switch what {
				case "fail":
					a, _ = p.Fail(a, l.guess, at)
				case "back":
					a = p.GiveBack(a, l.guess)
					l.back = true
				case "succeed":
					a = p.Succeed(a, l.guess)
					pending = undecided()
				}
			}
			require.LessOrEqual(t, a.Failures+a.Pending, p.Failures)
			require.GreaterOrEqual(t, a.Pending, 0)
			require.Equal(t, a.Pending == 0, a.PendingUntil.IsZero())
			within := 0
			for _, l := range pending {
				if !l.back && at.Sub(l.at) < p.LockFor {
					within++
				}
			}
			require.LessOrEqual(t, within, p.Failures)
		}
	})
}

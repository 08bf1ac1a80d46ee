package portstest

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
	"phonebill/core/throttle"
	"phonebill/ports"
)

// hong returns the counter of an id, tablet that of one of its devices.
func hong() auth.Subject   { return auth.Subject{UserID: "hong1234"} }
func tablet() auth.Subject { return auth.Subject{UserID: "hong1234", Device: numbered(7)} }

func taken(t *testing.T, guesses ports.Guesses, s auth.Subject, at time.Time) auth.Guess {
	t.Helper()
	g, err := guesses.Take(t.Context(), s, at)
	require.NoError(t, err)
	require.Equal(t, auth.GuessAllowed, g.Verdict)
	return g
}

func failed(t *testing.T, guesses ports.Guesses, s auth.Subject, at time.Time) (last bool) {
	t.Helper()
	last, err := guesses.Fail(t.Context(), s, taken(t, guesses, s, at), at)
	require.NoError(t, err)
	return last
}

func requireAttempts(t *testing.T, guesses ports.Guesses, s auth.Subject, want auth.Attempts) {
	t.Helper()
	got, err := guesses.Peek(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// Guesses is the suite of ports.Guesses under auth.DefaultLockout.
func Guesses(t *testing.T, open func(t *testing.T) ports.Guesses) {
	t.Helper()
	policy := auth.DefaultLockout()
	t.Run("any sequence follows the policy", func(t *testing.T) {
		t.Parallel()
		guesses := open(t)
		for seed := range uint64(8) {
			walk(t, guesses, auth.Subject{UserID: auth.UserID("walker-" + string('a'+rune(seed)))},
				rand.New(rand.NewPCG(seed, 42)))
		}
	})
	t.Run("ids and devices share no counter, in another case neither, and unknown ones have none", func(t *testing.T) {
		t.Parallel()
		guesses := open(t)
		failed(t, guesses, hong(), start)
		requireAttempts(t, guesses, hong(), auth.Attempts{Failures: 1})
		for _, other := range []auth.Subject{tablet(), {UserID: "hong1234", Device: numbered(8)}} {
			requireAttempts(t, guesses, other, auth.Attempts{})
		}
		big, bigTablet := auth.Subject{UserID: "Hong1234"}, auth.Subject{UserID: "Hong1234", Device: numbered(7)}
		requireAttempts(t, guesses, big, auth.Attempts{})
		failed(t, guesses, big, start)
		failed(t, guesses, bigTablet, start)
		requireAttempts(t, guesses, tablet(), auth.Attempts{})
		require.NoError(t, guesses.Clear(t.Context(), "hong1234"))
		requireAttempts(t, guesses, hong(), auth.Attempts{})
		for _, kept := range []auth.Subject{big, bigTablet} {
			requireAttempts(t, guesses, kept, auth.Attempts{Failures: 1})
		}
	})
	t.Run("five failures lock one counter alone, and the lock expires", func(t *testing.T) {
		t.Parallel()
		guesses := open(t)
		for n := range policy.Failures {
			require.Equal(t, n == policy.Failures-1, failed(t, guesses, hong(), after(n)))
		}
		end := after(policy.Failures - 1).Add(policy.LockFor)
		g, err := guesses.Take(t.Context(), hong(), end.Add(-time.Second))
		require.NoError(t, err)
		require.Equal(t, auth.GuessRefused, g.Verdict)
		require.NoError(t, guesses.Succeed(t.Context(), tablet(), taken(t, guesses, tablet(), after(9)), after(9)))
		require.False(t, failed(t, guesses, hong(), end))
		requireAttempts(t, guesses, hong(), auth.Attempts{Failures: 1})
	})
	t.Run("an unlock clears the id and its devices, no other's, and keeps what is being judged", func(t *testing.T) {
		t.Parallel()
		guesses := open(t)
		other := auth.Subject{UserID: "kim12345"}
		require.NoError(t, guesses.Clear(t.Context(), "unknown1"))
		for range policy.Failures {
			for _, s := range []auth.Subject{hong(), tablet(), other} {
				failed(t, guesses, s, start)
			}
		}
		phone := auth.Subject{UserID: "hong1234", Device: numbered(9)}
		failed(t, guesses, phone, start)
		pending := taken(t, guesses, phone, start)
		require.NoError(t, guesses.Clear(t.Context(), "hong1234"))
		requireAttempts(t, guesses, hong(), auth.Attempts{})
		requireAttempts(t, guesses, tablet(), auth.Attempts{})
		_, err := guesses.Fail(t.Context(), phone, pending, start)
		require.NoError(t, err)
		requireAttempts(t, guesses, phone, auth.Attempts{Failures: 1})
		requireAttempts(t, guesses, other, auth.Attempts{Failures: 5, LockedUntil: start.Add(policy.LockFor)})
	})
	t.Run("100 parallel wrong passwords are 4 failures, 1 last, 95 refused", func(t *testing.T) {
		t.Parallel()
		guesses := open(t)
		var wrong, last, refused atomic.Int64
		parallel(100, func() {
			g, err := guesses.Take(t.Context(), hong(), start)
			noError(t, err)
			if g.Verdict == auth.GuessRefused {
				refused.Add(1)
				return
			}
			locks, err := guesses.Fail(t.Context(), hong(), g, start)
			noError(t, err)
			if locks {
				last.Add(1)
			} else {
				wrong.Add(1)
			}
		})
		require.Equal(t, [3]int64{4, 1, 95}, [3]int64{wrong.Load(), last.Load(), refused.Load()})
	})
	t.Run("50 parallel right passwords all have their turn", func(t *testing.T) {
		t.Parallel()
		guesses := open(t)
		parallel(50, func() {
			g, err := guesses.Take(t.Context(), hong(), start)
			noError(t, err)
			if g.Verdict != auth.GuessAllowed {
				t.Error("the owner was refused")
			}
			noError(t, guesses.Succeed(t.Context(), hong(), g, start))
		})
		requireAttempts(t, guesses, hong(), auth.Attempts{})
	})
	t.Run("a caller that waits too long, or hangs up, has made no guess", func(t *testing.T) {
		t.Parallel()
		guesses := open(t)
		for range policy.Failures {
			taken(t, guesses, hong(), start)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		parallel(2, func() {
			_, err := guesses.Take(ctx, hong(), start)
			code := fault.From(err).Code() // the second when ctx ended in the middle of a query
			if code != fault.RateLimitExceeded && code != fault.ServiceUnavailable || fault.From(err).RetryAfter() <= 0 {
				t.Errorf("answered %v", err)
			}
		})
		requireAttempts(t, guesses, hong(), auth.Attempts{Pending: policy.Failures, PendingUntil: start.Add(policy.Judging)})
	})
	t.Run("the sweep deletes what is not needed, a few at a time", func(t *testing.T) {
		t.Parallel()
		guesses := open(t)
		day := start.Add(24 * time.Hour)
		old := []auth.Subject{hong(), tablet(), {UserID: "kim12345"}}
		for _, s := range old {
			failed(t, guesses, s, start)
		}
		failed(t, guesses, auth.Subject{UserID: "recent-1"}, day)
		for range policy.Failures {
			failed(t, guesses, auth.Subject{UserID: "locked-1"}, start)
		}
		swept, err := guesses.Sweep(t.Context(), after(1), after(1), 2)
		require.NoError(t, err)
		require.Equal(t, 2, swept)
		swept, err = guesses.Sweep(t.Context(), after(1), after(1), 100)
		require.NoError(t, err)
		require.Equal(t, 1, swept, "a locked one stays")
		swept, err = guesses.Sweep(t.Context(), day, day, 100)
		require.NoError(t, err)
		require.Equal(t, 1, swept, "until its lock is over")
		requireAttempts(t, guesses, auth.Subject{UserID: "recent-1"}, auth.Attempts{Failures: 1})
		requireAttempts(t, guesses, hong(), auth.Attempts{})
	})
}

// walk takes and judges guesses at random, in order of time, and compares the store with the policy after every step.
func walk(t *testing.T, guesses ports.Guesses, s auth.Subject, random *rand.Rand) {
	t.Helper()
	policy, at := auth.DefaultLockout(), start
	var want auth.Attempts
	var open []auth.Guess
	for step := range 60 {
		at = at.Add([]time.Duration{0, 0, time.Second, 10 * time.Second, 16 * time.Second, 31 * time.Minute}[random.IntN(6)])
		what := random.IntN(10)
		switch {
		case what < 5:
			next, expected := policy.Take(want, at)
			if expected.Verdict == auth.GuessBusy {
				continue // the store would wait
			}
			g, err := guesses.Take(t.Context(), s, at)
			require.NoError(t, err)
			require.Equal(t, expected, g, step)
			if g.Verdict == auth.GuessAllowed {
				want, open = next, append(open, g)
			}
		case len(open) == 0:
			continue
		default:
			n := random.IntN(len(open))
			g := open[n]
			open = append(open[:n:n], open[n+1:]...)
			want = judge(t, guesses, policy, want, s, g, at, what)
		}
		requireAttempts(t, guesses, s, want)
	}
}

func judge(
	t *testing.T, guesses ports.Guesses, policy auth.LockoutPolicy, a auth.Attempts, s auth.Subject, g auth.Guess,
	at time.Time, what int,
) auth.Attempts {
	t.Helper()
	switch what {
	case 5:
		require.NoError(t, guesses.Succeed(t.Context(), s, g, at))
		return policy.Succeed(a, g)
	case 6:
		require.NoError(t, guesses.GiveBack(t.Context(), s, g))
		return policy.GiveBack(a, g)
	case 7: // its process died
		return a
	default:
		a, expected := policy.Fail(a, g, at)
		last, err := guesses.Fail(t.Context(), s, g, at)
		require.NoError(t, err)
		require.Equal(t, expected, last)
		return a
	}
}

func parallel(n int, do func()) {
	var all sync.WaitGroup
	for range n {
		all.Go(do)
	}
	all.Wait()
}

// Devices is the suite of ports.Devices.
func Devices(t *testing.T, devices ports.Devices) {
	t.Helper()
	hong, kim := Owner(), Owner()
	kim.UserID = "kim12345"
	cookie := devices.Mint(hong, numbered(7))
	got, ok := devices.Read(hong, cookie.Value)
	require.True(t, ok)
	require.Equal(t, numbered(7), got)
	require.Regexp(t, "^[0-9a-f]+$", cookie.Tag)
	require.Equal(t, cookie.Tag, devices.Mint(hong, numbered(8)).Tag)
	require.NotEqual(t, cookie.Tag, devices.Mint(kim, numbered(7)).Tag)
	_, ok = devices.Read(kim, cookie.Value)
	require.False(t, ok, "another user's cookie")
	require.True(t, devices.Names(hong.UserID, cookie.Value))
	require.False(t, devices.Names(kim.UserID, cookie.Value))
	require.True(t, devices.Names("HONG1234", cookie.Value), "the case of an id makes no difference")
	changed := hong
	changed.PasswordHash = personal.NewSecret("$argon2id$two")
	_, ok = devices.Read(changed, cookie.Value)
	require.False(t, ok, "a cookie ends with the password it was given for")
	for _, bad := range []string{"", "d1.", "nonsense", cookie.Value.Reveal() + "A", cookie.Value.Reveal()[1:]} {
		_, ok = devices.Read(hong, personal.NewSecret(bad))
		require.False(t, ok, bad)
		if devices.Names(kim.UserID, personal.NewSecret(bad)) {
			require.Fail(t, "names a user", bad)
		}
	}
}

// Throttle is the suite of ports.Throttle; the two share their store, as two instances do.
func Throttle(t *testing.T, open func(t *testing.T) (one, two ports.Throttle)) {
	t.Helper()
	rate := throttle.Rate{PerMinute: 60, Burst: 5}
	t.Run("a burst, then the rate, per key, over all instances", func(t *testing.T) {
		t.Parallel()
		one, two := open(t)
		now := time.Now().UTC()
		for n := range rate.Burst {
			at := []ports.Throttle{one, two}[n%2]
			ok, _ := at.Take(t.Context(), "192.0.2.1", rate, now)
			require.True(t, ok)
		}
		for _, at := range []ports.Throttle{one, two} {
			ok, retryIn := at.Take(t.Context(), "192.0.2.1", rate, now)
			require.False(t, ok)
			require.Equal(t, time.Second, retryIn)
		}
		ok, _ := one.Take(t.Context(), "192.0.2.2", rate, now)
		require.True(t, ok)
		ok, _ = two.Take(t.Context(), "192.0.2.1", rate, now.Add(time.Second))
		require.True(t, ok)
	})
	t.Run("of parallel calls no more pass", func(t *testing.T) {
		t.Parallel()
		one, two := open(t)
		now := time.Now().UTC()
		var passed atomic.Int64
		parallel(20, func() {
			for _, at := range []ports.Throttle{one, two} {
				if ok, _ := at.Take(t.Context(), "192.0.2.3", rate, now); ok {
					passed.Add(1)
				}
			}
		})
		require.EqualValues(t, rate.Burst, passed.Load())
	})
	t.Run("no rate is no limit", func(t *testing.T) {
		t.Parallel()
		one, _ := open(t)
		for range 10 {
			ok, _ := one.Take(t.Context(), "192.0.2.4", throttle.Rate{}, time.Now())
			require.True(t, ok)
		}
	})
}

// Credentials is the suite of ports.Credentials. account stores a user with that password as the provider wants it.
func Credentials(t *testing.T, c ports.Credentials, account func(password string) auth.User) {
	t.Helper()
	user := account("right-password")
	for password, want := range map[string]bool{"right-password": true, "wrong-password": false, "": false} {
		ok, err := c.Check(t.Context(), user, personal.NewSecret(password))
		require.NoError(t, err)
		require.Equal(t, want, ok, password)
		ok, err = c.Check(t.Context(), auth.User{}, personal.NewSecret(password))
		require.NoError(t, err)
		require.False(t, ok, "an unknown id never matches")
	}
}

// ServiceKeys is the suite of ports.ServiceKeys.
func ServiceKeys(t *testing.T, open func(t *testing.T) ports.ServiceKeys) {
	t.Helper()
	key := func(service string, n int) auth.ServiceKey {
		return auth.ServiceKey{Hash: auth.KeyHash{byte(n), 1}, Service: service, CreatedAt: after(n)}
	}
	t.Run("a third key retires the oldest of its service", func(t *testing.T) {
		t.Parallel()
		keys := open(t)
		one, two, three, other := key("mvno-ap", 1), key("mvno-ap", 2), key("mvno-ap", 3), key("other", 0)
		for _, k := range []auth.ServiceKey{other, one, two, three} {
			require.NoError(t, keys.Add(t.Context(), k))
		}
		requireFault(t, fault.StateConflict, keys.Add(t.Context(), three))
		one.RetiredAt = three.CreatedAt
		list, err := keys.List(t.Context())
		require.NoError(t, err)
		require.Equal(t, []auth.ServiceKey{three, two, one, other}, list)
		require.True(t, two.Live(after(9)))
		require.True(t, one.Live(after(2)))
		require.False(t, one.Live(after(3)))
	})
	t.Run("a key can be retired, once", func(t *testing.T) {
		t.Parallel()
		keys := open(t)
		requireFault(t, fault.ResourceNotFound, keys.Retire(t.Context(), auth.KeyHash{9}, start))
		one := key("mvno-ap", 1)
		require.NoError(t, keys.Add(t.Context(), one))
		require.NoError(t, keys.Retire(t.Context(), one.Hash, after(5)))
		require.NoError(t, keys.Retire(t.Context(), one.Hash, after(6)))
		list, err := keys.List(t.Context())
		require.NoError(t, err)
		one.RetiredAt = after(5)
		require.Equal(t, []auth.ServiceKey{one}, list)
	})
	t.Run("of many added at once two live", func(t *testing.T) {
		t.Parallel()
		keys := open(t)
		var n atomic.Int64
		parallel(8, func() { noError(t, keys.Add(t.Context(), key("mvno-ap", int(n.Add(1))))) })
		list, err := keys.List(t.Context())
		require.NoError(t, err)
		live := 0
		for _, k := range list {
			if k.RetiredAt.IsZero() {
				live++
			}
		}
		require.Len(t, list, 8)
		require.Equal(t, auth.LiveServiceKeys, live)
	})
}

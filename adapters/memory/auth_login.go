package memory

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"time"

	"phonebill/adapters/internal/keyqueue"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/core/throttle"
	"phonebill/ports"
)

// Guesses implements ports.Guesses under Policy; the zero Policy is the default one.
type Guesses struct {
	Policy auth.LockoutPolicy
	mu     sync.Mutex
	m      map[auth.Subject]auth.Attempts
	used   map[auth.Subject]time.Time
	queue  keyqueue.Queue[auth.Subject]
}

// change applies decide under the lock; now is the zero time when there was no attempt.
func (g *Guesses) change(s auth.Subject, now time.Time, decide func(auth.LockoutPolicy, auth.Attempts) auth.Attempts) {
	g.mu.Lock()
	defer g.mu.Unlock()
	policy := g.Policy
	if policy == (auth.LockoutPolicy{}) {
		policy = auth.DefaultLockout()
	}
	if g.m == nil {
		g.m, g.used = map[auth.Subject]auth.Attempts{}, map[auth.Subject]time.Time{}
	}
	if after := decide(policy, g.m[s]); after != g.m[s] {
		g.m[s] = after
	}
	if !now.IsZero() {
		g.used[s] = now
	}
}

// Take reserves a guess, waiting for its turn.
func (g *Guesses) Take(ctx context.Context, s auth.Subject, now time.Time) (guess auth.Guess, err error) {
	began := time.Now()
	ok, _ := g.queue.Do(ctx, s, ports.GuessWait, ports.GuessWait, func() (bool, error) {
		at := now.Add(time.Since(began).Truncate(time.Millisecond * 25))
		g.change(s, at, func(p auth.LockoutPolicy, a auth.Attempts) auth.Attempts {
			after, taken := p.Take(a, at)
			if guess = taken; taken.Verdict != auth.GuessAllowed {
				return a
			}
			return after
		})
		return guess.Verdict != auth.GuessBusy, nil
	})
	if !ok {
		return auth.Guess{}, fault.New(fault.RateLimitExceeded).RetryIn(ports.GuessWait)
	}
	return guess, nil
}

// Fail judges the guess as wrong.
func (g *Guesses) Fail(_ context.Context, s auth.Subject, guess auth.Guess, now time.Time) (last bool, err error) {
	defer g.queue.Wake(s)
	g.change(s, now, func(p auth.LockoutPolicy, a auth.Attempts) auth.Attempts {
		a, last = p.Fail(a, guess, now)
		return a
	})
	return last, nil
}

// Succeed judges the guess as right.
func (g *Guesses) Succeed(_ context.Context, s auth.Subject, guess auth.Guess, now time.Time) error {
	defer g.queue.Wake(s)
	g.change(s, now, func(p auth.LockoutPolicy, a auth.Attempts) auth.Attempts { return p.Succeed(a, guess) })
	return nil
}

// GiveBack takes the guess back.
func (g *Guesses) GiveBack(_ context.Context, s auth.Subject, guess auth.Guess) error {
	defer g.queue.Wake(s)
	g.change(s, time.Time{}, func(p auth.LockoutPolicy, a auth.Attempts) auth.Attempts { return p.GiveBack(a, guess) })
	return nil
}

// Clear forgets failures and locks of the id and its devices.
func (g *Guesses) Clear(_ context.Context, user auth.UserID) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for s, a := range g.m {
		if s.UserID == user {
			g.m[s] = g.Policy.Clear(a)
			g.queue.Wake(s)
		}
	}
	return nil
}

// Peek returns the stored state.
func (g *Guesses) Peek(_ context.Context, s auth.Subject) (auth.Attempts, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.m[s], nil
}

// Sweep deletes subjects without an attempt for long.
func (g *Guesses) Sweep(_ context.Context, before, now time.Time, most int) (swept int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for s, a := range g.m {
		if swept < most && g.used[s].Before(before) && !a.Locked(now) {
			delete(g.m, s)
			swept++
		}
	}
	return swept, nil
}

// Devices implements ports.Devices without secrecy: its cookies are readable.
type Devices struct{}

// Mint returns user.hash.device.
func (d Devices) Mint(account auth.User, device id.ID) auth.DeviceCookie {
	return auth.DeviceCookie{
		Tag:   hex.EncodeToString([]byte(account.UserID.Folded())),
		Value: personal.NewSecret(d.prefix(account) + device.String()),
	}
}

func (Devices) prefix(account auth.User) string {
	return string(account.UserID) + "." + account.PasswordHash.Reveal() + "."
}

// Read returns the argument of Mint for this account as it is.
func (d Devices) Read(account auth.User, value personal.Secret) (id.ID, bool) {
	rest, ok := strings.CutPrefix(value.Reveal(), d.prefix(account))
	device, err := id.Parse(rest)
	return device, ok && err == nil
}

// Names compares the beginning.
func (Devices) Names(user auth.UserID, value personal.Secret) bool {
	return strings.HasPrefix(strings.ToLower(value.Reveal()), string(user.Folded())+".")
}

// Throttle implements ports.Throttle.
type Throttle struct{ buckets throttle.Buckets }

// Take takes one call from the key's bucket.
func (t *Throttle) Take(
	_ context.Context, key string, r throttle.Rate, now time.Time,
) (ok bool, retryIn time.Duration) {
	return t.buckets.Take(key, r, now)
}

// Credentials implements ports.Credentials for passwords that are kept as Hasher makes them.
type Credentials struct{ Hasher ports.PasswordHasher }

// Check compares.
func (c Credentials) Check(ctx context.Context, account auth.User, password personal.Secret) (bool, error) {
	ok, _, err := c.Hasher.Matches(ctx, account.PasswordHash, password)
	return ok, err
}

// ServiceKeys implements ports.ServiceKeys.
type ServiceKeys struct {
	mu   sync.Mutex
	keys []auth.ServiceKey // newest first
}

// Add stores the key and retires the oldest beyond two.
func (k *ServiceKeys) Add(_ context.Context, key auth.ServiceKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.ContainsFunc(k.keys, func(held auth.ServiceKey) bool { return held.Hash == key.Hash }) {
		return fault.New(fault.StateConflict)
	}
	k.keys = append(k.keys, key)
	slices.SortStableFunc(k.keys, func(a, b auth.ServiceKey) int {
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		return bytes.Compare(a.Hash[:], b.Hash[:])
	})
	live := 0
	for i, held := range k.keys {
		if held.Service != key.Service || !held.RetiredAt.IsZero() {
			continue
		}
		if live++; live > auth.LiveServiceKeys {
			k.keys[i].RetiredAt = key.CreatedAt
		}
	}
	return nil
}

// List returns every key, newest first.
func (k *ServiceKeys) List(context.Context) ([]auth.ServiceKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.keys), nil
}

// Retire ends the key.
func (k *ServiceKeys) Retire(_ context.Context, hash auth.KeyHash, now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, held := range k.keys {
		if held.Hash == hash {
			if held.RetiredAt.IsZero() {
				k.keys[i].RetiredAt = now
			}
			return nil
		}
	}
	return fault.New(fault.ResourceNotFound)
}

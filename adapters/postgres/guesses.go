package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/internal/keyqueue"
	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/ports"
)

// subject is the purpose of the keyed hash of an account's id as it is spelled, or of a submitted id in lower case that
// no account has. Lockout counters and login history share it, so that an operator can follow one attacker through
// both.
const subject = "auth.subject"

// pollInterval is how often a waiting guess checks whether another instance has judged one.
const pollInterval = 100 * time.Millisecond

// Guesses implements ports.Guesses.
type Guesses struct {
	pool   *pgxpool.Pool
	vault  ports.Vault
	policy auth.LockoutPolicy
	queue  keyqueue.Queue[auth.Subject]
}

var _ ports.Guesses = (*Guesses)(nil)

// NewGuesses works on the auth database.
func NewGuesses(pool *pgxpool.Pool, vault ports.Vault, policy auth.LockoutPolicy) *Guesses {
	return &Guesses{pool: pool, vault: vault, policy: policy}
}

// Take reserves the guess in one statement that commits by itself. A waiting caller holds no connection.
func (g *Guesses) Take(ctx context.Context, s auth.Subject, now time.Time) (guess auth.Guess, err error) {
	began := time.Now()
	done, err := g.queue.Do(ctx, s, ports.GuessWait, pollInterval, func() (bool, error) {
		guess, err = g.take(ctx, s, now.Add(time.Since(began).Truncate(pollInterval)))
		return guess.Verdict != auth.GuessBusy, err
	})
	switch {
	case err != nil:
		return auth.Guess{}, translate("take guess", err)
	case !done:
		return auth.Guess{}, fault.New(fault.RateLimitExceeded).RetryIn(ports.GuessWait)
	}
	return guess, nil
}

// take tries once. The statement returns nothing for a subject that is locked or busy; a second one reads which it is.
func (g *Guesses) take(ctx context.Context, s auth.Subject, now time.Time) (auth.Guess, error) {
	round, err := authdb.New(g.pool).TakeGuess(ctx, authdb.TakeGuessParams{
		Subject: g.subject(s), UserIndex: g.userIndex(s.UserID), PendingUntil: now.Add(g.policy.Judging), Now: now,
		MaxFailures: int64(g.policy.Failures), LapsedBefore: now.Add(-g.policy.LockFor),
	})
	if err == nil {
		return auth.Guess{Verdict: auth.GuessAllowed, Round: int(round)}, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return auth.Guess{}, err
	}
	held, err := g.Peek(ctx, s)
	if err != nil {
		return auth.Guess{}, err
	}
	if _, guess := g.policy.Take(held, now); guess.Verdict == auth.GuessRefused {
		return guess, nil
	}
	return auth.Guess{Verdict: auth.GuessBusy}, nil
}

// Fail judges the guess as wrong.
func (g *Guesses) Fail(ctx context.Context, s auth.Subject, guess auth.Guess, now time.Time) (bool, error) {
	defer g.queue.Wake(s)
	failures, err := authdb.New(g.pool).FailGuess(ctx, authdb.FailGuessParams{
		Subject: g.subject(s), Round: int64(guess.Round), MaxFailures: int64(g.policy.Failures),
		LockUntil: now.Add(g.policy.LockFor), Now: now,
	})
	if errors.Is(err, pgx.ErrNoRows) { // it expired and is counted already
		return false, nil
	}
	return failures >= int64(g.policy.Failures), translate("judge guess", err)
}

// Succeed judges the guess as right.
func (g *Guesses) Succeed(ctx context.Context, s auth.Subject, guess auth.Guess, now time.Time) error {
	defer g.queue.Wake(s)
	return translate("judge guess", authdb.New(g.pool).SucceedGuess(ctx, authdb.SucceedGuessParams{
		Subject: g.subject(s), Round: int64(guess.Round), Now: now,
	}))
}

// GiveBack releases the reservation without counting it.
func (g *Guesses) GiveBack(ctx context.Context, s auth.Subject, guess auth.Guess) error {
	defer g.queue.Wake(s)
	return translate("give guess back", authdb.New(g.pool).GiveGuessBack(ctx, authdb.GiveGuessBackParams{
		Subject: g.subject(s), Round: int64(guess.Round),
	}))
}

// Clear deletes failures and locks of the id and its devices.
func (g *Guesses) Clear(ctx context.Context, user auth.UserID) error {
	return translate("clear guesses", authdb.New(g.pool).ClearGuesses(ctx, g.userIndex(user)))
}

// Peek returns the stored state.
func (g *Guesses) Peek(ctx context.Context, s auth.Subject) (auth.Attempts, error) {
	row, err := authdb.New(g.pool).PeekGuesses(ctx, g.subject(s))
	if errors.Is(err, pgx.ErrNoRows) {
		return auth.Attempts{}, nil
	}
	return auth.Attempts{
		Failures: int(row.Failures), Pending: int(row.Pending), Round: int(row.Round),
		PendingUntil: moment(row.PendingUntil), LockedUntil: moment(row.LockedUntil),
	}, translate("read guesses", err)
}

// Sweep deletes a few rows that no longer matter: a missing one means no failures.
func (g *Guesses) Sweep(ctx context.Context, before, now time.Time, most int) (int, error) {
	swept, err := authdb.New(g.pool).SweepGuesses(ctx,
		authdb.SweepGuessesParams{Before: before, Now: now, Most: int64(most)})
	return int(swept), translate("sweep guesses", err)
}

func (g *Guesses) userIndex(user auth.UserID) []byte {
	return g.vault.Index(subject, string(user))
}

func (g *Guesses) subject(s auth.Subject) []byte {
	if s.Device.IsZero() {
		return g.userIndex(s.UserID)
	}
	return g.vault.Index(subject, string(s.UserID)+"\x00"+s.Device.String())
}

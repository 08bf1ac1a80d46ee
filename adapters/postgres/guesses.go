package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/ports"
)

// subject is the purpose of the keyed hash that stands for a submitted user id, known or not (decision 4). Lockout counters and
// login history share it, so that an operator can follow one attacker through both.
const subject = "auth.subject"

// Guesses implements ports.Guesses.
type Guesses struct {
	pool   *pgxpool.Pool
	vault  ports.Vault
	policy auth.LockoutPolicy
}

var _ ports.Guesses = (*Guesses)(nil)

// NewGuesses works on the auth database.
func NewGuesses(pool *pgxpool.Pool, vault ports.Vault, policy auth.LockoutPolicy) *Guesses {
	return &Guesses{pool, vault, policy}
}

// Take counts the guess in one statement that commits by itself. It says in SQL what auth.LockoutPolicy.Take says in Go.
func (g *Guesses) Take(ctx context.Context, user auth.UserID, now time.Time) (auth.Guess, error) {
	failures, err := authdb.New(g.pool).TakeGuess(ctx, authdb.TakeGuessParams{
		Subject: g.subject(user), MaxFailures: int64(g.policy.Failures), LockUntil: now.Add(g.policy.LockFor), Now: now,
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows): // the row is locked: the statement left it alone
		return auth.GuessRefused, nil
	case err != nil:
		return auth.GuessRefused, translate("take guess", err)
	case failures >= int64(g.policy.Failures):
		return auth.GuessLast, nil
	default:
		return auth.GuessAllowed, nil
	}
}

// GiveBack takes one guess back.
func (g *Guesses) GiveBack(ctx context.Context, user auth.UserID) error {
	return translate("give guess back", authdb.New(g.pool).GiveGuessBack(ctx, g.subject(user)))
}

// Clear forgets the failures and the lock.
func (g *Guesses) Clear(ctx context.Context, user auth.UserID) error {
	return translate("clear guesses", authdb.New(g.pool).ClearGuesses(ctx, g.subject(user)))
}

// Peek answers the stored state.
func (g *Guesses) Peek(ctx context.Context, user auth.UserID) (auth.Attempts, error) {
	row, err := authdb.New(g.pool).PeekGuesses(ctx, g.subject(user))
	if errors.Is(err, pgx.ErrNoRows) {
		return auth.Attempts{}, nil
	}
	return auth.Attempts{Failures: int(row.Failures), LockedUntil: moment(row.LockedUntil)}, translate("read guesses", err)
}

func (g *Guesses) subject(user auth.UserID) []byte { return g.vault.Index(subject, string(user)) }

package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/ports"
)

// ExactSearches implements ports.ExactSearches.
type ExactSearches struct{ pool *pgxpool.Pool }

var _ ports.ExactSearches = (*ExactSearches)(nil)

// NewExactSearches works on the auth database.
func NewExactSearches(pool *pgxpool.Pool) *ExactSearches { return &ExactSearches{pool: pool} }

// Take counts in one statement.
func (s *ExactSearches) Take(
	ctx context.Context, person string, most int, per time.Duration, now time.Time,
) (ok bool, retryIn time.Duration, err error) {
	q, since := authdb.New(s.pool), now.Add(-per)
	_, err = q.TakeSearch(ctx, authdb.TakeSearchParams{Person: person, Now: now, Since: since, Most: int64(most)})
	if !errors.Is(err, pgx.ErrNoRows) {
		return err == nil, 0, translate("count search", err)
	}
	oldest, err := q.OldestSearch(ctx, authdb.OldestSearchParams{Person: person, Since: since})
	if errors.Is(err, pgx.ErrNoRows) { // it has become too old meanwhile
		return false, time.Second, nil
	}
	return false, oldest.Sub(since), translate("read searches", err)
}

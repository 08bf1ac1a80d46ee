package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/ports"
)

// Revocations implements ports.RevocationFeed.
type Revocations struct {
	pool     *pgxpool.Pool
	keep     time.Duration
	schedule auth.KeySchedule
}

var _ ports.RevocationFeed = (*Revocations)(nil)

// NewRevocations works on the auth database. keep is the lifetime of an access token.
func NewRevocations(pool *pgxpool.Pool, keep time.Duration, schedule auth.KeySchedule) *Revocations {
	return &Revocations{pool, keep, schedule}
}

// feedTime returns the database's time, and the time up to which all that is stored is visible: an open transaction
// began before what it stores was noted. A transaction gets its id (backend_xid) when it first writes or locks a row.
// All services have one role, so they see each other. (sqlc does not know pg_stat_activity.) It is read before the
// stored rows: what is committed later is in them or, by its time, in the next read.
const feedTime = `SELECT clock_timestamp(), least(clock_timestamp(), (
	SELECT min(xact_start) FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL))`

// Since reads the time first (feedTime).
func (r *Revocations) Since(ctx context.Context, t time.Time) (auth.Feed, error) {
	var now, asOf time.Time
	if err := r.pool.QueryRow(ctx, feedTime).Scan(&now, &asOf); err != nil {
		return auth.Feed{}, translate("read revocations", err)
	}
	if t.IsZero() {
		t = asOf.Add(-r.keep)
	}
	q := authdb.New(r.pool)
	rows, err := q.RevokedSince(ctx, t)
	if err != nil {
		return auth.Feed{}, translate("read revocations", err)
	}
	keys, err := q.SigningKeyTimes(ctx)
	if err != nil {
		return auth.Feed{}, translate("read signing keys", err)
	}
	feed := auth.Feed{AsOf: asOf.UTC(), Revocations: make([]auth.Revocation, len(rows)), KeyIDs: r.published(keys, now)}
	for i, row := range rows {
		feed.Revocations[i] = auth.Revocation{
			SessionID: id.ID(row.SessionID), UserID: auth.UserID(row.UserID), Epoch: int(row.Epoch), At: row.At.UTC(),
			Why: auth.EndReason(row.Why),
		}
	}
	return feed, nil
}

func (r *Revocations) published(rows []authdb.SigningKeyTimesRow, now time.Time) []string {
	keys := make([]auth.SigningKey, len(rows))
	for i, row := range rows {
		keys[i] = auth.SigningKey{
			KeyID: row.Kid, CreatedAt: row.CreatedAt, ActiveAt: row.ActiveAt, RetiredAt: moment(row.RetiredAt),
		}
	}
	kids := []string{}
	for _, k := range r.schedule.Published(keys, now) {
		kids = append(kids, k.KeyID)
	}
	return kids
}

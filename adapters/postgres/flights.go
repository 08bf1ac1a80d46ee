package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/ports"
)

// Flights implements ports.Flights in the kos database, beside the budget: a question costs two small writes beside the
// call to KOS, and a lease holds whatever the cache does. While this database is not available there are no calls to
// share, except those of the floors.
type Flights struct {
	pool       *pgxpool.Pool
	vault      ports.Vault
	now        ports.Clock
	restsUntil atomic.Int64 // Unix ns before which the database is not used
}

var _ ports.Flights = (*Flights)(nil)

// NewFlights works on the kos database.
func NewFlights(pool *pgxpool.Pool, vault ports.Vault, now ports.Clock) *Flights {
	return &Flights{pool: pool, vault: vault, now: now}
}

// subject returns the columns that a subject is stored under; of its key only a keyed hash.
func (f *Flights) subject(s freshness.Subject) (kind string, index []byte, part string) {
	index = []byte{}
	if key := s.Key.Reveal(); key != "" {
		index = f.vault.Index(ports.LineIndex, key)
	}
	return string(s.Kind), index, s.Part
}

// Begin takes the lease, or returns the state of the flight that exists. A database that does not answer in time is not
// used for a while, so that not every customer waits for it.
func (f *Flights) Begin(ctx context.Context, s freshness.Subject, lease time.Duration) (freshness.Flight, error) {
	if time.Now().UnixNano() < f.restsUntil.Load() {
		return freshness.Flight{}, translate("begin flight", errDatabaseRests)
	}
	limited, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	for {
		flight, err := f.begin(limited, s, lease)
		if limited.Err() != nil && ctx.Err() == nil {
			f.restsUntil.Store(time.Now().Add(beginRest).UnixNano())
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return flight, translate("begin flight", err)
		}
	}
}

const (
	beginTimeout = 2 * time.Second
	beginRest    = 5 * time.Second // how long a database that did not answer is not used
)

var errDatabaseRests = errors.New("the database did not answer a moment ago")

// begin returns pgx.ErrNoRows when it must be called again.
func (f *Flights) begin(ctx context.Context, s freshness.Subject, lease time.Duration) (freshness.Flight, error) {
	kind, index, part := f.subject(s)
	live, err := kosdb.New(f.pool).LiveFlight(ctx, kosdb.LiveFlightParams{Kind: kind, LineIndex: index, Month: part})
	if err == nil {
		return f.live(live), nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return freshness.Flight{}, err
	}
	token := rand.Text()
	taken, err := kosdb.New(f.pool).TakeFlight(ctx, kosdb.TakeFlightParams{
		Kind: kind, LineIndex: index, Month: part, Token: token, LeaseSeconds: lease.Seconds(),
	})
	if err != nil {
		return freshness.Flight{}, err
	}
	return freshness.Flight{
		State: freshness.Granted, Token: token, Failures: int(taken.Failures), At: taken.At.UTC(),
	}, nil
}

func (f *Flights) live(row kosdb.LiveFlightRow) freshness.Flight {
	until := f.now().Add(time.Duration(row.SecondsLeft * float64(time.Second)))
	switch {
	case row.Token != "":
		return freshness.Flight{State: freshness.Pending, Until: until}
	case row.Refusal != "":
		return freshness.Flight{
			State: freshness.Refused, Refusal: fault.Code(row.Refusal), At: row.At.UTC(), Until: until,
		}
	default:
		return freshness.Flight{State: freshness.Resting, Failures: int(row.Failures), At: row.At.UTC(), Until: until}
	}
}

// Finish releases the lease and stores the outcome. A stored outcome has no token, and no lease has an empty one.
func (f *Flights) Finish(ctx context.Context, s freshness.Subject, token string, o freshness.Outcome) error {
	if token == "" {
		return nil
	}
	kind, index, part := f.subject(s)
	if o == (freshness.Outcome{}) {
		return translate("end flight", kosdb.New(f.pool).EndFlight(ctx, kosdb.EndFlightParams{
			Kind: kind, LineIndex: index, Month: part, Token: token,
		}))
	}
	return translate("note flight", kosdb.New(f.pool).NoteFlight(ctx, kosdb.NoteFlightParams{
		Kind: kind, LineIndex: index, Month: part, Token: token, Refusal: string(o.Refusal),
		Failures: int64(o.Failures), At: o.At, Seconds: o.For.Seconds(),
	}))
}

// Forget deletes what ended some minutes ago; a worker calls it regularly.
func (f *Flights) Forget(ctx context.Context) error {
	return translate("forget flights", kosdb.New(f.pool).ForgetFlights(ctx))
}

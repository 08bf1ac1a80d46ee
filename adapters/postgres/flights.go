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

// Flights implements ports.Flights. They lie where the budget lies: a question costs two small writes beside the call of KOS, a lease holds
// whatever the cache is doing, and where this database cannot be asked there are no calls to share either, the floors excepted.
type Flights struct {
	pool  *pgxpool.Pool
	lines lines
	now   ports.Clock
	away  atomic.Int64 // Unix ns until when the database is left alone
}

var _ ports.Flights = (*Flights)(nil)

// NewFlights works on the kos database.
func NewFlights(pool *pgxpool.Pool, vault ports.Vault, now ports.Clock) *Flights {
	return &Flights{pool: pool, lines: lines{vault: vault}, now: now}
}

func (f *Flights) subject(s freshness.Subject) (kind string, index []byte, month string) {
	kind, index = string(s.Kind), []byte{}
	if !s.Line.IsZero() {
		index = f.lines.index(s.Line)
	}
	if !s.Month.IsZero() {
		month = s.Month.Compact()
	}
	return kind, index, month
}

// Begin takes the turn, or tells why not. A database that does not answer in time is not asked again for a while: customers' patience is
// short, and each would pay.
func (f *Flights) Begin(ctx context.Context, s freshness.Subject, lease time.Duration) (freshness.Flight, error) {
	if time.Now().UnixNano() < f.away.Load() {
		return freshness.Flight{}, translate("begin flight", errAway)
	}
	limited, cancel := context.WithTimeout(ctx, beginWithin)
	defer cancel()
	for {
		turn, err := f.begin(limited, s, lease)
		if limited.Err() != nil && ctx.Err() == nil {
			f.away.Store(time.Now().Add(leftAlone).UnixNano())
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return turn, translate("begin flight", err)
		}
	}
}

const (
	beginWithin = 2 * time.Second
	leftAlone   = 5 * time.Second
)

var errAway = errors.New("the database did not answer a moment ago")

// begin errs with pgx.ErrNoRows when it must look again.
func (f *Flights) begin(ctx context.Context, s freshness.Subject, lease time.Duration) (freshness.Flight, error) {
	kind, index, month := f.subject(s)
	held, err := kosdb.New(f.pool).LiveFlight(ctx, kosdb.LiveFlightParams{Kind: kind, LineIndex: index, Month: month})
	if err == nil {
		return f.held(held), nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return freshness.Flight{}, err
	}
	token := rand.Text()
	failures, err := kosdb.New(f.pool).TakeFlight(ctx, kosdb.TakeFlightParams{
		Kind: kind, LineIndex: index, Month: month, Token: token, LeaseSeconds: lease.Seconds(),
	})
	return freshness.Flight{State: freshness.Mine, Token: token, Failures: int(failures)}, err
}

func (f *Flights) held(row kosdb.LiveFlightRow) freshness.Flight {
	until := f.now().Add(time.Duration(row.SecondsLeft * float64(time.Second)))
	switch {
	case row.Token != "":
		return freshness.Flight{State: freshness.Theirs, Until: until}
	case row.Refusal != "":
		return freshness.Flight{State: freshness.Refused, Refusal: fault.Code(row.Refusal), At: row.At.UTC(), Until: until}
	default:
		return freshness.Flight{State: freshness.Resting, Failures: int(row.Failures), At: row.At.UTC(), Until: until}
	}
}

// Land gives the turn back. Notes have no token, and nobody's turn has none.
func (f *Flights) Land(ctx context.Context, s freshness.Subject, token string, l freshness.Landing) error {
	if token == "" {
		return nil
	}
	kind, index, month := f.subject(s)
	if l == (freshness.Landing{}) {
		return translate("end flight", kosdb.New(f.pool).EndFlight(ctx, kosdb.EndFlightParams{
			Kind: kind, LineIndex: index, Month: month, Token: token,
		}))
	}
	return translate("note flight", kosdb.New(f.pool).NoteFlight(ctx, kosdb.NoteFlightParams{
		Kind: kind, LineIndex: index, Month: month, Token: token, Refusal: string(l.Refusal), Failures: int64(l.Failures), At: l.At,
		Seconds: l.For.Seconds(),
	}))
}

// Forget drops what has ended some minutes ago; a worker calls it now and then.
func (f *Flights) Forget(ctx context.Context) error {
	return translate("forget flights", kosdb.New(f.pool).ForgetFlights(ctx))
}

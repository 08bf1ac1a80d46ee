package postgres

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/ports"
)

// Flights implements ports.Flights for the time when the cache cannot be asked.
type Flights struct {
	pool  *pgxpool.Pool
	lines lines
	now   ports.Clock
}

var _ ports.Flights = (*Flights)(nil)

// NewFlights works on the kos database.
func NewFlights(pool *pgxpool.Pool, vault ports.Vault, now ports.Clock) *Flights {
	return &Flights{pool, lines{vault: vault}, now}
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

// Begin takes the turn, or tells why not, in one statement.
func (f *Flights) Begin(ctx context.Context, s freshness.Subject, lease time.Duration) (freshness.Flight, error) {
	token := rand.Text()
	kind, index, month := f.subject(s)
	row, err := kosdb.New(f.pool).BeginFlight(ctx, kosdb.BeginFlightParams{
		Kind: kind, LineIndex: index, Month: month, Token: token, LeaseSeconds: lease.Seconds(),
	})
	if err != nil {
		return freshness.Flight{}, translate("begin flight", err)
	}
	until := f.now().Add(time.Duration(row.SecondsLeft * float64(time.Second)))
	switch {
	case row.Token == token:
		return freshness.Flight{State: freshness.Mine, Token: token, Failures: int(row.Failures)}, nil
	case row.Token != "":
		return freshness.Flight{State: freshness.Theirs, Until: until}, nil
	case row.Refusal != "":
		return freshness.Flight{State: freshness.Refused, Refusal: fault.Code(row.Refusal), At: row.At.UTC(), Until: until}, nil
	default:
		return freshness.Flight{State: freshness.Resting, Failures: int(row.Failures), At: row.At.UTC(), Until: until}, nil
	}
}

// Land gives the turn back.
func (f *Flights) Land(ctx context.Context, s freshness.Subject, token string, l freshness.Landing) error {
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

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
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// Customers implements ports.Customers. Copies and epochs are in one database, so one statement reads both.
type Customers struct {
	pool   *pgxpool.Pool
	lines  lines
	sealer ports.Sealer[product.CustomerCopy]
}

func customerPlace(index []byte) sealing.Place {
	return sealing.At("kos.customer_copies", string(index))
}

func plansPlace() sealing.Place { return sealing.At("kos.plan_copies", "all") }

// Plans implements ports.Plans.
type Plans struct {
	pool   *pgxpool.Pool
	sealer ports.Sealer[product.PlansCopy]
}

// Epochs implements ports.Epochs and ports.RaisedEpochs.
type Epochs struct {
	pool  *pgxpool.Pool
	lines lines
}

var (
	_ ports.Customers    = (*Customers)(nil)
	_ ports.Plans        = (*Plans)(nil)
	_ ports.Epochs       = (*Epochs)(nil)
	_ ports.RaisedEpochs = (*Epochs)(nil)
)

// NewCustomers works on the kos database.
func NewCustomers(pool *pgxpool.Pool, vault ports.Vault, sealer ports.Sealer[product.CustomerCopy]) *Customers {
	return &Customers{pool, lines{vault: vault}, sealer}
}

// NewPlans works on the kos database.
func NewPlans(pool *pgxpool.Pool, sealer ports.Sealer[product.PlansCopy]) *Plans {
	return &Plans{pool, sealer}
}

// NewEpochs works on the kos database.
func NewEpochs(pool *pgxpool.Pool, vault ports.Vault) *Epochs {
	return &Epochs{pool, lines{vault: vault}}
}

// Latest returns the copy unless it is from before the line's epoch.
func (c *Customers) Latest(ctx context.Context, n line.Number) (product.CustomerCopy, error) {
	index := c.lines.index(n)
	sealed, err := kosdb.New(c.pool).CustomerCopy(ctx, index)
	if err != nil {
		return product.CustomerCopy{}, translate("read customer", err, fault.ResourceNotFound)
	}
	held, err := c.sealer.Open(customerPlace(index), sealed)
	if err == nil && held.Customer.Line != n {
		err = c.lines.vault.Refuse(customerPlace(index), errMisplaced)
	}
	if err != nil {
		return product.CustomerCopy{}, absent(err)
	}
	return held, nil
}

// absent returns NOT_FOUND for a copy that cannot be opened: the alert is raised, and KOS can be asked again.
func absent(err error) error { return fault.New(fault.ResourceNotFound).Because(err) }

// LatestCommitted is Latest, which never lags here.
func (c *Customers) LatestCommitted(ctx context.Context, n line.Number) (product.CustomerCopy, error) {
	return c.Latest(ctx, n)
}

// Put replaces the copy unless the stored one is newer.
func (c *Customers) Put(ctx context.Context, copied product.CustomerCopy) error {
	index := c.lines.index(copied.Customer.Line)
	sealed, err := c.sealer.Seal(customerPlace(index), copied)
	if err != nil {
		return translate("seal customer", err)
	}
	err = kosdb.New(c.pool).PutCustomerCopy(ctx, kosdb.PutCustomerCopyParams{
		LineIndex: index, StatedAt: copied.AsOf, Sealed: sealed,
	})
	return translate("put customer", err)
}

// Latest returns the copy, or NOT_FOUND.
func (p *Plans) Latest(ctx context.Context) (product.PlansCopy, error) {
	sealed, err := kosdb.New(p.pool).PlansCopy(ctx)
	if err != nil {
		return product.PlansCopy{}, translate("read plans", err, fault.ResourceNotFound)
	}
	held, err := p.sealer.Open(plansPlace(), sealed)
	if err != nil {
		return product.PlansCopy{}, absent(err)
	}
	return held, nil
}

// LatestCommitted is Latest, which never lags here.
func (p *Plans) LatestCommitted(ctx context.Context) (product.PlansCopy, error) { return p.Latest(ctx) }

// Put replaces the copy unless the stored one is newer.
func (p *Plans) Put(ctx context.Context, copied product.PlansCopy) error {
	sealed, err := p.sealer.Seal(plansPlace(), copied)
	if err != nil {
		return translate("seal plans", err)
	}
	err = kosdb.New(p.pool).PutPlansCopy(ctx, kosdb.PutPlansCopyParams{StatedAt: copied.AsOf, Sealed: sealed})
	return translate("put plans", err)
}

// Raise sets the line's epoch unless the stored one is newer.
func (e *Epochs) Raise(ctx context.Context, n line.Number, at time.Time) error {
	return translate("raise epoch",
		kosdb.New(e.pool).RaiseEpoch(ctx, kosdb.RaiseEpochParams{LineIndex: e.lines.index(n), At: at}))
}

// Of returns the line's epoch, the zero time when there is none.
func (e *Epochs) Of(ctx context.Context, n line.Number) (time.Time, error) {
	at, err := kosdb.New(e.pool).Epoch(ctx, e.lines.index(n))
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, translate("read epoch", err)
	}
	return at.UTC(), nil
}

// lagging is how far the time of Raised is set back: a row gets its time a moment before its transaction gets its id
// (feedTime), and a clock may be set back a little.
const lagging = 2 * time.Second

// Raised returns what was raised since by the database's clock.
func (e *Epochs) Raised(ctx context.Context, since time.Time) ([]freshness.Raise, time.Time, error) {
	var now, asOf time.Time
	if err := e.pool.QueryRow(ctx, feedTime).Scan(&now, &asOf); err != nil {
		return nil, time.Time{}, translate("read raised epochs", err)
	}
	rows, err := kosdb.New(e.pool).RaisedEpochs(ctx, since)
	if err != nil {
		return nil, time.Time{}, translate("read raised epochs", err)
	}
	raised := each(rows, func(row kosdb.RaisedEpochsRow) freshness.Raise {
		return freshness.Raise{Line: row.LineIndex, Epoch: row.At.UTC()}
	})
	return raised, asOf.Add(-lagging).UTC(), nil
}

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

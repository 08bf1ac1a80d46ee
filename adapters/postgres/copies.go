package postgres

import (
	"context"
	"errors"
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

package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/ports"
)

// Bills implements ports.Bills. Epochs live in another database, so Latest asks them after it has found a copy.
type Bills struct {
	pool   *pgxpool.Pool
	lines  lines
	sealer ports.Sealer[bill.Copy]
	epochs ports.Epochs
}

var _ ports.Bills = (*Bills)(nil)

// NewBills works on the bill database.
func NewBills(pool *pgxpool.Pool, vault ports.Vault, sealer ports.Sealer[bill.Copy], epochs ports.Epochs) *Bills {
	return &Bills{pool, lines{vault: vault}, sealer, epochs}
}

// Latest answers the newest version unless the line's epoch hides it.
func (b *Bills) Latest(ctx context.Context, n line.Number, m calendar.Month) (bill.Copy, error) {
	sealed, err := billdb.New(b.pool).LatestBill(ctx, billdb.LatestBillParams{LineIndex: b.lines.index(n), Month: m.String()})
	if err != nil {
		return bill.Copy{}, translate("read bill", err, fault.ResourceNotFound)
	}
	c, err := b.sealer.Open(sealed)
	if err != nil {
		return bill.Copy{}, translate("open bill", err)
	}
	epoch, err := b.epochs.Of(ctx, n)
	if err != nil {
		return bill.Copy{}, err
	}
	if c.HiddenBy(epoch) {
		return bill.Copy{}, fault.New(fault.ResourceNotFound)
	}
	return c, nil
}

// Put stores a new version.
func (b *Bills) Put(ctx context.Context, c bill.Copy) error {
	sealed, err := b.sealer.Seal(c)
	if err != nil {
		return translate("seal bill", err)
	}
	err = billdb.New(b.pool).PutBill(ctx, billdb.PutBillParams{
		ID: uuid.UUID(c.Version), LineIndex: b.lines.index(c.Bill.Line), Month: c.Bill.Month.String(), ToldAt: c.AsOf, Sealed: sealed,
	})
	return translate("put bill", err)
}

// Version answers exactly that version.
func (b *Bills) Version(ctx context.Context, n line.Number, m calendar.Month, version id.ID) (bill.Copy, error) {
	sealed, err := billdb.New(b.pool).BillVersion(ctx, billdb.BillVersionParams{
		ID: uuid.UUID(version), LineIndex: b.lines.index(n), Month: m.String(),
	})
	if err != nil {
		return bill.Copy{}, translate("read bill version", err, fault.ResourceNotFound)
	}
	c, err := b.sealer.Open(sealed)
	return c, translate("open bill", err)
}

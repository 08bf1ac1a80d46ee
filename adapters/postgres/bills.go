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
	"phonebill/core/sealing"
	"phonebill/ports"
)

// Bills implements ports.Bills. Epochs live in another database, so Latest reads them after it has found a copy.
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

// Latest returns the newest version unless the line's epoch hides it.
func (b *Bills) Latest(ctx context.Context, n line.Number, m calendar.Month) (bill.Copy, error) {
	row, err := billdb.New(b.pool).LatestBill(ctx, billdb.LatestBillParams{LineIndex: b.lines.index(n), Month: m.String()})
	if err != nil {
		return bill.Copy{}, translate("read bill", err, fault.ResourceNotFound)
	}
	c, err := b.open(row.Sealed, row.ID, n, m)
	if err != nil {
		return bill.Copy{}, err
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

// LatestCommitted is Latest, which never lags here.
func (b *Bills) LatestCommitted(ctx context.Context, n line.Number, m calendar.Month) (bill.Copy, error) {
	return b.Latest(ctx, n, m)
}

// Put stores a new version.
func (b *Bills) Put(ctx context.Context, c bill.Copy) error {
	index := b.lines.index(c.Bill.Line)
	sealed, err := b.sealer.Seal(versionPlace(uuid.UUID(c.Version), index, c.Bill.Month.String()), c)
	if err != nil {
		return translate("seal bill", err)
	}
	err = billdb.New(b.pool).PutBill(ctx, billdb.PutBillParams{
		ID: uuid.UUID(c.Version), LineIndex: index, Month: c.Bill.Month.String(), StatedAt: c.AsOf, Sealed: sealed,
	})
	return translate("put bill", err)
}

// Version returns exactly that version.
func (b *Bills) Version(ctx context.Context, n line.Number, m calendar.Month, version id.ID) (bill.Copy, error) {
	sealed, err := billdb.New(b.pool).BillVersion(ctx, billdb.BillVersionParams{
		ID: uuid.UUID(version), LineIndex: b.lines.index(n), Month: m.String(),
	})
	if err != nil {
		return bill.Copy{}, translate("read bill version", err, fault.ResourceNotFound)
	}
	return b.open(sealed, uuid.UUID(version), n, m)
}

// open returns ResourceNotFound when the row does not hold that version of the line's bill of the month.
func (b *Bills) open(sealed []byte, version uuid.UUID, n line.Number, m calendar.Month) (bill.Copy, error) {
	at := versionPlace(version, b.lines.index(n), m.String())
	c, err := b.sealer.Open(at, sealed)
	if err == nil && (c.Bill.Line != n || c.Bill.Month != m || c.Version != id.ID(version)) {
		err = b.lines.vault.Refuse(at, errMisplaced)
	}
	if err != nil {
		return bill.Copy{}, absent(err)
	}
	return c, nil
}

func versionPlace(version uuid.UUID, index []byte, month string) sealing.Place {
	return sealing.At("bill.bill_versions", key(version), string(index), month)
}

package postgres

import (
	"bytes"
	"context"
	"encoding/hex"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// BillMonths implements ports.BillMonths in the kos database, beside the turns of those who ask KOS.
type BillMonths struct {
	pool   *pgxpool.Pool
	lines  lines
	sealer ports.Sealer[bill.MonthsCopy]
}

var _ ports.BillMonths = (*BillMonths)(nil)

func monthsPlace(index []byte) sealing.Place { return sealing.At("kos.month_copies", string(index)) }

// NewBillMonths works on the kos database.
func NewBillMonths(pool *pgxpool.Pool, vault ports.Vault, sealer ports.Sealer[bill.MonthsCopy]) *BillMonths {
	return &BillMonths{pool, lines{vault: vault}, sealer}
}

// Latest returns the copy, or NOT_FOUND.
func (m *BillMonths) Latest(ctx context.Context, n line.Number) (bill.MonthsCopy, error) {
	index := m.lines.index(n)
	sealed, err := kosdb.New(m.pool).MonthsCopy(ctx, index)
	if err != nil {
		return bill.MonthsCopy{}, translate("read months", err, fault.ResourceNotFound)
	}
	held, err := m.sealer.Open(monthsPlace(index), sealed)
	if err == nil && held.Line != n {
		err = m.lines.vault.Refuse(monthsPlace(index), errMisplaced)
	}
	if err != nil {
		return bill.MonthsCopy{}, absent(err)
	}
	return held, nil
}

// LatestCommitted is Latest, which never lags here.
func (m *BillMonths) LatestCommitted(ctx context.Context, n line.Number) (bill.MonthsCopy, error) {
	return m.Latest(ctx, n)
}

// Put replaces the copy unless the stored one is newer.
func (m *BillMonths) Put(ctx context.Context, copied bill.MonthsCopy) error {
	index := m.lines.index(copied.Line)
	sealed, err := m.sealer.Seal(monthsPlace(index), copied)
	if err != nil {
		return translate("seal months", err)
	}
	err = kosdb.New(m.pool).PutMonthsCopy(ctx, kosdb.PutMonthsCopyParams{
		LineIndex: index, StatedAt: copied.AsOf, Sealed: sealed,
	})
	return translate("put months", err)
}

// Purge drops up to n copies that KOS stated longer ago than keep, at least 7 days, and returns how many. A worker
// calls it regularly.
func (m *BillMonths) Purge(ctx context.Context, keep time.Duration, n int) (int, error) {
	dropped, err := kosdb.New(m.pool).PurgeMonthCopies(ctx, kosdb.PurgeMonthCopiesParams{
		KeepSeconds: int64(keep / time.Second), Batch: int64(n),
	})
	return int(dropped), translate("purge months", err)
}

// sealedRows returns the stored copies, to be bound to their rows.
func (m *BillMonths) sealedRows() ports.SealedRows {
	q := kosdb.New(m.pool)
	next := func(ctx context.Context, after string, n int) (sealing.Batch, error) {
		start, _ := hex.DecodeString(after)
		rows, err := q.MonthsCopiesToReseal(ctx,
			kosdb.MonthsCopiesToResealParams{After: append([]byte{}, start...), N: int64(n)})
		return eachRow(m.lines.vault, rows, err,
			func(r *resealing, row kosdb.MonthsCopiesToResealRow) (key string, err error) {
				again := copyOf(r, m.sealer, monthsPlace(row.LineIndex), row.Sealed, func(c bill.MonthsCopy) bool {
					return bytes.Equal(m.lines.index(c.Line), row.LineIndex)
				})
				if r.done {
					_, err = q.ResealMonthsCopy(ctx, kosdb.ResealMonthsCopyParams{
						LineIndex: row.LineIndex, Old: row.Sealed, New: again,
					})
				}
				return hex.EncodeToString(row.LineIndex), err
			})
	}
	return sealedRows{"kos.month_copies", q.CountMonthsCopies, next}
}

package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/core/freshness"
	"phonebill/core/line"
	"phonebill/ports"
)

// ActiveLines implements ports.ActiveLines.
type ActiveLines struct {
	pool  *pgxpool.Pool
	lines lines
}

var _ ports.ActiveLines = (*ActiveLines)(nil)

// NewActiveLines works on the kos database.
func NewActiveLines(pool *pgxpool.Pool, vault ports.Vault) *ActiveLines {
	return &ActiveLines{pool, lines{vault: vault, column: "kos.active_lines.line"}}
}

// NoteActiveLine notes the lines in one statement.
func (a *ActiveLines) NoteActiveLine(
	ctx context.Context, k freshness.Kind, seen []line.Number, at, due time.Time,
) error {
	sealed := make([][]byte, len(seen))
	for i, n := range seen {
		var err error
		if sealed[i], err = a.lines.seal(n, string(k)); err != nil {
			return translate("seal line", err)
		}
	}
	return translate("note active lines", kosdb.New(a.pool).NoteLines(ctx, kosdb.NoteLinesParams{
		Kind: string(k), SeenAt: at, DueAt: due, LineIndexes: a.lines.indexes(seen), LinesSealed: sealed,
	}))
}

// Due leases lines.
func (a *ActiveLines) Due(
	ctx context.Context, k freshness.Kind, now, since time.Time, lease time.Duration, n int,
) ([]line.Number, error) {
	rows, err := kosdb.New(a.pool).DueLines(ctx, kosdb.DueLinesParams{
		Kind: string(k), Now: now, SeenSince: since, LeaseUntil: now.Add(lease), N: int64(n),
	})
	if err != nil {
		return nil, translate("lease active lines", err)
	}
	due := make([]line.Number, 0, len(rows))
	for _, row := range rows {
		// one that cannot be opened is not fetched
		if n, err := a.lines.open(row.LineSealed, row.LineIndex, string(k)); err == nil {
			due = append(due, n)
		}
	}
	return due, nil
}

// Done sets when the line is due next.
func (a *ActiveLines) Done(ctx context.Context, k freshness.Kind, n line.Number, next time.Time) error {
	return translate("put off active line", kosdb.New(a.pool).PostponeLine(ctx, kosdb.PostponeLineParams{
		DueAt: next, LineIndex: a.lines.index(n), Kind: string(k),
	}))
}

// Forget deletes lines that were last seen before that time.
func (a *ActiveLines) Forget(ctx context.Context, k freshness.Kind, since time.Time) error {
	return translate("forget active lines",
		kosdb.New(a.pool).ForgetLines(ctx, kosdb.ForgetLinesParams{Kind: string(k), SeenBefore: since}))
}

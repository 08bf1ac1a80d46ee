package postgres

import (
	"bytes"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/core/auth"
	"phonebill/core/line"
	"phonebill/ports"
)

// Bindings implements ports.Bindings on the kos database.
type Bindings struct {
	pool  *pgxpool.Pool
	lines lines
}

var _ ports.Bindings = (*Bindings)(nil)

// customerIndex is the purpose of the blind index of KOS's customer ids.
const customerIndex = "kos.customer"

// NewBindings works on the kos database.
func NewBindings(pool *pgxpool.Pool, vault ports.Vault) *Bindings {
	return &Bindings{pool: pool, lines: lines{vault: vault}}
}

// Bind binds the account once.
func (b *Bindings) Bind(ctx context.Context, account auth.UserID, n line.Number, customer string) (bool, error) {
	p := kosdb.BindAccountParams{
		AccountIndex: b.lines.vault.Index(subject, string(account)), LineIndex: []byte{},
		CustomerIndex: b.lines.vault.Index(customerIndex, customer),
	}
	if !n.IsZero() {
		p.LineIndex = b.lines.index(n)
	}
	for {
		bound, err := kosdb.New(b.pool).BindAccount(ctx, p)
		if !errors.Is(err, pgx.ErrNoRows) { // otherwise another process has bound it since the statement began
			return bytes.Equal(bound, p.CustomerIndex), translate("bind an account", err)
		}
	}
}

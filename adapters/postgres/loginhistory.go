package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/ports"
)

// LoginHistory implements ports.LoginHistory.
type LoginHistory struct {
	pool  *pgxpool.Pool
	vault ports.Vault
}

var _ ports.LoginHistory = (*LoginHistory)(nil)

// NewLoginHistory works on the auth database.
func NewLoginHistory(pool *pgxpool.Pool, vault ports.Vault) *LoginHistory {
	return &LoginHistory{pool, vault}
}

// Append stores one event. What somebody typed who is not a user may be anything, a password too: only its keyed hash is kept.
func (h *LoginHistory) Append(ctx context.Context, e auth.LoginEvent) error {
	named := e.UserID
	if !e.Known {
		named = named.Folded()
	}
	row := authdb.AppendLoginParams{
		ID: uuid.UUID(e.ID), At: e.At, Subject: h.vault.Index(subject, string(named)), Type: string(e.Type), Success: e.Success,
		Reason: e.Reason, Ip: e.Client.IP, UserAgent: e.Client.UserAgent, Service: e.Client.Service,
	}
	if e.Known {
		user := string(e.UserID)
		row.UserID = &user
	}
	return translate("append to login history", authdb.New(h.pool).AppendLogin(ctx, row))
}

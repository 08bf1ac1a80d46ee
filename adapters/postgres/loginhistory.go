package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/core/id"
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

// Append stores one event. An id that no account has may be anything, even a password: only its keyed hash is stored.
func (h *LoginHistory) Append(ctx context.Context, e auth.LoginEvent) error {
	named := e.UserID
	if !e.Known {
		named = named.Folded()
	}
	row := authdb.AppendLoginParams{
		ID: uuid.UUID(e.ID), At: e.At, Subject: h.vault.Index(subject, string(named)), Type: string(e.Type),
		Success: e.Success, Reason: e.Reason, Ip: e.Client.IP, UserAgent: e.Client.UserAgent, Service: e.Client.Service,
	}
	if e.Known {
		user := string(e.UserID)
		row.UserID = &user
	}
	return translate("append to login history", authdb.New(h.pool).AppendLogin(ctx, row))
}

var _ ports.LoginRecords = (*LoginHistory)(nil)

// Page reads by the keyed hash of the id, which events of unknown ids have too.
func (h *LoginHistory) Page(ctx context.Context, user auth.UserID, page, size int) ([]auth.LoginEvent, int, error) {
	q, hashes := authdb.New(h.pool), h.subjects(user)
	total, err := q.CountLogins(ctx,
		authdb.CountLoginsParams{Subjects: hashes, UserID: string(user), Most: auth.MaxCounted})
	if err != nil {
		return nil, 0, translate("count login history", err)
	}
	one := authdb.LoginPageParams{Subject: hashes[0], UserID: string(user), Skip: skip(page, size), Size: int64(size)}
	var rows []authdb.LoginHistory
	if len(hashes) == 1 {
		rows, err = q.LoginPage(ctx, one)
	} else {
		rows, err = q.LoginPageOfTwo(ctx, authdb.LoginPageOfTwoParams{
			Subject: one.Subject, Before: hashes[1], UserID: one.UserID, Skip: one.Skip, Size: one.Size,
		})
	}
	if err != nil {
		return nil, 0, translate("read login history", err)
	}
	events := make([]auth.LoginEvent, len(rows))
	for i, row := range rows {
		events[i] = auth.LoginEvent{
			ID: id.ID(row.ID), UserID: user, Known: row.UserID != nil, Type: auth.LoginEventType(row.Type), Success: row.Success,
			Reason: row.Reason, Client: auth.Client{IP: row.Ip, UserAgent: row.UserAgent, Service: row.Service},
			At: row.At.UTC(),
		}
	}
	return events, int(total), nil
}

// CountSince counts by the keyed hash of the id, within the range of the index by hash and time.
func (h *LoginHistory) CountSince(
	ctx context.Context, user auth.UserID, of auth.LoginEventType, since time.Time,
) (int, error) {
	n, err := authdb.New(h.pool).CountLoginsSince(ctx, authdb.CountLoginsSinceParams{
		Subjects: h.subjects(user), UserID: string(user), Since: since, Type: string(of),
	})
	return int(n), translate("count login history", err)
}

// subjects are the keyed hashes of the folded id, which events of unknown ids have, and, where it differs, of the id as
// it is spelled.
func (h *LoginHistory) subjects(user auth.UserID) [][]byte {
	all := [][]byte{h.vault.Index(subject, string(user.Folded()))}
	if user != user.Folded() {
		all = append(all, h.vault.Index(subject, string(user)))
	}
	return all
}

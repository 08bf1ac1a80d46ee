package postgres

import (
	"context"
	"time"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/ports"
)

var _ ports.LoginRecords = (*LoginHistory)(nil)

// Page reads by the keyed hash of the id, which events of unknown ids have as well.
func (h *LoginHistory) Page(ctx context.Context, user auth.UserID, page, size int) ([]auth.LoginEvent, int, error) {
	q, hash := authdb.New(h.pool), h.vault.Index(subject, string(user))
	total, err := q.CountLogins(ctx, authdb.CountLoginsParams{Subject: hash, Most: auth.MostCounted})
	if err != nil {
		return nil, 0, translate("count login history", err)
	}
	rows, err := q.LoginPage(ctx, authdb.LoginPageParams{Subject: hash, Skip: skip(page, size), Size: int64(size)})
	if err != nil {
		return nil, 0, translate("read login history", err)
	}
	events := make([]auth.LoginEvent, len(rows))
	for i, row := range rows {
		events[i] = auth.LoginEvent{
			ID: id.ID(row.ID), UserID: user, Known: row.UserID != nil, Type: auth.LoginEventType(row.Type), Success: row.Success,
			Reason: row.Reason, Client: auth.Client{IP: row.Ip, UserAgent: row.UserAgent, Service: row.Service}, At: row.At.UTC(),
		}
	}
	return events, int(total), nil
}

// CountSince counts by the keyed hash of the id; the index by hash and time bounds what is looked at.
func (h *LoginHistory) CountSince(ctx context.Context, user auth.UserID, of auth.LoginEventType, since time.Time) (int, error) {
	n, err := authdb.New(h.pool).CountLoginsSince(ctx, authdb.CountLoginsSinceParams{
		Subject: h.vault.Index(subject, string(user)), Since: since, Type: string(of),
	})
	return int(n), translate("count login history", err)
}

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
	q, hashes := authdb.New(h.pool), h.subjects(user)
	total, err := q.CountLogins(ctx, authdb.CountLoginsParams{Subjects: hashes, UserID: string(user), Most: auth.MaxCounted})
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
			Reason: row.Reason, Client: auth.Client{IP: row.Ip, UserAgent: row.UserAgent, Service: row.Service}, At: row.At.UTC(),
		}
	}
	return events, int(total), nil
}

// CountSince counts by the keyed hash of the id; the index by hash and time bounds what is looked at.
func (h *LoginHistory) CountSince(ctx context.Context, user auth.UserID, of auth.LoginEventType, since time.Time) (int, error) {
	n, err := authdb.New(h.pool).CountLoginsSince(ctx, authdb.CountLoginsSinceParams{
		Subjects: h.subjects(user), UserID: string(user), Since: since, Type: string(of),
	})
	return int(n), translate("count login history", err)
}

// subjects are the keyed hashes of the folded id, which events of unknown ids have, and, where it differs, of the id as it is spelled.
func (h *LoginHistory) subjects(user auth.UserID) [][]byte {
	all := [][]byte{h.vault.Index(subject, string(user.Folded()))}
	if user != user.Folded() {
		all = append(all, h.vault.Index(subject, string(user)))
	}
	return all
}

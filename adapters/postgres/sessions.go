package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// Sessions implements ports.Sessions and ports.RevocationFeed. The account of a session must exist.
type Sessions struct{ pool *pgxpool.Pool }

var (
	_ ports.Sessions       = (*Sessions)(nil)
	_ ports.RevocationFeed = (*Sessions)(nil)
)

// NewSessions works on the auth database.
func NewSessions(pool *pgxpool.Pool) *Sessions { return &Sessions{pool} }

// Create stores a new session.
func (s *Sessions) Create(ctx context.Context, session auth.Session) error {
	err := authdb.New(s.pool).CreateSession(ctx, authdb.CreateSessionParams(sessionRow(session)))
	return translate("create session", err)
}

// Get answers the session, never an old copy.
func (s *Sessions) Get(ctx context.Context, sid id.ID) (auth.Session, error) {
	row, err := authdb.New(s.pool).Session(ctx, uuid.UUID(sid))
	if err != nil {
		return auth.Session{}, translate("read session", err, fault.ResourceNotFound)
	}
	return session(row), nil
}

// Change holds the row's lock while it decides, so that calls for one session happen one after the other, whichever instance
// makes them. A decision that changes nothing writes nothing.
func (s *Sessions) Change(ctx context.Context, sid id.ID, decide func(auth.Session) auth.Session) (auth.Session, error) {
	var stored auth.Session
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := authdb.New(tx)
		row, err := q.LockSession(ctx, uuid.UUID(sid))
		if err != nil {
			return err
		}
		stored = session(row)
		next := decide(stored)
		if next == stored {
			return nil
		}
		next.ID = sid
		if row, err = q.SaveSession(ctx, authdb.SaveSessionParams(sessionRow(next))); err != nil {
			return err
		}
		stored = session(row)
		return nil
	})
	if err != nil {
		return auth.Session{}, translate("change session", err, fault.ResourceNotFound)
	}
	return stored, nil
}

// Since answers every session revoked at or after t. A revocation is seen once its transaction is over, so a poller looks back a
// little further than its last look.
func (s *Sessions) Since(ctx context.Context, t time.Time) ([]auth.Revocation, error) {
	rows, err := authdb.New(s.pool).RevokedSince(ctx, t)
	if err != nil {
		return nil, translate("read revocations", err)
	}
	revoked := make([]auth.Revocation, len(rows))
	for i, row := range rows {
		revoked[i] = auth.Revocation{SessionID: id.ID(row.ID), At: moment(row.RevokedAt)}
	}
	return revoked, nil
}

func sessionRow(s auth.Session) authdb.Session {
	return authdb.Session{
		ID: uuid.UUID(s.ID), UserID: string(s.UserID), AutoLogin: s.AutoLogin, CreatedAt: s.CreatedAt, LastSeenAt: s.LastSeenAt,
		ExpiresAt: s.ExpiresAt, Generation: int64(s.Generation), RotatedAt: s.RotatedAt, RevokedAt: optional(s.RevokedAt),
		Ip: s.Client.IP, UserAgent: s.Client.UserAgent,
	}
}

func session(row authdb.Session) auth.Session {
	return auth.Session{
		ID: id.ID(row.ID), UserID: auth.UserID(row.UserID), AutoLogin: row.AutoLogin, CreatedAt: row.CreatedAt.UTC(),
		LastSeenAt: row.LastSeenAt.UTC(), ExpiresAt: row.ExpiresAt.UTC(), Generation: int(row.Generation),
		RotatedAt: row.RotatedAt.UTC(), RevokedAt: moment(row.RevokedAt),
		Client: auth.Client{IP: row.Ip, UserAgent: row.UserAgent},
	}
}

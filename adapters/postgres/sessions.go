package postgres

import (
	"context"
	"reflect"
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

// Sessions implements ports.Sessions. The account of a session must exist.
type Sessions struct{ pool *pgxpool.Pool }

var _ ports.Sessions = (*Sessions)(nil)

// NewSessions works on the auth database.
func NewSessions(pool *pgxpool.Pool) *Sessions { return &Sessions{pool} }

// Create holds the user's row while it counts the user's live sessions.
func (s *Sessions) Create(
	ctx context.Context, session auth.Session, policy auth.SessionPolicy,
) ([]auth.Revocation, error) {
	var ended []uuid.UUID
	now := session.CreatedAt
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
		q := authdb.New(tx)
		if err := q.LockUser(ctx, string(session.UserID)); err != nil {
			return err
		}
		ended, err = q.EndOldest(ctx, authdb.EndOldestParams{
			UserID: string(session.UserID), Now: &now, Most: int64(max(0, policy.Devices-1)), IdleSince: now.Add(-policy.Idle),
			IdleAutoSince: now.Add(-policy.IdleAuto), Why: string(auth.EndedByNewerDevice),
		})
		if err != nil {
			return err
		}
		return q.CreateSession(ctx, sessionRow(session))
	})
	return nouns(ended, err, "create session", revocation(now, auth.EndedByNewerDevice))
}

// Live returns the user's live sessions.
func (s *Sessions) Live(
	ctx context.Context, user auth.UserID, policy auth.SessionPolicy, now time.Time,
) ([]auth.Session, error) {
	rows, err := authdb.New(s.pool).LiveSessions(ctx, authdb.LiveSessionsParams{
		UserID: string(user), Now: now, IdleSince: now.Add(-policy.Idle), IdleAutoSince: now.Add(-policy.IdleAuto),
	})
	return nouns(rows, err, "list sessions", sessionNoun)
}

// EndAll ends them in one statement.
func (s *Sessions) EndAll(ctx context.Context, user auth.UserID, keep id.ID, now time.Time) ([]auth.Revocation, error) {
	ended, err := authdb.New(s.pool).EndAllSessions(ctx,
		authdb.EndAllSessionsParams{UserID: string(user), Keep: uuid.UUID(keep), Now: &now})
	return nouns(ended, err, "end sessions", revocation(now, ""))
}

// Sweep deletes them in one statement; one that is in use waits for the next sweep.
func (s *Sessions) Sweep(ctx context.Context, before time.Time, most int) (int, error) {
	swept, err := authdb.New(s.pool).SweepSessions(ctx, authdb.SweepSessionsParams{Before: before, Most: int64(most)})
	return int(swept), translate("sweep sessions", err)
}

func revocation(at time.Time, why auth.EndReason) func(uuid.UUID) auth.Revocation {
	return func(sid uuid.UUID) auth.Revocation { return auth.Revocation{SessionID: id.ID(sid), At: at, Why: why} }
}

// Get returns the session, never an old copy.
func (s *Sessions) Get(ctx context.Context, sid id.ID) (auth.Session, error) {
	row, err := authdb.New(s.pool).Session(ctx, uuid.UUID(sid))
	if err != nil {
		return auth.Session{}, translate("read session", err, fault.ResourceNotFound)
	}
	return sessionNoun(row), nil
}

// Change holds the row's lock while it decides, so that changes of one session happen one after the other in all
// instances. A decision that changes nothing writes nothing.
func (s *Sessions) Change(
	ctx context.Context, sid id.ID, decide func(auth.Session) auth.Session,
) (auth.Session, error) {
	var stored auth.Session
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := authdb.New(tx)
		row, err := q.LockSession(ctx, uuid.UUID(sid))
		if err != nil {
			return err
		}
		stored = sessionNoun(row)
		next := decide(stored)
		if reflect.DeepEqual(next, stored) {
			return nil
		}
		next.ID = sid
		if row, err = q.SaveSession(ctx, authdb.SaveSessionParams(sessionRow(next))); err != nil {
			return err
		}
		stored = sessionNoun(row)
		return nil
	})
	if err != nil {
		return auth.Session{}, translate("change session", err, fault.ResourceNotFound)
	}
	return stored, nil
}

func sessionRow(s auth.Session) authdb.CreateSessionParams {
	row := authdb.CreateSessionParams{
		ID: uuid.UUID(s.ID), UserID: string(s.UserID), AutoLogin: s.AutoLogin, CreatedAt: s.CreatedAt,
		LastSeenAt: s.LastSeenAt, ExpiresAt: s.ExpiresAt, Generation: int64(s.Generation), RotatedAt: s.RotatedAt,
		RevokedAt: optional(s.RevokedAt), Ip: s.Client.IP, UserAgent: s.Client.UserAgent, EndReason: string(s.EndReason),
		SpentGenerations: make([]int64, len(s.Spent)), SpentAt: make([]time.Time, len(s.Spent)),
	}
	for i, x := range s.Spent {
		row.SpentGenerations[i], row.SpentAt[i] = int64(x.Generation), x.At
	}
	return row
}

func sessionNoun(row authdb.Session) auth.Session {
	s := auth.Session{
		ID: id.ID(row.ID), UserID: auth.UserID(row.UserID), AutoLogin: row.AutoLogin, CreatedAt: row.CreatedAt.UTC(),
		LastSeenAt: row.LastSeenAt.UTC(), ExpiresAt: row.ExpiresAt.UTC(), Generation: int(row.Generation),
		RotatedAt: row.RotatedAt.UTC(), RevokedAt: moment(row.RevokedAt), EndReason: auth.EndReason(row.EndReason),
		Client: auth.Client{IP: row.Ip, UserAgent: row.UserAgent},
	}
	for i, at := range row.SpentAt {
		s.Spent = append(s.Spent, auth.Spent{Generation: int(row.SpentGenerations[i]), At: at.UTC()})
	}
	return s
}

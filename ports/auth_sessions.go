package ports

import (
	"context"
	"time"

	"phonebill/core/auth"
	"phonebill/core/id"
)

// Sessions are the logins that live (ADR 13).
type Sessions interface {
	// Create stores a new session. When its user then has more than policy.Devices live ones the oldest are revoked, in
	// the same step and under any concurrency; the ended ones are returned.
	Create(ctx context.Context, s auth.Session, policy auth.SessionPolicy) ([]auth.Revocation, error)
	// Get returns the session, or NOT_FOUND. It may be a copy some seconds old, but never one from before a change made
	// through this same Sessions.
	Get(ctx context.Context, sid id.ID) (auth.Session, error)
	// Change loads the session under a lock, applies decide (pure, may run twice), stores the result and returns it.
	// Calls for one session happen one after the other, over all instances. NOT_FOUND for an unknown session.
	Change(ctx context.Context, sid id.ID, decide func(auth.Session) auth.Session) (auth.Session, error)
	// Live returns the user's live sessions, newest first.
	Live(ctx context.Context, user auth.UserID, policy auth.SessionPolicy, now time.Time) ([]auth.Session, error)
	// EndAll revokes every session of the user that is neither revoked nor expired at now, but not the one kept (the
	// zero ID keeps none), and returns the ended ones. A session that is created at the same time may live on.
	EndAll(ctx context.Context, user auth.UserID, keep id.ID, now time.Time) ([]auth.Revocation, error)
	// Sweep deletes sessions that expired before then, up to most, the longest expired first, and returns how many. A
	// copy of one may be returned by Get for some minutes more.
	Sweep(ctx context.Context, before time.Time, most int) (int, error)
}

// RevocationPush spreads revocations at once, to this instance's own guard and as far as it can to all others. It does
// not fail: instances that it does not reach learn them from the feed.
type RevocationPush interface {
	Push(ctx context.Context, ended ...auth.Revocation)
}

// RevocationFeed lists tokens that are revoked although they verify (ADR 14).
type RevocationFeed interface {
	// Since returns every session revoked and every epoch raised since the feed's own time t (an earlier Feed's AsOf,
	// or somewhat before it), and which signing keys are valid now. The zero time asks for everything that can concern
	// a token which is not expired. What is stored while the feed is read is returned now or by the next call.
	Since(ctx context.Context, t time.Time) (auth.Feed, error)
}

// SessionUse receives the sessions that are in use (ADR 14).
type SessionUse interface {
	// Used keeps the sessions from going idle. One that is over, idle already or unknown is no error and does not live
	// again.
	Used(ctx context.Context, sids []id.ID) error
}

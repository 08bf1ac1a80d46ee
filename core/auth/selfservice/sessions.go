// Package selfservice is what users do with their own account: list and end sessions, read the login history, change
// the password, enrol and remove a second factor (UFR-AUTH-010).
package selfservice

import (
	"context"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// Sessions lists and ends sessions. All fields are required; it is safe for concurrent use.
type Sessions struct {
	Sessions ports.Sessions
	History  ports.LoginHistory
	Push     ports.RevocationPush
	Policy   auth.SessionPolicy
	Now      ports.Clock
	NewID    ports.IDs
}

// List returns the user's live sessions, newest first: at most Policy.Devices.
func (s *Sessions) List(ctx context.Context, user auth.UserID) ([]auth.Session, error) {
	return s.Sessions.Live(ctx, user, s.Policy, s.Now())
}

// End ends one of the caller's live sessions, also the current one, which is a log-out. NOT_FOUND when it is unknown,
// over or another user's. Its tokens are refused everywhere within a second.
func (s *Sessions) End(ctx context.Context, caller auth.Principal, sid id.ID, from auth.Client) error {
	own := false
	session, err := s.Sessions.Change(ctx, sid, func(old auth.Session) auth.Session {
		if own = old.UserID == caller.UserID && s.Policy.Live(old, s.Now()); !own {
			return old
		}
		if sid == caller.SessionID {
			return old.RevokeFor(auth.EndedByLogout, s.Now())
		}
		return old.Revoke(s.Now())
	})
	switch {
	case err != nil:
		return err
	case !own:
		return fault.New(fault.ResourceNotFound)
	}
	why := auth.EventSessionEnded
	if sid == caller.SessionID {
		why = auth.EventLogout
	}
	return s.ended(ctx, caller.UserID, why, from, auth.Revocation{SessionID: sid, At: session.RevokedAt,
		Why: session.EndReason})
}

// EndOthers ends every session of the caller but the current one and returns how many ended.
func (s *Sessions) EndOthers(ctx context.Context, caller auth.Principal, from auth.Client) (int, error) {
	over, err := s.Sessions.EndAll(ctx, caller.UserID, caller.SessionID, s.Now())
	if err != nil || len(over) == 0 {
		return 0, err
	}
	return len(over), s.ended(ctx, caller.UserID, auth.EventSessionEnded, from, over...)
}

// ended records and pushes the end, also when the client has hung up.
func (s *Sessions) ended(
	ctx context.Context, user auth.UserID, why auth.LoginEventType, from auth.Client, over ...auth.Revocation,
) error {
	ctx, done := ports.RecordContext(ctx)
	defer done()
	s.Push.Push(ctx, over...)
	return s.History.Append(ctx, auth.LoginEvent{
		ID: s.NewID(), UserID: user, Known: true, Type: why, Success: true, Client: from, At: s.Now(),
	})
}

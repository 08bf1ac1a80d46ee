// Package access authenticates callers and checks their permissions (UFR-AUTH-020). Every service and the gateway carry
// a Guard (zero trust). Begin with Guard.Admit (access.go).
package access

import (
	"context"
	"errors"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// Guard decides on bearer tokens: signature and claims, then revocations, then the permission. Live is set in the auth
// service alone, which has the sessions at hand; the others learn of ended sessions through Revoked and report used
// ones through UsedSessions.
type Guard struct {
	Verifier     ports.AccessVerifier
	Revoked      *Revoked
	Live         *Live         // may be nil
	UsedSessions *UsedSessions // may be nil
	Now          ports.Clock
}

var errIncomplete = errors.New("access: the revocations are not known yet")

// Admit returns the caller, or UNAUTHORIZED (no token), TOKEN_EXPIRED, TOKEN_INVALID, TOKEN_REVOKED, or FORBIDDEN when
// the permission (empty = none needed) is missing; with FORBIDDEN the caller is returned too, for the log.
// PASSWORD_CHANGE_REQUIRED while the caller has a duty that the operation is not for. SERVICE_UNAVAILABLE until the
// revocations are known: after a start no logged-out session is admitted (ADR 14).
func (g *Guard) Admit(
	ctx context.Context, token string, need auth.Permission, isFor ...auth.Duty,
) (auth.Principal, error) {
	switch {
	case token == "":
		return auth.Principal{}, fault.New(fault.Unauthorized)
	case !g.Revoked.Ready():
		return auth.Principal{}, fault.New(fault.ServiceUnavailable).RetryIn(time.Second).Because(errIncomplete)
	}
	p, err := g.Verifier.Verify(ctx, token, g.Now())
	switch {
	case err != nil:
		return auth.Principal{}, err
	case g.Revoked.Has(p):
		return auth.Principal{}, auth.TokenRevoked(g.Revoked.Why(p))
	case p.Due(isFor) != nil:
		return auth.Principal{}, p.Due(isFor)
	case need != "" && !p.Has(need):
		return p, fault.New(fault.PermissionDenied)
	}
	if g.Live != nil {
		if err := g.Live.Check(ctx, p.SessionID); err != nil {
			return auth.Principal{}, err
		}
	}
	if g.UsedSessions != nil {
		g.UsedSessions.Note(p.SessionID)
	}
	return p, nil
}

// Live knows the sessions themselves: it refuses those that are over or idle and notes that a session is in use.
type Live struct {
	Sessions ports.Sessions
	Policy   auth.SessionPolicy
	Now      ports.Clock
}

// Used implements ports.SessionUse for the services that do not have the sessions at hand.
func (l *Live) Used(ctx context.Context, sids []id.ID) error {
	errs := make([]error, 0, len(sids))
	for _, sid := range sids {
		_, err := l.Sessions.Change(ctx, sid, func(s auth.Session) auth.Session { return l.Policy.Touch(s, l.Now()) })
		if !errors.Is(err, fault.New(fault.ResourceNotFound)) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// touchInterval is how often a session in use is noted (ADR 14).
const touchInterval = time.Minute

// Check returns TOKEN_REVOKED, with the reason, when the session is over or idle. A failing store does not mean "logged
// out": the token verified, so the request goes on.
func (l *Live) Check(ctx context.Context, sid id.ID) error {
	session, err := l.Sessions.Get(ctx, sid)
	now := l.Now()
	switch {
	case errors.Is(err, fault.New(fault.ResourceNotFound)):
		return fault.New(fault.TokenRevoked)
	case err != nil:
		return nil //nolint:nilerr // see above
	case !l.Policy.Live(session, now):
		return auth.TokenRevoked(l.Policy.Over(session, now))
	case now.Sub(session.LastSeenAt) >= touchInterval:
		_, _ = l.Sessions.Change(ctx, sid, func(s auth.Session) auth.Session { return l.Policy.Touch(s, now) })
	}
	return nil
}

// Service returns the caller's own account and rights.
type Service struct {
	Users   ports.Users
	Guesses ports.Guesses
	Now     ports.Clock
}

// Account returns the caller's account as it is now (not as in the token) and the state to show: LOCKED while the id is
// locked out.
func (s *Service) Account(ctx context.Context, user auth.UserID) (auth.User, auth.Status, error) {
	u, err := s.Users.ByID(ctx, user)
	if err != nil {
		return auth.User{}, "", err
	}
	attempts, err := s.Guesses.Peek(ctx, auth.Subject{UserID: user})
	if err != nil {
		return auth.User{}, "", err
	}
	if u.Status == auth.Active && attempts.Locked(s.Now()) {
		return u, auth.LockedOut, nil
	}
	return u, u.Status, nil
}

// Permissions returns what the user may do now.
func (s *Service) Permissions(ctx context.Context, user auth.UserID) ([]auth.Permission, error) {
	u, err := s.Users.ByID(ctx, user)
	if err != nil {
		return nil, err
	}
	return u.Permissions(s.Now()), nil
}

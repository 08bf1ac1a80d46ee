// Package access is UFR-AUTH-020: who is calling, and may he. Every service and the gateway carry a Guard (zero trust).
package access

import (
	"context"
	"errors"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// Guard decides on bearer tokens: signature and claims, then revocations, then the permission. Live is set in the auth service
// alone, which has the sessions at hand; the others learn of ended sessions through Revoked and tell of used ones through Seen.
type Guard struct {
	Verifier ports.AccessVerifier
	Revoked  *Revoked
	Live     *Live // may be nil
	Seen     *Seen // may be nil
	Now      ports.Clock
}

// Admit answers who is calling, or UNAUTHORIZED (no token), TOKEN_EXPIRED, TOKEN_INVALID, TOKEN_REVOKED, or FORBIDDEN when the
// permission (empty = none needed) is missing.
func (g *Guard) Admit(ctx context.Context, token string, need auth.Permission) (auth.Principal, error) {
	if token == "" {
		return auth.Principal{}, fault.New(fault.Unauthorized)
	}
	p, err := g.Verifier.Verify(ctx, token, g.Now())
	switch {
	case err != nil:
		return auth.Principal{}, err
	case g.Revoked.Has(p.SessionID):
		return auth.Principal{}, fault.New(fault.TokenRevoked)
	case need != "" && !p.Has(need):
		return auth.Principal{}, fault.New(fault.PermissionDenied)
	}
	if g.Live != nil {
		if err := g.Live.Check(ctx, p.SessionID); err != nil {
			return auth.Principal{}, err
		}
	}
	if g.Seen != nil {
		g.Seen.Note(p.SessionID)
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

// touchEvery is how often a session in use is noted (decision 2).
const touchEvery = time.Minute

// Check answers TOKEN_REVOKED when the session is over or idle. A store in trouble is not "logged out" (decision 1): the token
// verified, so the request goes on.
func (l *Live) Check(ctx context.Context, sid id.ID) error {
	session, err := l.Sessions.Get(ctx, sid)
	now := l.Now()
	switch {
	case errors.Is(err, fault.New(fault.ResourceNotFound)):
		return fault.New(fault.TokenRevoked)
	case err != nil:
		return nil //nolint:nilerr // see above
	case !l.Policy.Live(session, now):
		return fault.New(fault.TokenRevoked)
	case now.Sub(session.LastSeenAt) >= touchEvery:
		_, _ = l.Sessions.Change(ctx, sid, func(s auth.Session) auth.Session { return l.Policy.Touch(s, now) })
	}
	return nil
}

// Revoked is the set of revoked sessions of the last Keep, held in memory and fed by Pull (decision 2). It is safe for
// concurrent use.
type Revoked struct {
	feed  ports.RevocationFeed
	now   ports.Clock
	keep  time.Duration
	mu    sync.RWMutex
	until map[id.ID]time.Time
	since time.Time
}

// overlap covers clocks and commits out of order between instances.
const overlap = 5 * time.Second

// NewRevoked answers an empty set; call Pull before the first request. keep is the lifetime of an access token.
func NewRevoked(feed ports.RevocationFeed, now ports.Clock, keep time.Duration) *Revoked {
	return &Revoked{feed: feed, now: now, keep: keep, until: map[id.ID]time.Time{}}
}

// Pull asks the feed for what is new and forgets what no token can be about any more. After the first one that succeeds the set
// is complete.
func (r *Revoked) Pull(ctx context.Context) error {
	now := r.now()
	r.mu.RLock()
	since := r.since
	r.mu.RUnlock()
	if since.IsZero() {
		since = now.Add(-r.keep)
	}
	list, err := r.feed.Since(ctx, since.Add(-overlap))
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range list {
		r.until[v.SessionID] = v.At.Add(r.keep + overlap)
	}
	for sid, until := range r.until {
		if now.After(until) {
			delete(r.until, sid)
		}
	}
	r.since = now
	return nil
}

// Push implements ports.RevocationPush for this instance: it adds what has just ended.
func (r *Revoked) Push(_ context.Context, ended ...auth.Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range ended {
		r.until[v.SessionID] = v.At.Add(r.keep + overlap)
	}
}

// Has tells whether the session was revoked.
func (r *Revoked) Has(sid id.ID) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.until[sid]
	return ok
}

// Ready tells whether the set has been complete once.
func (r *Revoked) Ready() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return !r.since.IsZero()
}

// Service answers questions about the caller's own rights.
type Service struct {
	Users   ports.Users
	Guesses ports.Guesses
	Now     ports.Clock
}

// Account answers the caller's account as it is now (not as the token tells) and the state to show: LOCKED while the id is
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

// Permissions answers what the user may do now.
func (s *Service) Permissions(ctx context.Context, user auth.UserID) ([]auth.Permission, error) {
	u, err := s.Users.ByID(ctx, user)
	if err != nil {
		return nil, err
	}
	return u.Permissions(s.Now()), nil
}

package access

import (
	"cmp"
	"context"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/ports"
)

// Revoked is the set of revocations that concern tokens which still verify: the sessions that ended and the epochs that
// were raised while a token about them may not have expired (ADR 14). It is in memory, pulled from the feed and pushed
// to; docs/revocation.md has the bounds. All its times are the feed's own, so that no instance's clock matters. It is
// safe for concurrent use.
type Revoked struct {
	feed    ports.RevocationFeed
	keys    ports.AcceptedKeys // may be nil
	now     ports.Clock
	keep    time.Duration
	pulling sync.Mutex

	mu       sync.RWMutex
	asOf     time.Time // of the last successful pull; zero before the first
	pulledAt time.Time // by our clock, for the metrics alone
	sessions map[id.ID]ended
	users    map[auth.UserID]raised
}

// ended is when a session's end was stored, and why it ended; empty while that is not known.
type ended struct {
	at  time.Time
	why auth.EndReason
}

// raised is a user's epoch and when it was stored.
type raised struct {
	epoch int
	at    time.Time
}

const (
	// overlap is how far a pull goes back behind the last one. AsOf is already before every revocation that is stored
	// but not yet visible; the overlap covers a store's clock that is set back.
	overlap = 5 * time.Second
	// maxEntries bounds the entries added by pushes; pulls are complete and are not bounded.
	maxEntries = 1 << 20
)

// NewRevoked returns an empty set; no caller is admitted before the first successful Pull. keep is the lifetime of an
// access token. keys, if not nil, receives the valid signing keys.
func NewRevoked(feed ports.RevocationFeed, keys ports.AcceptedKeys, now ports.Clock, keep time.Duration) *Revoked {
	return &Revoked{
		feed: feed, keys: keys, now: now, keep: keep, pulledAt: now(), sessions: map[id.ID]ended{},
		users: map[auth.UserID]raised{},
	}
}

// Pull reads new revocations from the feed and drops those that no token can be about any more. After the first success
// the set is complete. An error of the keys alone is returned, but the revocations are taken.
func (r *Revoked) Pull(ctx context.Context) error {
	r.pulling.Lock()
	defer r.pulling.Unlock()
	since := r.AsOf()
	if !since.IsZero() {
		since = since.Add(-overlap)
	}
	feed, err := r.feed.Since(ctx, since)
	if err != nil {
		return err
	}
	r.take(feed)
	if r.keys == nil || feed.KeyIDs == nil {
		return nil
	}
	return r.keys.Accept(ctx, feed.KeyIDs)
}

func (r *Revoked) take(feed auth.Feed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range feed.Revocations {
		r.add(v, v.At)
	}
	r.asOf, r.pulledAt = feed.AsOf, r.now()
	over := feed.AsOf.Add(-r.keep - overlap)
	for sid, held := range r.sessions {
		if held.at.IsZero() { // pushed before the first pull
			r.sessions[sid] = ended{feed.AsOf, held.why}
		} else if held.at.Before(over) {
			delete(r.sessions, sid)
		}
	}
	for user, held := range r.users {
		if held.at.IsZero() {
			r.users[user] = raised{held.epoch, feed.AsOf}
		} else if held.at.Before(over) {
			delete(r.users, user)
		}
	}
}

// add never forgets: of two entries about one thing the later time and the higher epoch hold.
func (r *Revoked) add(v auth.Revocation, at time.Time) {
	if v.UserID != "" {
		held := r.users[v.UserID]
		r.users[v.UserID] = raised{max(held.epoch, v.Epoch), later(held.at, at)}
		return
	}
	held := r.sessions[v.SessionID]
	r.sessions[v.SessionID] = ended{later(held.at, at), cmp.Or(held.why, v.Why)}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Push implements ports.RevocationPush for this instance: it adds what has just ended. Whatever time the sender states,
// it counts from now on.
func (r *Revoked) Push(_ context.Context, over ...auth.Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range over {
		if len(r.sessions)+len(r.users) >= maxEntries {
			return
		}
		r.add(v, r.asOf)
	}
}

// Has reports whether the principal's token is revoked.
func (r *Revoked) Has(p auth.Principal) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ended := r.sessions[p.SessionID]
	return ended || p.Epoch < r.users[p.UserID].epoch
}

// Why returns the reason for which the token is refused.
func (r *Revoked) Why(p auth.Principal) auth.EndReason {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if held, over := r.sessions[p.SessionID]; over {
		return held.why
	}
	return auth.EndedByRights
}

// Ready reports whether the set has been complete once.
func (r *Revoked) Ready() bool { return !r.AsOf().IsZero() }

// AsOf returns the feed's time up to which everything is known; zero before the first successful pull.
func (r *Revoked) AsOf() time.Time {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.asOf
}

// Size returns the number of sessions and users in the set.
func (r *Revoked) Size() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.sessions) + len(r.users)
}

// Age returns the time since the last successful pull (by this instance's clock), or, before the first one, since the
// start.
func (r *Revoked) Age() time.Duration {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.now().Sub(r.pulledAt)
}

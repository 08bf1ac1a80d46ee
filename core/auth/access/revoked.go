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

// Revoked is what makes tokens dead though they verify: the sessions that ended and the epochs that were raised while a token about
// them may still live (ADR 14). It is held in memory, pulled from the feed and pushed to; docs/revocation.md has the bounds. All
// its times are the feed's own, so that no instance's clock matters. It is safe for concurrent use.
type Revoked struct {
	feed    ports.RevocationFeed
	keys    ports.AcceptedKeys // may be nil
	now     ports.Clock
	keep    time.Duration
	pulling sync.Mutex

	mu       sync.RWMutex
	asOf     time.Time // of the last good pull; zero before the first
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
	// overlap is how far a question goes back behind the last answer. AsOf is already before every revocation that is stored but not yet
	// visible; the overlap covers a store's clock that is set back.
	overlap = 5 * time.Second
	// maxHeld bounds what pushes can make us hold; the pull is the truth and is not bounded.
	maxEntries = 1 << 20
)

// NewRevoked answers an empty set; nobody is admitted before the first good Pull. keep is the lifetime of an access token. keys, when
// there are any, are told which signing keys are good.
func NewRevoked(feed ports.RevocationFeed, keys ports.AcceptedKeys, now ports.Clock, keep time.Duration) *Revoked {
	return &Revoked{
		feed: feed, keys: keys, now: now, keep: keep, pulledAt: now(), sessions: map[id.ID]ended{}, users: map[auth.UserID]raised{},
	}
}

// Pull asks the feed for what is new and forgets what no token can be about any more. After the first good one the set is complete.
// Trouble with the keys alone is answered, but the revocations are taken.
func (r *Revoked) Pull(ctx context.Context) error {
	r.pulling.Lock()
	defer r.pulling.Unlock()
	since := r.AsOf()
	if !since.IsZero() {
		since = since.Add(-overlap)
	}
	told, err := r.feed.Since(ctx, since)
	if err != nil {
		return err
	}
	r.take(told)
	if r.keys == nil || told.KeyIDs == nil {
		return nil
	}
	return r.keys.Accept(ctx, told.KeyIDs)
}

func (r *Revoked) take(told auth.Feed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range told.Revocations {
		r.add(v, v.At)
	}
	r.asOf, r.pulledAt = told.AsOf, r.now()
	over := told.AsOf.Add(-r.keep - overlap)
	for sid, held := range r.sessions {
		if held.at.IsZero() { // pushed before the first pull
			r.sessions[sid] = ended{told.AsOf, held.why}
		} else if held.at.Before(over) {
			delete(r.sessions, sid)
		}
	}
	for user, held := range r.users {
		if held.at.IsZero() {
			r.users[user] = raised{held.epoch, told.AsOf}
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

// Push implements ports.RevocationPush for this instance: it adds what has just ended. Whatever time a pusher tells, it counts from
// now on.
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

// Has tells whether the token that speaks for the principal is dead.
func (r *Revoked) Has(p auth.Principal) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ended := r.sessions[p.SessionID]
	return ended || p.Epoch < r.users[p.UserID].epoch
}

// Why is the reason for which the token is dead.
func (r *Revoked) Why(p auth.Principal) auth.EndReason {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if held, over := r.sessions[p.SessionID]; over {
		return held.why
	}
	return auth.EndedByRights
}

// Ready tells whether the set has been complete once.
func (r *Revoked) Ready() bool { return !r.AsOf().IsZero() }

// AsOf is the feed's time up to which everything is known; zero before the first good pull.
func (r *Revoked) AsOf() time.Time {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.asOf
}

// Held is how many sessions and users are held.
func (r *Revoked) Size() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.sessions) + len(r.users)
}

// Age is how long ago the last good pull was (by this instance's clock), or, before the first one, how long one has been waited for.
func (r *Revoked) Age() time.Duration {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.now().Sub(r.pulledAt)
}

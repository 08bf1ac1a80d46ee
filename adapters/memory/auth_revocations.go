package memory

import (
	"context"
	"time"

	"phonebill/core/auth"
	"phonebill/core/id"
)

// Revocations implements ports.RevocationFeed over the given fakes; nil ones have no revocation. Its clock is the real
// one, as a database's is.
type Revocations struct {
	Sessions *Sessions
	Users    *Users
	Keys     *SigningKeys
}

// Since returns what was noted since t.
func (r *Revocations) Since(ctx context.Context, t time.Time) (auth.Feed, error) {
	feed := auth.Feed{AsOf: time.Now().UTC()}
	if r.Sessions != nil {
		feed.Revocations = r.Sessions.notedSince(t)
	}
	if r.Users != nil {
		feed.Revocations = append(feed.Revocations, r.Users.raisedSince(t)...)
	}
	if r.Keys != nil {
		keys, err := r.Keys.List(ctx)
		if err != nil {
			return auth.Feed{}, err
		}
		feed.KeyIDs = []string{}
		for _, k := range auth.DefaultKeys().Published(keys, feed.AsOf) {
			feed.KeyIDs = append(feed.KeyIDs, k.KeyID)
		}
	}
	return feed, nil
}

// note remembers when a session was first seen revoked; the caller holds the lock.
func (s *Sessions) note(session auth.Session) {
	if s.noted == nil {
		s.noted = map[id.ID]time.Time{}
	}
	if _, already := s.noted[session.ID]; !already && !session.RevokedAt.IsZero() {
		s.noted[session.ID] = time.Now().UTC()
	}
}

func (s *Sessions) notedSince(t time.Time) []auth.Revocation {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []auth.Revocation
	for sid, at := range s.noted {
		if !at.Before(t) {
			out = append(out, auth.Revocation{SessionID: sid, At: at, Why: s.m[sid].EndReason})
		}
	}
	return out
}

func (u *Users) raisedSince(t time.Time) []auth.Revocation {
	u.mu.Lock()
	defer u.mu.Unlock()
	var out []auth.Revocation
	for user, at := range u.raised {
		if !at.Before(t) {
			out = append(out, auth.Revocation{UserID: user, Epoch: u.m[user].Epoch, At: at})
		}
	}
	return out
}

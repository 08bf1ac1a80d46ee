package auth

import (
	"cmp"
	"slices"
	"time"

	"phonebill/core/fault"
	"phonebill/core/id"
)

// SessionPolicy are the lifetimes of S-SESSION-IDLE, S-SESSION-IDLE-AUTO, S-SESSION-LIFE and S-DEVICES.
type SessionPolicy struct {
	Idle         time.Duration // without auto-login
	IdleAuto     time.Duration // with auto-login
	Refresh      time.Duration // absolute: the family ends, however busy
	RefreshGrace time.Duration // how long after its own rotation a refresh token is no theft but gets the newest pair
	Access       time.Duration // lifetime of an access token
	Devices      int           // live sessions per user; the oldest ends when one more begins
}

// DefaultSessions is 30 min idle, 24 h with auto-login, 24 h absolute, 10 s grace, 30 min access, 10 devices.
func DefaultSessions() SessionPolicy {
	return SessionPolicy{
		Idle: 30 * time.Minute, IdleAuto: 24 * time.Hour, Refresh: 24 * time.Hour,
		RefreshGrace: 10 * time.Second, Access: 30 * time.Minute, Devices: 10,
	}
}

// Session is one login on one device; its row in PostgreSQL is the truth (ADR 13).
type Session struct {
	ID         id.ID
	UserID     UserID
	AutoLogin  bool
	CreatedAt  time.Time
	LastSeenAt time.Time
	ExpiresAt  time.Time // absolute end
	Generation int       // of the current refresh token; starts at 1
	RotatedAt  time.Time // when Generation became valid, and the one before it was spent
	// generations before that one, oldest first, that were spent within the grace of the last rotation
	Spent     []Spent
	RevokedAt time.Time // zero while live
	EndReason EndReason // empty while live, and when the reason of the end is not known
	Client    Client
}

// Spent is a refresh token that was exchanged for its successor at At.
type Spent struct {
	Generation int
	At         time.Time
}

// NewSession begins a session at generation 1.
func (p SessionPolicy) NewSession(sid id.ID, user UserID, autoLogin bool, from Client, now time.Time) Session {
	return Session{
		ID: sid, UserID: user, AutoLogin: autoLogin, CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(p.Refresh),
		Generation: 1, RotatedAt: now, Client: from,
	}
}

// Live reports whether the session is neither revoked, nor over, nor idle at now.
func (p SessionPolicy) Live(s Session, now time.Time) bool {
	return s.RevokedAt.IsZero() && now.Before(s.ExpiresAt) && now.Before(s.LastSeenAt.Add(p.IdleOf(s)))
}

// IdleOf returns how long the session may go unused.
func (p SessionPolicy) IdleOf(s Session) time.Duration {
	if s.AutoLogin {
		return p.IdleAuto
	}
	return p.Idle
}

// Touch notes that a live session is in use; one that is over is never brought back (ADR 13).
func (p SessionPolicy) Touch(s Session, now time.Time) Session {
	if p.Live(s, now) && now.After(s.LastSeenAt) {
		s.LastSeenAt = now
	}
	return s
}

// Refresh is what presenting a refresh token comes to.
type Refresh uint8

// The outcomes of a refresh.
const (
	RefreshRefused Refresh = iota // session over: REFRESH_TOKEN_INVALID
	RefreshRotated                // one new generation
	RefreshReplay                 // the newest pair again, within the grace of the token's own rotation
	RefreshReused                 // theft: the family is revoked
)

// maxSpent bounds Session.Spent. While that many rotations are within the grace there is no further one: the current
// token gets its own pair once more, so that none of those before it is ever taken for theft within its grace.
const maxSpent = 32

// Present decides on a refresh token of the given generation and returns the session after it. Deciding by generation,
// not by time, leaves exactly one successor under any concurrency; the store serialises the calls. A token that was
// spent within the grace gets the newest pair: its own successor may be spent by now, and would look like theft later.
func (p SessionPolicy) Present(s Session, generation int, now time.Time) (Session, Refresh) {
	switch {
	case !p.Live(s, now) || generation < 1 || generation > s.Generation:
		return s, RefreshRefused
	case generation == s.Generation:
		return p.rotate(s, now)
	case now.Before(s.spentAt(generation).Add(p.RefreshGrace)):
		return s, RefreshReplay
	default:
		return s.Revoke(now), RefreshReused
	}
}

func (p SessionPolicy) rotate(s Session, now time.Time) (Session, Refresh) {
	var spent []Spent
	for _, x := range append(slices.Clone(s.Spent), Spent{s.Generation - 1, s.RotatedAt}) {
		if x.Generation > 0 && now.Before(x.At.Add(p.RefreshGrace)) {
			spent = append(spent, x)
		}
	}
	if len(spent) > maxSpent {
		return s, RefreshReplay
	}
	s.Generation++
	s.RotatedAt, s.LastSeenAt, s.Spent = now, now, spent
	return s, RefreshRotated
}

// spentAt returns when the generation was exchanged for the next one; the zero time when that is no longer known.
func (s Session) spentAt(generation int) time.Time {
	if generation == s.Generation-1 {
		return s.RotatedAt
	}
	for _, x := range s.Spent {
		if x.Generation == generation {
			return x.At
		}
	}
	return time.Time{}
}

// Revoke ends the session; a session that has ended stays ended at its first time.
func (s Session) Revoke(now time.Time) Session { return s.RevokeFor("", now) }

// RevokeFor ends the session for a reason; one that has ended keeps its first time and reason.
func (s Session) RevokeFor(why EndReason, now time.Time) Session {
	if s.RevokedAt.IsZero() {
		s.RevokedAt, s.EndReason = now, why
	}
	return s
}

// EndReason is the reason why a session is over; clients branch on it.
type EndReason string

// The reasons. EndedByRights is of a token: its session goes on, and a refresh gives a token with the current rights.
const (
	EndedByNewerDevice EndReason = "NEWER_DEVICE"   // the user logged in on more devices than may be
	EndedByLogout      EndReason = "LOGGED_OUT"     // its own user ended it with it
	EndedByRevocation  EndReason = "REVOKED"        // from another device, by staff, or with a change of the password
	EndedIdle          EndReason = "IDLE"           // unused for too long
	EndedByAge         EndReason = "EXPIRED"        // at its absolute end
	EndedByRights      EndReason = "RIGHTS_CHANGED" // the user's rights differ from the token's
)

// Over returns why the session does not live at now.
func (p SessionPolicy) Over(s Session, now time.Time) EndReason {
	switch {
	case !s.RevokedAt.IsZero():
		return cmp.Or(s.EndReason, EndedByRevocation)
	case !now.Before(s.ExpiresAt):
		return EndedByAge
	default:
		return EndedIdle
	}
}

// IdleEnd returns when the session ends if nothing asks with it any more.
func (p SessionPolicy) IdleEnd(s Session) time.Time {
	if idle := s.LastSeenAt.Add(p.IdleOf(s)); idle.Before(s.ExpiresAt) {
		return idle
	}
	return s.ExpiresAt
}

// TokenRevoked is TOKEN_REVOKED with the reason.
func TokenRevoked(why EndReason) error {
	return fault.New(fault.TokenRevoked).WithDetail("reason", string(cmp.Or(why, EndedByRevocation)))
}

package valkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// sessionTTL is how long an unused session stays cached (S-TTL-SESSION).
const sessionTTL = 30 * time.Minute

// sessionPlace is where the cached form, version 1, of a session is stored.
func sessionPlace(sid id.ID) sealing.Place {
	return sealing.Cached("session", sid.String(), "1").Formerly("cache:session")
}

type cachedSessions struct {
	next    ports.Sessions
	vault   ports.Vault
	entries entries[auth.Session]
}

// NewCachedSessions returns next with Get cached, sealed by the vault (a session holds where its user is). A change is
// followed by a drop, not by writing its result: two results could arrive in the wrong order, and bring a revoked
// session back.
func NewCachedSessions(c *Client, next ports.Sessions, vault ports.Vault, log *slog.Logger) ports.Sessions {
	return &cachedSessions{next: next, vault: vault, entries: entries[auth.Session]{
		client: c, kind: "session", ttl: sessionTTL, asOf: func(auth.Session) time.Time { return time.Time{} },
		seal: func(at sealing.Place, s auth.Session) ([]byte, error) { return sealSession(vault, at, s) },
		open: func(at sealing.Place, sealed []byte) (auth.Session, error) { return openSession(vault, at, sealed) }, log: log,
	}}
}

const sessionField = "s"

func (s *cachedSessions) key(sid id.ID) string {
	return s.entries.client.cfg.Namespace + ":session:v1:{" + sid.String() + "}"
}

func (s *cachedSessions) location(sid id.ID) location[auth.Session] {
	at := sessionPlace(sid)
	return location[auth.Session]{key: s.key(sid), field: sessionField, at: at, fits: func(held auth.Session) error {
		if held.ID == sid {
			return nil
		}
		return s.vault.Refuse(at, errMisplaced)
	}}
}

// Create stores in next alone; the first Get fetches it.
func (s *cachedSessions) Create(
	ctx context.Context, session auth.Session, policy auth.SessionPolicy,
) ([]auth.Revocation, error) {
	ended, err := s.next.Create(ctx, session, policy)
	s.forget(ctx, ended)
	return ended, err
}

// Live reads next: lists are rare.
func (s *cachedSessions) Live(
	ctx context.Context, user auth.UserID, policy auth.SessionPolicy, now time.Time,
) ([]auth.Session, error) {
	return s.next.Live(ctx, user, policy, now)
}

// EndAll ends them in next, then deletes the cached ones.
func (s *cachedSessions) EndAll(
	ctx context.Context, user auth.UserID, keep id.ID, now time.Time,
) ([]auth.Revocation, error) {
	ended, err := s.next.EndAll(ctx, user, keep, now)
	s.forget(ctx, ended)
	return ended, err
}

// Sweep deletes them in next alone: cached ones expire.
func (s *cachedSessions) Sweep(ctx context.Context, before time.Time, most int) (int, error) {
	return s.next.Sweep(ctx, before, most)
}

func (s *cachedSessions) forget(ctx context.Context, ended []auth.Revocation) {
	for _, r := range ended {
		s.entries.forget(ctx, s.key(r.SessionID))
	}
}

// Get reads the cache, and next on a miss.
func (s *cachedSessions) Get(ctx context.Context, sid id.ID) (auth.Session, error) {
	return s.entries.get(ctx, s.location(sid), origin[auth.Session]{
		value: func() (auth.Session, error) { return s.next.Get(ctx, sid) },
	})
}

// Change changes next, then deletes the cached session, also when it is not known whether next has changed it.
func (s *cachedSessions) Change(
	ctx context.Context, sid id.ID, decide func(auth.Session) auth.Session,
) (auth.Session, error) {
	after, err := s.next.Change(ctx, sid, decide)
	if !errors.Is(err, fault.New(fault.ResourceNotFound)) {
		s.entries.forget(ctx, s.key(sid))
	}
	return after, err
}

// sessionRow is the cached form, version 1 (the version is in the key). Times are in UTC; the zero time stays zero.
type sessionRow struct {
	ID         string    `json:"id"`
	UserID     string    `json:"user"`
	AutoLogin  bool      `json:"auto,omitempty"`
	CreatedAt  time.Time `json:"created"`
	LastSeenAt time.Time `json:"seen"`
	ExpiresAt  time.Time `json:"expires"`
	Generation int       `json:"generation"`
	RotatedAt  time.Time `json:"rotated"`
	RevokedAt  time.Time `json:"revoked,omitzero"`
	IP         string    `json:"ip,omitempty"`
	UserAgent  string    `json:"agent,omitempty"`
	EndReason  string    `json:"why,omitempty"` // absent in copies that the previous release made
	Spent      []spent   `json:"spent,omitempty"`
}

type spent struct {
	Generation int       `json:"generation"`
	At         time.Time `json:"at"`
}

func sealSession(vault ports.Vault, at sealing.Place, s auth.Session) ([]byte, error) {
	row := sessionRow{
		s.ID.String(), string(s.UserID), s.AutoLogin, s.CreatedAt.UTC(), s.LastSeenAt.UTC(), s.ExpiresAt.UTC(), s.Generation,
		s.RotatedAt.UTC(), s.RevokedAt.UTC(), s.Client.IP, s.Client.UserAgent, string(s.EndReason), nil,
	}
	for _, x := range s.Spent {
		row.Spent = append(row.Spent, spent{x.Generation, x.At.UTC()})
	}
	clear, err := json.Marshal(row)
	if err != nil {
		return nil, fmt.Errorf("valkey: session: %w", err)
	}
	return vault.Seal(at, clear)
}

func openSession(vault ports.Vault, at sealing.Place, sealed []byte) (auth.Session, error) {
	clear, err := vault.Open(at, sealed)
	if err != nil {
		return auth.Session{}, err
	}
	var r sessionRow
	if err := json.Unmarshal(clear, &r); err != nil {
		return auth.Session{}, fmt.Errorf("valkey: session: %w", err)
	}
	sid, err := id.Parse(r.ID)
	if err != nil {
		return auth.Session{}, fmt.Errorf("valkey: session: %w", err)
	}
	session := auth.Session{
		ID: sid, UserID: auth.UserID(r.UserID), AutoLogin: r.AutoLogin, CreatedAt: r.CreatedAt, LastSeenAt: r.LastSeenAt,
		ExpiresAt: r.ExpiresAt, Generation: r.Generation, RotatedAt: r.RotatedAt, RevokedAt: r.RevokedAt,
		EndReason: auth.EndReason(r.EndReason), Client: auth.Client{IP: r.IP, UserAgent: r.UserAgent},
	}
	for _, x := range r.Spent {
		session.Spent = append(session.Spent, auth.Spent{Generation: x.Generation, At: x.At})
	}
	return session, nil
}

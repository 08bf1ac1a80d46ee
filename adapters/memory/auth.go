// Package memory holds the fakes: one in-memory implementation of every driven port. They keep the ports' contracts
// (portstest proves it) and are what the verbs are tested on. All are safe for concurrent use; their zero value is
// ready. Begin with Users (auth.go).
package memory

import (
	"bytes"
	"cmp"
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/personal"
)

// Users implements ports.Users.
type Users struct {
	mu     sync.Mutex
	m      map[auth.UserID]auth.User
	folded map[auth.UserID]auth.UserID // folded id -> id; Create lets no two ids differ in case alone
	raised map[auth.UserID]time.Time   // when the epoch was last raised
}

// ByID returns the account, or USER_NOT_FOUND.
func (u *Users) ByID(_ context.Context, user auth.UserID) (auth.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	found, ok := u.m[user]
	if !ok {
		return auth.User{}, fault.New(fault.UserNotFound)
	}
	return own(found), nil
}

// ByLogin returns the account that a typed id means.
func (u *Users) ByLogin(ctx context.Context, typed auth.UserID) (auth.User, error) {
	u.mu.Lock()
	meant := u.folded[typed.Folded()]
	u.mu.Unlock()
	return u.ByID(ctx, meant)
}

// taken returns when the account was made whose id is that one in any case. The caller holds the lock.
func (u *Users) taken(user auth.UserID) (since time.Time, ok bool) {
	id, ok := u.folded[user.Folded()]
	return u.m[id].CreatedAt, ok
}

// Create stores a new account.
func (u *Users) Create(_ context.Context, user auth.User) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, taken := u.taken(user.UserID); taken {
		return fault.New(fault.StateConflict).WithField("userId", "이미 사용 중인 ID입니다")
	}
	if err := u.held(user.UserID, user.Lines); err != nil {
		return err
	}
	if u.m == nil {
		u.m, u.folded = map[auth.UserID]auth.User{}, map[auth.UserID]auth.UserID{}
	}
	u.folded[user.UserID.Folded()] = user.UserID
	user.Version, user.Epoch, user.LastLoginAt = 1, 0, time.Time{}
	u.m[user.UserID] = own(user)
	return nil
}

// Change applies decide under the lock.
func (u *Users) Change(
	_ context.Context, user auth.UserID, decide func(auth.User) (auth.User, error),
) (auth.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before, ok := u.m[user]
	if !ok {
		return auth.User{}, fault.New(fault.UserNotFound)
	}
	after, err := decide(own(before))
	if err != nil {
		return auth.User{}, err
	}
	if reflect.DeepEqual(after, before) {
		return own(before), nil
	}
	if after.StepsDown(before) && !u.otherAdmin(user) {
		return auth.User{}, auth.LastAdmin()
	}
	if err := u.held(user, after.Added(before)); err != nil {
		return auth.User{}, err
	}
	return own(u.store(after, before)), nil
}

// held returns LINE_HELD when another account holds one of the lines. The caller holds the lock.
func (u *Users) held(user auth.UserID, lines []line.Number) error {
	for _, n := range lines {
		for _, other := range u.m {
			if other.UserID != user && slices.Contains(other.Lines, n) {
				return auth.HeldLine(n)
			}
		}
	}
	return nil
}

// store replaces the account and notes when its epoch was raised. The caller holds the lock.
func (u *Users) store(after, before auth.User) auth.User {
	user := before.UserID
	u.m[user] = own(after.Changed(before))
	if u.m[user].Epoch != before.Epoch {
		if u.raised == nil {
			u.raised = map[auth.UserID]time.Time{}
		}
		u.raised[user] = time.Now().UTC()
	}
	return u.m[user]
}

func (u *Users) otherAdmin(user auth.UserID) bool {
	for _, x := range u.m {
		if x.UserID != user && x.ActiveAdmin() {
			return true
		}
	}
	return false
}

// own shares no slice with its argument, as a row read from a database does not.
func own(user auth.User) auth.User {
	user.Lines, user.Roles, user.Grants = slices.Clone(user.Lines), slices.Clone(user.Roles), slices.Clone(user.Grants)
	return user
}

// RecordLogin records the time of a login.
func (u *Users) RecordLogin(_ context.Context, user auth.UserID, at time.Time) error {
	u.edit(user, func(x *auth.User) { x.LastLoginAt = at })
	return nil
}

// Rehash replaces the password hash, if it is still the old one.
func (u *Users) Rehash(_ context.Context, user auth.UserID, old, hash personal.Secret) error {
	u.edit(user, func(x *auth.User) {
		if x.PasswordHash == old {
			x.PasswordHash = hash
		}
	})
	return nil
}

func (u *Users) edit(user auth.UserID, f func(*auth.User)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if x, ok := u.m[user]; ok {
		f(&x)
		u.m[user] = x
	}
}

// Sessions implements ports.Sessions.
type Sessions struct {
	mu    sync.Mutex
	m     map[id.ID]auth.Session
	noted map[id.ID]time.Time // when a session was found revoked
}

// Create stores a new session and ends the user's oldest beyond policy.Devices.
func (s *Sessions) Create(
	_ context.Context, session auth.Session, policy auth.SessionPolicy,
) ([]auth.Revocation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[id.ID]auth.Session{}
	}
	var ended []auth.Revocation
	live := s.live(session.UserID, policy, session.CreatedAt)
	for _, old := range live[min(len(live), max(0, policy.Devices-1)):] {
		s.m[old.ID] = old.RevokeFor(auth.EndedByNewerDevice, session.CreatedAt)
		s.note(s.m[old.ID])
		ended = append(ended, auth.Revocation{
			SessionID: old.ID, At: session.CreatedAt, Why: auth.EndedByNewerDevice,
		})
	}
	s.m[session.ID] = session
	return ended, nil
}

// Live returns the user's live sessions, newest first.
func (s *Sessions) Live(
	_ context.Context, user auth.UserID, policy auth.SessionPolicy, now time.Time,
) ([]auth.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live(user, policy, now), nil
}

func (s *Sessions) live(user auth.UserID, policy auth.SessionPolicy, now time.Time) []auth.Session {
	var live []auth.Session
	for _, x := range s.m {
		if x.UserID == user && policy.Live(x, now) {
			live = append(live, x)
		}
	}
	slices.SortFunc(live, func(a, b auth.Session) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), bytes.Compare(b.ID[:], a.ID[:]))
	})
	return live
}

// EndAll revokes every session of the user but the one kept.
func (s *Sessions) EndAll(_ context.Context, user auth.UserID, keep id.ID, now time.Time) ([]auth.Revocation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ended []auth.Revocation
	for sid, x := range s.m {
		if x.UserID == user && sid != keep && x.RevokedAt.IsZero() && now.Before(x.ExpiresAt) {
			s.m[sid] = x.Revoke(now)
			s.note(s.m[sid])
			ended = append(ended, auth.Revocation{SessionID: sid, At: now})
		}
	}
	return ended, nil
}

// Sweep deletes sessions that expired before then, the longest expired first.
func (s *Sessions) Sweep(_ context.Context, before time.Time, most int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var over []auth.Session
	for _, x := range s.m {
		if x.ExpiresAt.Before(before) {
			over = append(over, x)
		}
	}
	slices.SortFunc(over, func(a, b auth.Session) int { return a.ExpiresAt.Compare(b.ExpiresAt) })
	over = over[:min(len(over), most)]
	for _, x := range over {
		delete(s.m, x.ID)
		delete(s.noted, x.ID)
	}
	return len(over), nil
}

// Get returns the session, or NOT_FOUND.
func (s *Sessions) Get(_ context.Context, sid id.ID) (auth.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return found(s.m, sid)
}

// Change applies decide under the lock.
func (s *Sessions) Change(_ context.Context, sid id.ID, decide func(auth.Session) auth.Session) (auth.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := found(s.m, sid)
	if err != nil {
		return auth.Session{}, err
	}
	s.m[sid] = decide(old)
	s.note(s.m[sid])
	return s.m[sid], nil
}

// LoginHistory implements ports.LoginHistory.
type LoginHistory struct {
	mu     sync.Mutex
	events []auth.LoginEvent
}

// Append stores one event.
func (h *LoginHistory) Append(_ context.Context, e auth.LoginEvent) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
	return nil
}

// Events returns a copy of everything appended, oldest first.
func (h *LoginHistory) Events() []auth.LoginEvent {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// SigningKeys implements ports.SigningKeys.
type SigningKeys struct {
	mu   sync.Mutex
	keys []auth.SigningKey
}

// List returns all keys, newest first.
func (k *SigningKeys) List(context.Context) ([]auth.SigningKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.keys), nil
}

// AddFirst stores the key unless there is any.
func (k *SigningKeys) AddFirst(_ context.Context, key auth.SigningKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) == 0 {
		k.keys = append(k.keys, begun(key))
	}
	return nil
}

// AddNext stores the key if newest is still the first.
func (k *SigningKeys) AddNext(_ context.Context, key auth.SigningKey, newest string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) == 0 && newest != "" || len(k.keys) > 0 && k.keys[0].KeyID != newest {
		return fault.New(fault.StateConflict)
	}
	k.keys = append(k.keys, begun(key))
	slices.SortFunc(k.keys, auth.NewestKeyFirst)
	return nil
}

// begun returns the key as it comes back: one without a beginning signs since it was made.
func begun(key auth.SigningKey) auth.SigningKey {
	if key.ActiveAt.IsZero() {
		key.ActiveAt = key.CreatedAt
	}
	return key
}

// Retire refuses the key from at on.
func (k *SigningKeys) Retire(_ context.Context, kid string, at time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.keys {
		if k.keys[i].KeyID != kid {
			continue
		}
		if k.keys[i].RetiredAt.IsZero() {
			k.keys[i].RetiredAt = at
		}
		return nil
	}
	return fault.New(fault.ResourceNotFound)
}

// found returns the entry, or NOT_FOUND.
func found[K comparable, V any](m map[K]V, key K) (V, error) {
	v, ok := m[key]
	if !ok {
		return v, fault.New(fault.ResourceNotFound)
	}
	return v, nil
}

package portstest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/ports"
)

// Users is the suite of ports.Users.
func Users(t *testing.T, open func(t *testing.T) ports.Users) {
	t.Helper()
	t.Run("an account comes back as it was put", func(t *testing.T) {
		t.Parallel()
		users, want := open(t), Owner()
		_, err := users.ByID(t.Context(), want.UserID)
		requireFault(t, fault.UserNotFound, err)
		require.NoError(t, users.Create(t.Context(), want))
		got, err := users.ByID(t.Context(), want.UserID)
		require.NoError(t, err)
		require.Equal(t, want, got)
		_, err = users.ByID(t.Context(), "HONG1234")
		requireFault(t, fault.UserNotFound, err)
	})
	t.Run("an id is one account whatever its case", func(t *testing.T) {
		t.Parallel()
		users, want := open(t), Owner()
		_, err := users.ByLogin(t.Context(), want.UserID)
		requireFault(t, fault.UserNotFound, err)
		require.NoError(t, users.Create(t.Context(), want))
		for _, typed := range []auth.UserID{"hong1234", "Hong1234", "HONG1234"} {
			got, err := users.ByLogin(t.Context(), typed)
			require.NoError(t, err)
			require.Equal(t, want, got)
			other := auth.User{UserID: typed, Status: auth.Active, CreatedAt: start}
			err = users.Create(t.Context(), other)
			requireFault(t, fault.StateConflict, err)
			require.Equal(t, "userId", fault.From(err).Fields()[0].Name)
		}
		for _, typed := range []auth.UserID{"hong123", "hong_234", "h%"} {
			_, err = users.ByLogin(t.Context(), typed)
			requireFault(t, fault.UserNotFound, err)
		}
		_, err = users.Change(t.Context(), want.UserID,
			func(u auth.User) (auth.User, error) {
				u.Status = auth.Inactive
				return u, nil
			})
		require.NoError(t, err)
		got, err := users.ByLogin(t.Context(), "HONG1234")
		require.NoError(t, err)
		require.Equal(t, want.UserID, got.UserID)
	})
	t.Run("of many spellings of one id created at once one is stored", func(t *testing.T) {
		t.Parallel()
		users := open(t)
		var all sync.WaitGroup
		var stored, refused atomic.Int64
		for n := range 8 {
			spelled := []byte("kimkim")
			for bit := range 3 {
				if n>>bit&1 == 1 {
					spelled[bit] -= 'a' - 'A'
				}
			}
			all.Go(func() {
				switch err := users.Create(t.Context(), auth.User{UserID: auth.UserID(spelled), Status: auth.Active,
					CreatedAt: start}); {
				case err == nil:
					stored.Add(1)
				case errors.Is(err, fault.New(fault.StateConflict)):
					refused.Add(1)
				default:
					t.Errorf("create: %v", err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, stored.Load())
		require.EqualValues(t, 7, refused.Load())
	})
	t.Run("a tier is kept and changed", func(t *testing.T) {
		t.Parallel()
		users, want := open(t), Owner()
		require.NoError(t, users.Create(t.Context(), want))
		for _, tier := range []auth.Tier{"", auth.TierMVNOAP} {
			changed, err := users.Change(t.Context(), want.UserID, func(u auth.User) (auth.User, error) {
				u.Tier = tier
				return u, nil
			})
			require.NoError(t, err)
			require.Equal(t, tier, changed.Tier)
			got, err := users.ByID(t.Context(), want.UserID)
			require.NoError(t, err)
			require.Equal(t, tier, got.Tier)
		}
	})
	t.Run("staff own no line and need no phone", func(t *testing.T) {
		t.Parallel()
		users, want := open(t), auth.User{
			UserID: "admin", Roles: []auth.Role{auth.Admin, auth.Operator}, Status: auth.Suspended, CreatedAt: start, Version: 1,
		}
		require.NoError(t, users.Create(t.Context(), want))
		got, err := users.ByID(t.Context(), want.UserID)
		require.NoError(t, err)
		require.ElementsMatch(t, want.Roles, got.Roles)
		got.Roles = want.Roles
		require.Equal(t, want, got)
	})
	t.Run("of two administrators stepping down at once one stays", func(t *testing.T) {
		t.Parallel()
		const tries = 10
		users := open(t)
		for n, u := range []auth.User{
			{UserID: "boss1", Roles: []auth.Role{auth.Admin}, Status: auth.Active},
			{UserID: "boss2", Roles: []auth.Role{auth.Admin}, Status: auth.Active},
			{UserID: "boss3", Roles: []auth.Role{auth.Admin}, Status: auth.Suspended},
			{UserID: "oper1", Roles: []auth.Role{auth.Operator}, Status: auth.Active},
		} {
			u.CreatedAt = after(n)
			require.NoError(t, users.Create(t.Context(), u))
		}
		steps := []func(auth.User) (auth.User, error){
			func(u auth.User) (auth.User, error) { u.Status = auth.Suspended; return u, nil },
			func(u auth.User) (auth.User, error) { u.Roles = []auth.Role{auth.Operator}; return u, nil },
		}
		for range tries {
			var all, ready sync.WaitGroup
			var refused atomic.Int64
			ready.Add(len(steps))
			for n, user := range []auth.UserID{"boss1", "boss2"} {
				all.Go(func() {
					_, err := users.ByID(t.Context(), user) // a connection for each, so that they truly meet
					noError(t, err)
					ready.Done()
					ready.Wait()
					_, err = users.Change(t.Context(), user, steps[n])
					if errors.Is(err, auth.LastAdmin()) {
						refused.Add(1)
						return
					}
					noError(t, err)
				})
			}
			all.Wait()
			require.Equal(t, int64(1), refused.Load())
			for _, user := range []auth.UserID{"boss1", "boss2"} {
				_, err := users.Change(t.Context(), user, func(u auth.User) (auth.User, error) {
					u.Status, u.Roles = auth.Active, []auth.Role{auth.Admin}
					return u, nil
				})
				require.NoError(t, err)
			}
		}
	})
	t.Run("an id is taken once", func(t *testing.T) {
		t.Parallel()
		users := open(t)
		var created, refused atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				switch err := users.Create(t.Context(), Owner()); {
				case err == nil:
					created.Add(1)
				case errors.Is(err, fault.New(fault.StateConflict)):
					refused.Add(1)
				default:
					t.Errorf("unexpected error: %v", err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, created.Load())
		require.EqualValues(t, 7, refused.Load())
	})
	t.Run("a change stores what was decided, one version on, and one epoch on when rights changed", func(t *testing.T) {
		t.Parallel()
		users, user := open(t), Owner()
		require.NoError(t, users.Create(t.Context(), user))
		require.NoError(t, users.RecordLogin(t.Context(), user.UserID, after(5)))
		user.LastLoginAt = after(5)
		change := func(f func(*auth.User)) {
			t.Helper()
			f(&user)
			got, err := users.Change(t.Context(), user.UserID, func(u auth.User) (auth.User, error) { f(&u); return u, nil })
			require.NoError(t, err)
			require.Equal(t, user, got)
			got, err = users.ByID(t.Context(), user.UserID)
			require.NoError(t, err)
			require.Equal(t, user, got)
		}
		change(func(u *auth.User) { u.PasswordHash = personal.NewSecret("$argon2id$two"); user.Version = 2 })
		change(func(u *auth.User) {
			u.Status, u.Name, u.Lines, u.Roles = auth.Inactive, personal.NewName("홍길순"), []line.Number{Line(3)},
				[]auth.Role{auth.Operator}
			u.Grants = []auth.Grant{{Permission: auth.Operations, GrantedBy: "admin", GrantedAt: after(1)}}
			u.Phone, u.Email, u.CustomerID = Line(3), personal.NewEmail("other@example.com"), "C-0003"
			user.Version, user.Epoch = 3, 1
		})
		change(func(*auth.User) {}) // nothing changed: no new version
	})
	t.Run("a refused change stores nothing, and makes no account", func(t *testing.T) {
		t.Parallel()
		users, user := open(t), Owner()
		require.NoError(t, users.Create(t.Context(), user))
		refusal := fault.New(fault.StateConflict)
		_, err := users.Change(t.Context(), user.UserID, func(u auth.User) (auth.User, error) {
			u.Status, u.Roles[0] = auth.Suspended, auth.Admin
			return u, refusal
		})
		requireFault(t, fault.StateConflict, err)
		got, err := users.ByID(t.Context(), user.UserID)
		require.NoError(t, err)
		require.Equal(t, user, got)
		_, err = users.Change(t.Context(), "unknown1", func(u auth.User) (auth.User, error) { return u, nil })
		requireFault(t, fault.UserNotFound, err)
	})
	t.Run("the order of lines is kept: the first is the default", func(t *testing.T) {
		t.Parallel()
		users, user := open(t), Owner()
		user.Lines = nil
		for n := 12; n > 0; n-- {
			user.Lines = append(user.Lines, Line(n))
		}
		require.NoError(t, users.Create(t.Context(), user))
		got, err := users.ByID(t.Context(), user.UserID)
		require.NoError(t, err)
		require.Equal(t, user.Lines, got.Lines)
	})
	t.Run("login time and hash change alone, and make no account", func(t *testing.T) {
		t.Parallel()
		users, user := open(t), Owner()
		require.NoError(t, users.Create(t.Context(), user))
		require.NoError(t, users.RecordLogin(t.Context(), user.UserID, after(1)))
		require.NoError(t, users.Rehash(t.Context(), user.UserID, user.PasswordHash, personal.NewSecret("new")))
		got, err := users.ByID(t.Context(), user.UserID)
		require.NoError(t, err)
		user.LastLoginAt, user.PasswordHash = after(1), personal.NewSecret("new")
		require.Equal(t, user, got)
		require.NoError(t, users.Rehash(t.Context(), user.UserID, personal.NewSecret("before a change"),
			personal.NewSecret("old")))
		got, err = users.ByID(t.Context(), user.UserID)
		require.NoError(t, err)
		require.Equal(t, user, got, "a late rehash does not undo a change of password")
		require.NoError(t, users.RecordLogin(t.Context(), "unknown1", after(1)))
		require.NoError(t, users.Rehash(t.Context(), "unknown1", personal.NewSecret(""), personal.NewSecret("x")))
		_, err = users.ByID(t.Context(), "unknown1")
		requireFault(t, fault.UserNotFound, err)
	})
	t.Run("a returned account is the caller's own copy", func(t *testing.T) {
		t.Parallel()
		users, user := open(t), Owner()
		require.NoError(t, users.Create(t.Context(), user))
		user.Lines[0] = Line(9)
		got, err := users.ByID(t.Context(), user.UserID)
		require.NoError(t, err)
		got.Roles[0], got.Grants[0] = auth.Admin, auth.Grant{Permission: auth.UserAdmin}
		got, err = users.ByID(t.Context(), user.UserID)
		require.NoError(t, err)
		require.Equal(t, Owner(), got)
	})
	t.Run("of many changes at once none is lost", func(t *testing.T) {
		t.Parallel()
		users, user := open(t), Owner()
		user.CustomerID = ""
		require.NoError(t, users.Create(t.Context(), user))
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				_, err := users.Change(t.Context(), user.UserID, func(u auth.User) (auth.User, error) {
					u.CustomerID += "x"
					return u, nil
				})
				noError(t, err)
			})
		}
		all.Wait()
		got, err := users.ByID(t.Context(), user.UserID)
		require.NoError(t, err)
		require.Equal(t, strings.Repeat("x", 16), got.CustomerID)
		require.Equal(t, 17, got.Version)
		require.Equal(t, 16, got.Epoch)
	})
}

// noError is require.NoError for goroutines, which must not end the test themselves.
func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("unexpected error: %v", err)
	}
}

func session(n int) auth.Session {
	from := auth.Client{IP: "203.0.113.9", UserAgent: "앱/1.0"}
	return auth.DefaultSessions().NewSession(numbered(n), Owner().UserID, n%2 == 0, from, start)
}

func begin(t *testing.T, sessions ports.Sessions, s auth.Session) []auth.Revocation {
	t.Helper()
	ended, err := sessions.Create(t.Context(), s, auth.DefaultSessions())
	require.NoError(t, err)
	return ended
}

// Sessions is the suite of ports.Sessions. The store knows the account Owner.
func Sessions(t *testing.T, open func(t *testing.T) ports.Sessions) {
	t.Helper()
	t.Run("a session comes back as it was created", func(t *testing.T) {
		t.Parallel()
		sessions := open(t)
		_, err := sessions.Get(t.Context(), numbered(1))
		requireFault(t, fault.ResourceNotFound, err)
		for n := 1; n <= 2; n++ {
			begin(t, sessions, session(n))
		}
		for n := 1; n <= 2; n++ {
			got, err := sessions.Get(t.Context(), numbered(n))
			require.NoError(t, err)
			require.Equal(t, session(n), got)
		}
	})
	t.Run("change stores and returns what was decided, and Get sees it at once", func(t *testing.T) {
		t.Parallel()
		sessions, want := open(t), session(1)
		begin(t, sessions, want)
		_, err := sessions.Get(t.Context(), want.ID) // a copy may be cached now
		require.NoError(t, err)
		want.Generation, want.RotatedAt, want.LastSeenAt, want.RevokedAt = 4, after(1), after(2), after(3)
		want.Spent = []auth.Spent{{Generation: 1, At: after(0)}, {Generation: 2, At: after(1)}}
		got, err := sessions.Change(t.Context(), want.ID, func(auth.Session) auth.Session { return want })
		require.NoError(t, err)
		require.Equal(t, want, got)
		got, err = sessions.Get(t.Context(), want.ID)
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
	t.Run("a decision may leave things as they are", func(t *testing.T) {
		t.Parallel()
		sessions, want := open(t), session(1)
		begin(t, sessions, want)
		got, err := sessions.Change(t.Context(), want.ID, func(s auth.Session) auth.Session { return s })
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
	t.Run("there is nothing to change in an unknown session", func(t *testing.T) {
		t.Parallel()
		_, err := open(t).Change(t.Context(), numbered(7), func(s auth.Session) auth.Session {
			t.Error("decided on nothing")
			return s
		})
		requireFault(t, fault.ResourceNotFound, err)
	})
	t.Run("of many changes at once none is lost", func(t *testing.T) {
		t.Parallel()
		sessions := open(t)
		begin(t, sessions, session(1))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 25 {
					_, err := sessions.Change(t.Context(), numbered(1), func(s auth.Session) auth.Session {
						s.Generation++
						return s
					})
					noError(t, err)
				}
			})
		}
		all.Wait()
		got, err := sessions.Get(t.Context(), numbered(1))
		require.NoError(t, err)
		require.Equal(t, 1+8*25, got.Generation)
	})
	t.Run("one more device than allowed ends the oldest", func(t *testing.T) {
		t.Parallel()
		sessions, policy := open(t), auth.DefaultSessions()
		nth := func(n int) auth.Session {
			return policy.NewSession(numbered(n), Owner().UserID, true, auth.Client{}, after(n))
		}
		for n := 1; n <= policy.Devices; n++ {
			require.Empty(t, begin(t, sessions, nth(n)))
		}
		_, err := sessions.Change(t.Context(), numbered(2), func(s auth.Session) auth.Session { return s.Revoke(after(50)) })
		require.NoError(t, err)
		require.Empty(t, begin(t, sessions, nth(51)), "an ended one does not count")
		_, err = sessions.Get(t.Context(), numbered(1)) // a copy may be cached now
		require.NoError(t, err)
		require.Equal(t, []auth.Revocation{{SessionID: numbered(1), At: after(52), Why: auth.EndedByNewerDevice}},
			begin(t, sessions, nth(52)))
		got, err := sessions.Get(t.Context(), numbered(1))
		require.NoError(t, err)
		require.Equal(t, after(52), got.RevokedAt)
		require.Equal(t, auth.EndedByNewerDevice, got.EndReason)
		live, err := sessions.Live(t.Context(), Owner().UserID, policy, after(53))
		require.NoError(t, err)
		require.Len(t, live, policy.Devices)
		require.Equal(t, nth(52), live[0], "newest first")
		live, err = sessions.Live(t.Context(), Owner().UserID, policy, after(51).Add(policy.IdleAuto))
		require.NoError(t, err)
		require.Equal(t, []auth.Session{nth(52)}, live, "idle ones are not live")
		live, err = sessions.Live(t.Context(), "unknown1", policy, after(53))
		require.NoError(t, err)
		require.Empty(t, live)
	})
	t.Run("parallel logins never leave more live than allowed", func(t *testing.T) {
		t.Parallel()
		sessions, policy := open(t), auth.DefaultSessions()
		var all sync.WaitGroup
		for n := range 30 {
			all.Go(func() {
				_, err := sessions.Create(t.Context(), policy.NewSession(numbered(n), Owner().UserID, true, auth.Client{},
					after(n)), policy)
				noError(t, err)
			})
		}
		all.Wait()
		live, err := sessions.Live(t.Context(), Owner().UserID, policy, after(31))
		require.NoError(t, err)
		require.Len(t, live, policy.Devices)
	})
	t.Run("end all but one", func(t *testing.T) {
		t.Parallel()
		sessions := open(t)
		for n := 1; n <= 4; n++ {
			begin(t, sessions, session(n))
			_, err := sessions.Get(t.Context(), numbered(n)) // a copy may be cached now
			require.NoError(t, err)
		}
		ended, err := sessions.EndAll(t.Context(), Owner().UserID, numbered(3), after(1))
		require.NoError(t, err)
		require.ElementsMatch(t, []auth.Revocation{
			{SessionID: numbered(1), At: after(1)}, {SessionID: numbered(2), At: after(1)},
			{SessionID: numbered(4), At: after(1)},
		}, ended)
		for n := 1; n <= 4; n++ {
			got, err := sessions.Get(t.Context(), numbered(n))
			require.NoError(t, err)
			require.Equal(t, n == 3, got.RevokedAt.IsZero(), n)
		}
		ended, err = sessions.EndAll(t.Context(), Owner().UserID, id.ID{}, after(2))
		require.NoError(t, err)
		require.Equal(t, []auth.Revocation{{SessionID: numbered(3), At: after(2)}}, ended, "each ends once")
	})
	t.Run("end all ends none that is over", func(t *testing.T) {
		t.Parallel()
		sessions := open(t)
		over := session(1)
		over.ExpiresAt = after(5)
		begin(t, sessions, over)
		begin(t, sessions, session(2))
		ended, err := sessions.EndAll(t.Context(), Owner().UserID, id.ID{}, after(5))
		require.NoError(t, err)
		require.Equal(t, []auth.Revocation{{SessionID: numbered(2), At: after(5)}}, ended)
	})
	t.Run("a sweep deletes what expired long ago, the oldest first and a few at a time", func(t *testing.T) {
		t.Parallel()
		sessions := open(t)
		first := session(1)
		first.ExpiresAt = after(9)
		begin(t, sessions, first)
		for n := 2; n <= 4; n++ {
			s := session(n)
			s.ExpiresAt = after(10 - n)
			begin(t, sessions, s)
		}
		for _, want := range []struct{ swept, remaining int }{{2, 2}, {1, 1}, {0, 1}} {
			swept, err := sessions.Sweep(t.Context(), after(9), 2)
			require.NoError(t, err)
			require.Equal(t, want.swept, swept)
			live, err := sessions.Live(t.Context(), Owner().UserID, auth.DefaultSessions(), start)
			require.NoError(t, err)
			require.Len(t, live, want.remaining)
			require.Contains(t, live, first)
		}
	})
	t.Run("100 parallel refreshes of one token have one successor", func(t *testing.T) {
		t.Parallel()
		sessions, policy := open(t), auth.DefaultSessions()
		begin(t, sessions, session(1))
		var rotated, replayed atomic.Int64
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				var verdict auth.Refresh
				_, err := sessions.Change(t.Context(), numbered(1), func(s auth.Session) (next auth.Session) {
					next, verdict = policy.Present(s, 1, after(1))
					return next
				})
				noError(t, err)
				switch verdict {
				case auth.RefreshRotated:
					rotated.Add(1)
				case auth.RefreshReplay:
					replayed.Add(1)
				case auth.RefreshRefused, auth.RefreshReused:
					t.Errorf("refresh came to %d", verdict)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, rotated.Load())
		require.EqualValues(t, 99, replayed.Load())
		got, err := sessions.Get(t.Context(), numbered(1))
		require.NoError(t, err)
		require.Equal(t, 2, got.Generation)
	})
}

// LoginHistory is the suite of ports.LoginHistory. count returns how many events are stored.
func LoginHistory(t *testing.T, open func(t *testing.T) (history ports.LoginHistory, count func() int)) {
	t.Helper()
	t.Run("every event is kept", func(t *testing.T) {
		t.Parallel()
		history, count := open(t)
		kinds := []auth.LoginEventType{auth.EventLogin, auth.EventAutoLogin, auth.EventLogout, auth.EventLocked,
			auth.EventRefreshReused}
		var all sync.WaitGroup
		for n := range 40 {
			all.Go(func() {
				e := auth.LoginEvent{
					ID: numbered(n), UserID: auth.UserID(fmt.Sprintf("user%d", n)), Known: n%2 == 0, Type: kinds[n%len(kinds)],
					Success: n%3 == 0, Client: auth.Client{IP: "203.0.113.9", UserAgent: "앱"}, At: after(n),
				}
				if !e.Success {
					e.Reason = string(fault.WrongCredentials)
				}
				noError(t, history.Append(t.Context(), e))
			})
		}
		all.Wait()
		require.Equal(t, 40, count())
	})
}

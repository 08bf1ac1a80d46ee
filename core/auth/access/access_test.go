package access_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/fault"
	"phonebill/core/id"
)

var errBackend = errors.New("backend is in trouble")

// feed is a store whose clock is hours off ours.
type feed struct {
	feed   auth.Feed
	since  []time.Time
	broken error
}

func (f *feed) Since(_ context.Context, t time.Time) (auth.Feed, error) {
	f.since = append(f.since, t)
	return f.feed, f.broken
}

type accepted struct {
	kids   [][]string
	broken error
}

func (a *accepted) Accept(_ context.Context, kids []string) error {
	a.kids = append(a.kids, kids)
	return a.broken
}

type sessions struct {
	memory.Sessions
	broken  error
	changes int
}

func (s *sessions) Get(ctx context.Context, sid id.ID) (auth.Session, error) {
	if s.broken != nil {
		return auth.Session{}, s.broken
	}
	return s.Sessions.Get(ctx, sid)
}

func (s *sessions) Change(
	ctx context.Context, sid id.ID, decide func(auth.Session) auth.Session,
) (auth.Session, error) {
	s.changes++
	if s.broken != nil {
		return auth.Session{}, s.broken
	}
	return s.Sessions.Change(ctx, sid, decide)
}

type world struct {
	access.Guard
	tokens   memory.AccessTokens
	feed     feed
	keys     accepted
	sessions sessions
	now      time.Time
	token    string
}

var sid = id.ID{1}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	policy := auth.DefaultSessions()
	w.Guard = access.Guard{
		Verifier: &w.tokens, Revoked: access.NewRevoked(&w.feed, &w.keys, clock, 30*time.Minute), Now: clock,
		Live: &access.Live{Sessions: &w.sessions, Policy: policy, Now: clock},
	}
	_, err := w.sessions.Create(t.Context(), policy.NewSession(sid, "hong", false, auth.Client{}, w.now), policy)
	require.NoError(t, err)
	token, err := w.tokens.Issue(t.Context(), auth.Principal{
		UserID: "hong", SessionID: sid, Permissions: []auth.Permission{auth.BillInquiry}, Epoch: 3,
		ExpiresAt: w.now.Add(30 * time.Minute),
	}, w.now)
	require.NoError(t, err)
	w.token = token.Reveal()
	w.feed.feed.AsOf = dbNoon
	require.NoError(t, w.Revoked.Pull(t.Context()))
	return w
}

// dbNoon is the feed's time when ours is 03:00.
var dbNoon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func (w *world) revoke() {
	w.Revoked.Push(context.Background(), auth.Revocation{SessionID: sid, At: w.now})
}

// duty makes the token one of an owner that must change the password first.
func duty(w *world) {
	token, err := w.tokens.Issue(context.Background(), auth.Principal{
		UserID: "hong", SessionID: sid, Permissions: []auth.Permission{auth.BillInquiry}, Epoch: 3,
		ExpiresAt: w.now.Add(30 * time.Minute),
		Duties:    []auth.Duty{auth.ChangePassword},
	}, w.now)
	if err != nil {
		panic(err)
	}
	w.token = token.Reveal()
}

func TestAnOperationThatIsForADutyIsOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	duty(w)
	p, err := w.Admit(t.Context(), w.token, "", auth.ChangePassword)
	require.NoError(t, err)
	require.Equal(t, auth.UserID("hong"), p.UserID)
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(*world)
		token   string // empty = the good one
		need    auth.Permission
		want    fault.Code
	}{
		"good":                   {nil, "", auth.BillInquiry, ""},
		"no permission needed":   {nil, "", "", ""},
		"none":                   {func(w *world) { w.token = "" }, "", "", fault.Unauthorized},
		"nonsense":               {nil, "nonsense", "", fault.TokenInvalid},
		"without the permission": {nil, "", auth.ProductChange, fault.PermissionDenied},
		"initial password":       {duty, "", "", fault.PasswordChangeRequired},
		"initial, no permission": {duty, "", auth.ProductChange, fault.PasswordChangeRequired},
		"expired":                {func(w *world) { w.now = w.now.Add(30 * time.Minute) }, "", "", fault.TokenExpired},
		"revoked here":           {(*world).revoke, "", "", fault.TokenRevoked},
		"revoked and forbidden":  {(*world).revoke, "", auth.UserAdmin, fault.TokenRevoked},
		"rights changed": {func(w *world) {
			w.Revoked.Push(context.Background(), auth.Revocation{UserID: "hong", Epoch: 4})
		}, "", "", fault.TokenRevoked},
		"rights changed before": {func(w *world) {
			w.Revoked.Push(context.Background(), auth.Revocation{UserID: "hong", Epoch: 3})
		}, "", "", ""},
		"another's rights changed": {func(w *world) {
			w.Revoked.Push(context.Background(), auth.Revocation{UserID: "kim", Epoch: 9})
		}, "", "", ""},
		"revocations unknown": {func(w *world) {
			w.Revoked = access.NewRevoked(&w.feed, nil, w.Now, time.Hour)
		}, "", "", fault.ServiceUnavailable},
		"no token, revocations unknown": {func(w *world) {
			w.Revoked, w.token = access.NewRevoked(&w.feed, nil, w.Now, time.Hour), ""
		}, "", "", fault.Unauthorized},
		"session ended": {func(w *world) {
			_, _ = w.sessions.Change(context.Background(), sid, func(s auth.Session) auth.Session { return s.Revoke(w.now) })
		}, "", "", fault.TokenRevoked},
		"session unknown":     {func(w *world) { w.sessions.Sessions = memory.Sessions{} }, "", "", fault.TokenRevoked},
		"store in trouble":    {func(w *world) { w.sessions.broken = errBackend }, "", "", ""},
		"elsewhere, no store": {func(w *world) { w.Live = nil; w.sessions.broken = errBackend }, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.prepare != nil {
				c.prepare(w)
			}
			if c.token != "" {
				w.token = c.token
			}
			p, err := w.Admit(t.Context(), w.token, c.need)
			if c.want == "" {
				require.NoError(t, err)
				require.Equal(t, auth.UserID("hong"), p.UserID)
				return
			}
			require.ErrorIs(t, err, fault.New(c.want))
			if c.want == fault.PermissionDenied {
				require.Equal(t, auth.UserID("hong"), p.UserID, "the log names the denied caller")
				return
			}
			require.Zero(t, p, "a refusal names no caller")
		})
	}
}

func TestAnIdleSessionIsOverAndABusyOneIsTouchedOnceAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 60 { // 29.5 minutes, a request each half minute
		w.now = w.now.Add(29500 * time.Millisecond)
		_, err := w.Admit(t.Context(), w.token, "")
		require.NoError(t, err)
	}
	require.Equal(t, 20, w.sessions.changes)
	require.NoError(t, w.Live.Check(t.Context(), sid))
	w.now = w.now.Add(30 * time.Minute)
	require.ErrorIs(t, w.Live.Check(t.Context(), sid), fault.New(fault.TokenRevoked))
}

type users struct{ memory.Users }

type guesses struct {
	memory.Guesses
	broken error
}

func (g *guesses) Peek(ctx context.Context, s auth.Subject) (auth.Attempts, error) {
	a, _ := g.Guesses.Peek(ctx, s)
	return a, g.broken
}

func TestAccountAndPermissions(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	u, g := &users{}, &guesses{}
	s := &access.Service{Users: u, Guesses: g, Now: func() time.Time { return now }}
	require.NoError(t, u.Create(t.Context(), auth.User{UserID: "hong", Status: auth.Active, Grants: []auth.Grant{
		{Permission: auth.BillInquiry}, {Permission: auth.ProductChange, ExpiresAt: now},
	}}))
	require.NoError(t, u.Create(t.Context(), auth.User{UserID: "gone", Status: auth.Suspended}))
	account, status, err := s.Account(t.Context(), "hong")
	require.NoError(t, err)
	require.Equal(t, auth.UserID("hong"), account.UserID)
	require.Equal(t, auth.Active, status)
	for range 5 {
		for _, user := range []auth.UserID{"hong", "gone"} {
			guess, err := g.Take(t.Context(), auth.Subject{UserID: user}, now)
			require.NoError(t, err)
			_, err = g.Fail(t.Context(), auth.Subject{UserID: user}, guess, now)
			require.NoError(t, err)
		}
	}
	_, status, err = s.Account(t.Context(), "hong")
	require.NoError(t, err)
	require.Equal(t, auth.LockedOut, status)
	_, status, err = s.Account(t.Context(), "gone")
	require.NoError(t, err)
	require.Equal(t, auth.Suspended, status, "the graver state is shown")
	held, err := s.Permissions(t.Context(), "hong")
	require.NoError(t, err)
	require.Equal(t, []auth.Permission{auth.BillInquiry}, held)
	_, err = s.Permissions(t.Context(), "unknown1")
	require.ErrorIs(t, err, fault.New(fault.UserNotFound))
	_, _, err = s.Account(t.Context(), "unknown1")
	require.ErrorIs(t, err, fault.New(fault.UserNotFound))
	g.broken = errBackend
	_, _, err = s.Account(t.Context(), "hong")
	require.ErrorIs(t, err, errBackend)
}

package login_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/login"
	"phonebill/core/auth/verify"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/core/throttle"
)

var errBackend = errors.New("backend is in trouble")

// hasher counts how often it is asked and fails on demand.
type hasher struct {
	memory.Hasher
	matches int
	broken  error
}

func (h *hasher) Matches(ctx context.Context, hash, password personal.Secret) (bool, bool, error) {
	h.matches++
	if h.broken != nil {
		return false, false, h.broken
	}
	return h.Hasher.Matches(ctx, hash, password)
}

type users struct {
	memory.Users
	broken error
	forget auth.UserID // an id without a second factor
}

func (u *users) ByID(ctx context.Context, user auth.UserID) (auth.User, error) {
	if u.broken != nil {
		return auth.User{}, u.broken
	}
	found, err := u.Users.ByID(ctx, user)
	found.SecondFactor = found.SecondFactor && user != u.forget
	return found, err
}

func (u *users) ByLogin(ctx context.Context, typed auth.UserID) (auth.User, error) {
	found, err := u.Users.ByLogin(ctx, typed)
	if err != nil && u.broken == nil {
		return found, err
	}
	return u.ByID(ctx, found.UserID)
}

// clashing has one account more, of before ids were one account whatever their case.
type clashing struct {
	*users
	twin auth.User
}

func (c clashing) ByID(ctx context.Context, user auth.UserID) (auth.User, error) {
	if user == c.twin.UserID {
		return c.twin, nil
	}
	return c.users.ByID(ctx, user)
}

func (c clashing) ByLogin(ctx context.Context, typed auth.UserID) (auth.User, error) {
	if typed == c.twin.UserID {
		return c.twin, nil
	}
	return c.users.ByLogin(ctx, typed)
}

type sessions struct {
	memory.Sessions
	broken error
}

func (s *sessions) Create(
	ctx context.Context, session auth.Session, policy auth.SessionPolicy,
) ([]auth.Revocation, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	return s.Sessions.Create(ctx, session, policy)
}

func (s *sessions) Change(
	ctx context.Context, sid id.ID, decide func(auth.Session) auth.Session,
) (auth.Session, error) {
	if s.broken != nil {
		return auth.Session{}, s.broken
	}
	return s.Sessions.Change(ctx, sid, decide)
}

type history struct {
	memory.LoginHistory
	broken error
}

func (h *history) Append(ctx context.Context, e auth.LoginEvent) error {
	if h.broken != nil || ctx.Err() != nil {
		return errors.Join(h.broken, ctx.Err())
	}
	return h.LoginHistory.Append(ctx, e)
}

type access struct {
	memory.AccessTokens
	broken error
}

func (a *access) Issue(ctx context.Context, p auth.Principal, now time.Time) (personal.Secret, error) {
	if a.broken != nil {
		return personal.Secret{}, a.broken
	}
	return a.AccessTokens.Issue(ctx, p, now)
}

type guesses struct {
	memory.Guesses
	broken error
}

func (g *guesses) Take(ctx context.Context, s auth.Subject, now time.Time) (auth.Guess, error) {
	if g.broken != nil {
		return auth.Guess{}, g.broken
	}
	return g.Guesses.Take(ctx, s, now)
}

type world struct {
	*login.Service
	users    *users
	guesses  *guesses
	sessions *sessions
	history  *history
	hasher   *hasher
	access   *access
	now      time.Time
	ended    memory.RevocationPush
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		users: &users{}, guesses: &guesses{}, sessions: &sessions{}, history: &history{}, access: &access{},
		hasher: &hasher{Hasher: memory.Hasher{Version: "v2"}}, now: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC),
	}
	clock := func() time.Time { return w.now }
	w.Service = &login.Service{
		Users: w.users, Guesses: &verify.Limiter{Guesses: w.guesses, Now: clock}, Sessions: w.sessions, History: w.history,
		Credentials: memory.Credentials{Hasher: w.hasher}, Devices: memory.Devices{}, Throttle: &memory.Throttle{},
		Rate:   throttle.Logins(600),
		Turns:  verify.NewHashQueue(50),
		Access: w.access, Refresh: memory.RefreshTokens{}, Push: &w.ended,
		Policy: auth.DefaultSessions(), Now: clock, NewID: func() id.ID { return id.ID(uuid.Must(uuid.NewV7())) },
	}
	n, err := line.Parse("01012345678")
	require.NoError(t, err)
	w.put(t, auth.User{
		UserID: "hong", PasswordHash: personal.NewSecret("v2$right-password"), CustomerID: "C1", Lines: []line.Number{n},
		Roles: []auth.Role{auth.Customer}, Grants: []auth.Grant{{Permission: auth.BillInquiry}}, Status: auth.Active,
	})
	return w
}

func (w *world) put(t *testing.T, u auth.User) {
	t.Helper()
	require.NoError(t, w.users.Create(t.Context(), u))
}

var client = auth.Client{IP: "192.0.2.7", UserAgent: "phone"}

func (w *world) try(t *testing.T, user auth.UserID, password string) (login.Tokens, error) {
	t.Helper()
	return w.Login(t.Context(), login.Request{UserID: user, Password: personal.NewSecret(password), From: client})
}

func (w *world) lastEvent(t *testing.T) auth.LoginEvent {
	t.Helper()
	events := w.history.Events()
	require.NotEmpty(t, events)
	e := events[len(events)-1]
	require.False(t, e.ID.IsZero())
	require.Equal(t, client, e.Client)
	require.Equal(t, w.now, e.At)
	return e
}

func TestLoginReturnsAndRecordsTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.try(t, "hong", "right-password")
	require.NoError(t, err)
	require.Equal(t, 30*time.Minute, got.ExpiresIn)
	require.Equal(t, auth.UserID("hong"), got.User.UserID)
	require.Equal(t, []auth.Permission{auth.BillInquiry}, got.Principal.Permissions)
	require.Equal(t, w.now.Add(30*time.Minute), got.Principal.ExpiresAt)
	p, err := w.access.Verify(t.Context(), got.Access.Reveal(), w.now)
	require.NoError(t, err)
	require.Equal(t, got.Principal, p)
	session, err := w.sessions.Get(t.Context(), p.SessionID)
	require.NoError(t, err)
	require.Equal(t, client, session.Client)
	u, err := w.users.ByID(t.Context(), "hong")
	require.NoError(t, err)
	require.Equal(t, w.now, u.LastLoginAt)
	e := w.lastEvent(t)
	require.Equal(t, auth.EventLogin, e.Type)
	require.True(t, e.Success)
	require.True(t, e.Known)
	require.Empty(t, e.Reason)
}

func TestAutoLoginIsRecordedAndLivesLonger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.Login(t.Context(), login.Request{
		UserID: "hong", Password: personal.NewSecret("right-password"), AutoLogin: true, From: client,
	})
	require.NoError(t, err)
	require.Equal(t, auth.EventAutoLogin, w.lastEvent(t).Type)
	w.now = w.now.Add(23*time.Hour + 50*time.Minute)
	renewed, err := w.Renew(t.Context(), got.Refresh, client)
	require.NoError(t, err)
	require.Equal(t, 10*time.Minute, renewed.ExpiresIn, "an access token does not outlive its session")
	w.now = w.now.Add(10 * time.Minute)
	_, err = w.Renew(t.Context(), renewed.Refresh, client)
	require.ErrorIs(t, err, fault.New(fault.RefreshTokenInvalid))
}

func TestWrongFiveTimesLocksAndTheCounterSurvives(t *testing.T) {
	t.Parallel()
	for _, user := range []auth.UserID{"hong", "unknown1"} {
		t.Run(string(user), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			known := user == "hong"
			for range 4 {
				_, err := w.try(t, user, "wrong-password")
				require.ErrorIs(t, err, fault.New(fault.WrongCredentials))
				require.Equal(t, auth.LoginEvent{
					ID: w.lastEvent(t).ID, UserID: user, Known: known, Type: auth.EventLogin, Reason: "AUTH_001", Client: client,
					At: w.now,
				}, w.lastEvent(t))
			}
			_, err := w.try(t, user, "wrong-password")
			require.ErrorIs(t, err, fault.New(fault.LockedNow))
			require.Equal(t, auth.EventLocked, w.lastEvent(t).Type)
			require.Equal(t, 5, w.hasher.matches, "an unknown id costs the same work")
			_, err = w.try(t, user, "right-password")
			require.ErrorIs(t, err, fault.New(fault.Locked))
			require.Equal(t, 5, w.hasher.matches, "locked: the password is not looked at")
			require.Equal(t, "AUTH_003", w.lastEvent(t).Reason)
			require.Equal(t, known, w.lastEvent(t).Known)
			require.Len(t, w.history.Events(), 6)

			w.now = w.now.Add(30 * time.Minute)
			_, err = w.try(t, user, "right-password")
			if known {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, fault.New(fault.WrongCredentials))
			}
		})
	}
}

func TestSuccessResetsTheCounter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		for range 4 {
			_, err := w.try(t, "hong", "wrong-password")
			require.ErrorIs(t, err, fault.New(fault.WrongCredentials))
		}
		_, err := w.try(t, "hong", "right-password")
		require.NoError(t, err, "the fifth guess may be right")
	}
}

func TestParallelGuessesCheckFivePasswordsAtMost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	codes := map[fault.Code]int{}
	w.Credentials = memory.Credentials{Hasher: &memory.Hasher{Version: "v2"}} // counts nothing, so needs no lock
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, err := w.Login(context.Background(), login.Request{UserID: "hong", Password: personal.NewSecret("wrong"),
				From: client})
			mu.Lock()
			defer mu.Unlock()
			codes[fault.From(err).Code()]++
		})
	}
	wg.Wait()
	require.Equal(t, map[fault.Code]int{fault.WrongCredentials: 4, fault.LockedNow: 1, fault.Locked: 45}, codes)
	require.Len(t, w.history.Events(), 50)
}

func TestAnAccountThatIsNotActiveIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(t, auth.User{UserID: "kim", PasswordHash: personal.NewSecret("v2$right-password"), Status: auth.Suspended})
	_, err := w.try(t, "kim", "right-password")
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
	require.Equal(t, "FORBIDDEN", w.lastEvent(t).Reason)
	_, err = w.try(t, "kim", "wrong-password")
	require.ErrorIs(t, err, fault.New(fault.WrongCredentials), "the state is shown only after the right password")
}

func TestAFailureIsNoLoginAndIsRecorded(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]struct {
		do   func(*world)
		rows int
	}{
		"users":    {func(w *world) { w.users.broken = errBackend }, 1},
		"guesses":  {func(w *world) { w.guesses.broken = errBackend }, 1},
		"hasher":   {func(w *world) { w.hasher.broken = errBackend }, 1},
		"sessions": {func(w *world) { w.sessions.broken = errBackend }, 1},
		"history":  {func(w *world) { w.history.broken = errBackend }, 0},
		"issuer":   {func(w *world) { w.access.broken = errBackend }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			breaks.do(w)
			got, err := w.try(t, "hong", "right-password")
			require.ErrorIs(t, err, errBackend)
			require.Zero(t, got)
			require.Len(t, w.history.Events(), breaks.rows)
		})
	}
}

func TestAGuessIsRecordedWhenTheClientHangsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.Login(ctx, login.Request{UserID: "hong", Password: personal.NewSecret("wrong-password"), From: client})
	require.ErrorIs(t, err, fault.New(fault.WrongCredentials))
	require.Len(t, w.history.Events(), 1)
}

func TestRenewRotatesReplaysAndRevokes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, err := w.try(t, "hong", "right-password")
	require.NoError(t, err)
	second, err := w.Renew(t.Context(), first.Refresh, client)
	require.NoError(t, err)
	require.NotEqual(t, first.Refresh, second.Refresh)
	require.NotEqual(t, first.Access, second.Access)
	w.now = w.now.Add(9 * time.Second)
	again, err := w.Renew(t.Context(), first.Refresh, client)
	require.NoError(t, err)
	require.Equal(t, second.Refresh, again.Refresh, "the same successor within the grace")
	w.now = w.now.Add(time.Second)
	_, err = w.Renew(t.Context(), first.Refresh, client)
	require.ErrorIs(t, err, fault.New(fault.RefreshTokenReused))
	require.Equal(t, []auth.Revocation{{SessionID: first.Principal.SessionID, At: w.now}}, w.ended.Pushed())
	e := w.lastEvent(t)
	require.Equal(t, auth.EventRefreshReused, e.Type)
	require.False(t, e.Success)
	require.Equal(t, "REFRESH_TOKEN_REUSED", e.Reason)
	_, err = w.Renew(t.Context(), second.Refresh, client)
	require.ErrorIs(t, err, fault.New(fault.RefreshTokenInvalid), "the family is dead")
	require.Len(t, w.history.Events(), 2)
}

func TestParallelRenewsHaveOneSuccessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, err := w.try(t, "hong", "right-password")
	require.NoError(t, err)
	var mu sync.Mutex
	successors := map[string]int{}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			got, err := w.Renew(context.Background(), first.Refresh, client)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				successors[got.Refresh.Reveal()]++
			}
		})
	}
	wg.Wait()
	require.Equal(t, map[string]int{w.Refresh.Make(first.Principal.SessionID, 2).Reveal(): 100}, successors)
}

func TestRenewRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.try(t, "hong", "right-password")
	require.NoError(t, err)
	for _, token := range []string{
		"", "nonsense", got.Access.Reveal(), w.Refresh.Make(id.ID{9}, 1).Reveal(),
		w.Refresh.Make(got.Principal.SessionID, 2).Reveal(),
	} {
		_, err := w.Renew(t.Context(), personal.NewSecret(token), client)
		require.ErrorIs(t, err, fault.New(fault.RefreshTokenInvalid), token)
	}
	w.access.broken = errBackend
	_, err = w.Renew(t.Context(), got.Refresh, client)
	require.ErrorIs(t, err, errBackend)
	w.access.broken, w.users.broken = nil, errBackend
	_, err = w.Renew(t.Context(), got.Refresh, client)
	require.ErrorIs(t, err, errBackend)
	w.users.broken = fault.New(fault.UserNotFound)
	_, err = w.Renew(t.Context(), got.Refresh, client)
	require.ErrorIs(t, err, fault.New(fault.RefreshTokenInvalid), "an account that was removed")
	w.users.broken, w.sessions.broken = nil, errBackend
	_, err = w.Renew(t.Context(), got.Refresh, client)
	require.ErrorIs(t, err, errBackend)
	w.sessions.broken = nil
	_, err = w.users.Change(t.Context(), "hong", func(u auth.User) (auth.User, error) {
		u.Status = auth.Inactive
		return u,
			nil
	})
	require.NoError(t, err)
	_, err = w.Renew(t.Context(), got.Refresh, client)
	require.ErrorIs(t, err, fault.New(fault.RefreshTokenInvalid), "an account that is no longer active")
	w.now = w.now.Add(31 * time.Minute)
	_, err = w.Renew(t.Context(), w.Refresh.Make(got.Principal.SessionID, 2), client)
	require.ErrorIs(t, err, fault.New(fault.RefreshTokenInvalid), "idle")
	require.Equal(t, "IDLE", fault.From(err).Details()["reason"])
}

func TestLogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.try(t, "hong", "right-password")
	require.NoError(t, err)
	at := w.now
	require.NoError(t, w.Logout(t.Context(), got.Principal.SessionID, client))
	require.Equal(t, auth.EventLogout, w.lastEvent(t).Type)
	require.True(t, w.lastEvent(t).Success)
	w.now = w.now.Add(time.Second)
	require.NoError(t, w.Logout(t.Context(), got.Principal.SessionID, client), "twice is no error")
	ended := auth.Revocation{SessionID: got.Principal.SessionID, At: at, Why: auth.EndedByLogout}
	require.Equal(t, []auth.Revocation{ended, ended}, w.ended.Pushed())
	_, err = w.Renew(t.Context(), got.Refresh, client)
	require.ErrorIs(t, err, fault.New(fault.RefreshTokenInvalid))
	require.Equal(t, "LOGGED_OUT", fault.From(err).Details()["reason"])
	require.ErrorIs(t, w.Logout(t.Context(), id.ID{9}, client), fault.New(fault.ResourceNotFound))
}

// Overload and failures are no guesses: however many there are, they lock no owner out (ADR 16).
func TestAFailureIsNoGuess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hasher.broken = fault.New(fault.ServiceUnavailable)
	for range 12 {
		_, err := w.Login(t.Context(), login.Request{UserID: "hong", Password: personal.NewSecret("right-password")})
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	}
	w.hasher.broken = nil
	_, err := w.Login(t.Context(), login.Request{UserID: "hong", Password: personal.NewSecret("right-password")})
	require.NoError(t, err)
}

// TestTokensCarryTheSessionsEnd: a refresh moves the idle end, and never beyond the absolute one.
func TestTokensCarryTheSessionsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.try(t, "hong", "right-password")
	require.NoError(t, err)
	begun := w.now
	require.Equal(t, []time.Time{begun.Add(w.Policy.Refresh), begun.Add(w.Policy.Idle)},
		[]time.Time{got.SessionEnds, got.IdleEnds})
	w.now = w.now.Add(time.Minute)
	got, err = w.Renew(t.Context(), got.Refresh, client)
	require.NoError(t, err)
	require.Equal(t, []time.Time{begun.Add(w.Policy.Refresh), w.now.Add(w.Policy.Idle)},
		[]time.Time{got.SessionEnds, got.IdleEnds})
}

// TestTheCaseOfAnIDMakesNoDifference: a phone capitalises the first letter. One counter, one account, its own spelling
// in history and tokens.
func TestTheCaseOfAnIDMakesNoDifference(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.try(t, "Hong", "right-password")
	require.NoError(t, err)
	require.Equal(t, auth.UserID("hong"), got.Principal.UserID)
	require.Equal(t, auth.UserID("hong"), w.lastEvent(t).UserID)
	for _, typed := range []auth.UserID{"hong", "Hong", "HONG", "hONG"} {
		_, err = w.try(t, typed, "wrong-password")
		require.ErrorIs(t, err, fault.New(fault.WrongCredentials))
	}
	_, err = w.try(t, "hOng", "wrong-password")
	require.ErrorIs(t, err, fault.New(fault.LockedNow), "five guesses, however the id is spelled")
	_, err = w.from(t, "HONG", "right-password", got.Device.Value)
	require.NoError(t, err, "a known device is known under any spelling")
}

// TestClashingIDsHaveACounterEach: the owner of one cannot clear the failures of the other by logging in, so that its
// password can be guessed without end, and the unlock of one does not unlock the other.
func TestClashingIDsHaveACounterEach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Users = clashing{w.users, auth.User{UserID: "HONG", PasswordHash: personal.NewSecret("v2$another-password"),
		Status: auth.Active}}
	for range 4 {
		_, err := w.try(t, "HONG", "wrong-password")
		require.ErrorIs(t, err, fault.New(fault.WrongCredentials))
	}
	_, err := w.try(t, "hong", "right-password")
	require.NoError(t, err)
	_, err = w.try(t, "HONG", "wrong-password")
	require.ErrorIs(t, err, fault.New(fault.LockedNow))
	require.NoError(t, w.guesses.Clear(t.Context(), "hong"))
	_, err = w.try(t, "HONG", "another-password")
	require.ErrorIs(t, err, fault.New(fault.Locked))
	_, err = w.try(t, "hong", "right-password")
	require.NoError(t, err, "the other is not locked")
}

// moved means another account by an id at every look, as when one of two that clash is set INACTIVE.
type moved struct {
	clashing
	looks *int
}

func (m moved) ByLogin(ctx context.Context, typed auth.UserID) (auth.User, error) {
	if *m.looks++; *m.looks%2 == 0 {
		return m.twin, nil
	}
	return m.clashing.ByLogin(ctx, typed)
}

// TestAnIDThatNowMeansAnotherAccountIsNotJudged: its guess would count for the wrong account.
func TestAnIDThatNowMeansAnotherAccountIsNotJudged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Users = moved{clashing{w.users, auth.User{UserID: "HONG", Status: auth.Active}}, new(int)}
	_, err := w.try(t, "hong", "wrong-password")
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	require.Zero(t, w.hasher.matches)
	attempts, err := w.guesses.Peek(t.Context(), auth.Subject{UserID: "hong"})
	require.NoError(t, err)
	require.Zero(t, attempts)
}

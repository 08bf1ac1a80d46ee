package admin_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/auth/keys"
	"phonebill/core/auth/selfservice"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/personal"
)

var (
	now      = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	errStore = errors.New("store is in trouble")
)

const why = "고객 요청"

// log breaks after so many rows; 0 = never.
type log struct {
	*memory.AuditLog
	breakAfter, rows int
}

func (l *log) Append(ctx context.Context, e audit.Entry) error {
	if l.rows++; l.breakAfter > 0 && l.rows > l.breakAfter {
		return errStore
	}
	return l.AuditLog.Append(ctx, e)
}

type sessions struct {
	memory.Sessions
	broken bool
}

func (s *sessions) EndAll(ctx context.Context, user auth.UserID, keep id.ID, at time.Time) ([]auth.Revocation, error) {
	if s.broken {
		return nil, errStore
	}
	return s.Sessions.EndAll(ctx, user, keep, at)
}

type guesses struct {
	memory.Guesses
	broken bool
}

func (g *guesses) Clear(ctx context.Context, user auth.UserID) error {
	if g.broken {
		return errStore
	}
	return g.Guesses.Clear(ctx, user)
}

type factors struct {
	memory.SecondFactors
	broken bool
}

func (f *factors) Begin(ctx context.Context, user auth.UserID, t auth.TOTP) error {
	if f.broken {
		return errStore
	}
	return f.SecondFactors.Begin(ctx, user, t)
}

type world struct {
	*admin.Service
	users    memory.Users
	accounts memory.Accounts
	guesses  guesses
	sessions sessions
	history  memory.LoginHistory
	factors  factors
	trail    memory.AuditTrail
	log      log
	push     memory.RevocationPush
	hasher   memory.Hasher
	reported []error
	keys     memory.SigningKeys
	made     int
	services memory.ServiceKeys
	alerts   memory.Alerts
	moves    memory.LineTransfers
	searches memory.ExactSearches
}

func number(t *testing.T, s string) line.Number {
	t.Helper()
	n, err := line.Parse(s)
	require.NoError(t, err)
	return n
}

var (
	boss = admin.Caller{UserID: "boss", Name: "boss", Roles: []auth.Role{auth.Admin},
		From: auth.Client{IP: "203.0.113.9"}}
	operator = admin.Caller{UserID: "ops", Name: "ops", Roles: []auth.Role{auth.Operator}}
	customer = admin.Caller{UserID: "eve", Name: "eve", Roles: []auth.Role{auth.Customer}}
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	w.accounts.Users, w.accounts.Guesses, w.factors.Users = &w.users, &w.guesses.Guesses, &w.users
	w.moves.Users = &w.users
	w.log.AuditLog = w.trail.Log(id.ID{1})
	clock, ids := func() time.Time { return now }, 0
	newID := func() id.ID { ids++; return id.ID{15: byte(ids)} }
	w.Service = &admin.Service{
		Users: &w.users, Accounts: &w.accounts, Guesses: &w.guesses, Sessions: &w.sessions, History: &w.history,
		Records: &w.history, Hasher: &w.hasher, Audit: &w.log, Push: &w.push, Alerts: &w.alerts, Transfers: &w.moves,
		Searches: &w.searches, SearchesPerHour: 30,
		LineIndex: func(n line.Number) string { return "index-" + n.Digits()[7:] },
		Report:    func(_ context.Context, err error) { w.reported = append(w.reported, err) },
		Factors: &selfservice.SecondFactors{
			Users: &w.users, Factors: &w.factors, Codes: &memory.OneTimeCodes{}, History: &w.history, Push: &w.push,
			Now: clock, NewID: newID,
		},
		CheckPassword: func(field string, _ auth.UserID, p personal.Secret) error {
			if p.Reveal() == "short" {
				return fault.InvalidField(field, "짧습니다")
			}
			return nil
		},
		Keys: &keys.SigningKeys{
			Keys: &w.keys, Schedule: auth.DefaultKeys(), Now: clock,
			Make: func() auth.SigningKey { w.made++; return auth.SigningKey{KeyID: "key-" + strconv.Itoa(w.made)} },
		},
		Services: &w.services, Policy: auth.DefaultSessions(), Now: clock, NewID: newID,
	}
	require.NoError(t, w.users.Create(t.Context(), auth.User{
		UserID: "hong", Name: personal.NewName("홍길동"), Roles: []auth.Role{auth.Customer},
		Lines: []line.Number{number(t, "01012345678")}, Status: auth.Active, CreatedAt: now, CustomerID: "C-1",
		Grants: []auth.Grant{{Permission: auth.BillInquiry}},
	}))
	require.NoError(t, w.users.Create(t.Context(), auth.User{UserID: "boss", Roles: []auth.Role{auth.Admin},
		Status: auth.Active}))
	require.NoError(t, w.factors.SecondFactors.Begin(t.Context(), "boss", auth.TOTP{}))
	require.NoError(t, w.factors.Confirm(t.Context(), "boss", auth.TOTP{ConfirmedAt: now}, nil))
	return w
}

func (w *world) begin(t *testing.T, n byte) id.ID {
	t.Helper()
	s := w.Policy.NewSession(id.ID{n}, "hong", false, auth.Client{}, now)
	_, err := w.sessions.Create(t.Context(), s, w.Policy)
	require.NoError(t, err)
	return s.ID
}

// rows returns the audit log's rows as "ACTION subject OUTCOME".
func (w *world) rows() []string {
	var out []string
	for _, e := range w.trail.Entries() {
		out = append(out, strings.TrimSpace(e.Action+" "+e.Subject)+" "+string(e.Outcome))
	}
	return out
}

// call is one operation, for tests about all of them.
type call struct {
	action  string
	changes bool
	do      func(w *world, by admin.Caller, reason string) error
}

func calls(ctx context.Context) []call {
	suspended := auth.Suspended
	return []call{
		{"USERS_SEARCHED", false, func(w *world, by admin.Caller, _ string) error {
			_, _, err := w.Search(ctx, by, auth.AccountFilter{UserID: "hong", Page: 1, Size: 1})
			return err
		}},
		{"USER_SHOWN", false, func(w *world, by admin.Caller, _ string) error {
			_,
				err := w.Show(ctx, by, "hong")
			return err
		}},
		{"USER_REVEALED", false, func(w *world, by admin.Caller, reason string) error {
			_, err := w.Reveal(ctx, by, "hong", reason)
			return err
		}},
		{"LOGIN_HISTORY_SHOWN", false, func(w *world, by admin.Caller, _ string) error {
			_, _, err := w.LoginHistory(ctx, by, "hong", 1, 10)
			return err
		}},
		{"SESSIONS_SHOWN", false, func(w *world, by admin.Caller, _ string) error {
			_,
				err := w.ListSessions(ctx, by, "hong")
			return err
		}},
		{"USER_CREATED", true, func(w *world, by admin.Caller, reason string) error {
			_, err := w.Create(ctx, by, admin.New{UserID: "hong", Roles: []auth.Role{auth.Customer}, Reason: reason})
			if errors.Is(err, fault.New(fault.StateConflict)) {
				return nil // it is there
			}
			return err
		}},
		{"USER_CHANGED", true, func(w *world, by admin.Caller, reason string) error {
			_, err := w.Update(ctx, by, "hong", admin.Update{Status: &suspended, Version: 1, Reason: reason})
			return err
		}},
		{"USER_UNLOCKED", true, func(w *world, by admin.Caller, reason string) error {
			_, err := w.Unlock(ctx, by, "hong", reason)
			return err
		}},
		{"PERMISSION_GRANTED", true, func(w *world, by admin.Caller, reason string) error {
			_, err := w.Grant(ctx, by, "hong", auth.ProductChange, time.Time{}, reason)
			return err
		}},
		{"PERMISSION_REVOKED", true, func(w *world, by admin.Caller, reason string) error {
			_, err := w.Revoke(ctx, by, "hong", auth.BillInquiry, reason)
			return err
		}},
		{"SESSIONS_ENDED", true, func(w *world, by admin.Caller, reason string) error {
			_, err := w.EndSessions(ctx, by, "hong", reason)
			return err
		}},
	}
}

func TestEveryCallIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	for _, c := range calls(t.Context()) {
		w := newWorld(t)
		require.NoError(t, c.do(w, boss, why), c.action)
		rows := w.trail.Entries()
		last := rows[len(rows)-1]
		require.Equal(t, []string{c.action, "hong", "boss", "203.0.113.9"},
			[]string{last.Action, last.Subject, last.Actor, last.IP})
		require.Equal(t, now, last.At)
		if c.action != "USER_CREATED" {
			require.Equal(t, audit.Done, last.Outcome, c.action)
		}
		if c.changes {
			require.Len(t, rows, 2, c.action)
			require.Equal(t, audit.Intended, rows[0].Outcome)
			require.Equal(t, why, rows[0].Reason)
			require.Contains(t, rows[0].Detail, `"call":"00000000-0000-0000-0000-000000000001"`)
			require.Contains(t, rows[1].Detail, `"call":"00000000-0000-0000-0000-000000000001"`, "the two carry one number")
		} else {
			require.Len(t, rows, 1, c.action)
		}

		w = newWorld(t)
		require.ErrorIs(t, c.do(w, customer, why), fault.New(fault.PermissionDenied), c.action)
		require.Equal(t, []string{c.action + " hong FORBIDDEN"}, w.rows(), "refusals too")
		if c.changes || c.action == "USER_REVEALED" {
			w = newWorld(t)
			require.ErrorIs(t, c.do(w, boss, "x"), fault.New(fault.ValidationError), c.action)
			require.Equal(t, []string{c.action + " hong VALIDATION_ERROR"}, w.rows())
		}
	}
}

// TestNothingIsDoneOrShownWithoutARow: when the audit log fails nothing changes and nothing is returned.
func TestNothingIsDoneOrShownWithoutARow(t *testing.T) {
	t.Parallel()
	for _, c := range calls(t.Context()) {
		w := newWorld(t)
		w.log.rows, w.log.breakAfter = 1, 1
		before, err := w.users.ByID(t.Context(), "hong")
		require.NoError(t, err)
		w.begin(t, 1)
		require.ErrorIs(t, c.do(w, boss, why), errStore, c.action)
		after, err := w.users.ByID(t.Context(), "hong")
		require.NoError(t, err)
		require.Equal(t, before, after, c.action)
		live, err := w.sessions.Live(t.Context(), "hong", w.Policy, now)
		require.NoError(t, err)
		require.Len(t, live, 1, c.action)
		require.Empty(t, w.history.Events(), c.action)

		w = newWorld(t)
		w.log.breakAfter = 1
		require.NoError(t, c.do(w, boss, why), c.action)
		if c.changes {
			require.Equal(t, []error{errStore}, w.reported, "the intent is on record, that its outcome is not is reported")
		}
	}
}

func TestAChangeIsEffectiveAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sid := w.begin(t, 1)
	a, err := w.Grant(t.Context(), boss, "hong", auth.ProductChange, now.Add(time.Hour), why)
	require.NoError(t, err)
	require.Equal(t, 1, a.Epoch)
	g, _ := a.GrantOf(auth.ProductChange)
	require.Equal(t, auth.Grant{Permission: auth.ProductChange, ExpiresAt: now.Add(time.Hour), GrantedBy: "boss",
		GrantedAt: now}, g)
	require.Equal(t, []auth.Revocation{{UserID: "hong", Epoch: 1, At: now}}, w.push.Pushed(), "tokens of epoch 0 die")
	_, err = w.Grant(t.Context(), boss, "hong", auth.ProductChange, now.Add(time.Hour), why)
	require.NoError(t, err)
	require.Len(t, w.push.Pushed(), 1, "nothing changed")

	status := auth.Inactive
	lines := []line.Number{number(t, "01087654321")}
	a, err = w.Update(t.Context(), boss, "hong", admin.Update{Status: &status, Lines: &lines, Version: a.Version,
		Reason: why})
	require.NoError(t, err)
	require.Equal(t, lines, a.Lines)
	require.Equal(t, []auth.Revocation{{UserID: "hong", Epoch: 2, At: now}, {SessionID: sid, At: now}},
		w.push.Pushed()[1:],
		"an account that is not active has no session")
	detail := w.trail.Entries()[len(w.rows())-1].Detail
	require.Contains(t, detail, `"after":{"lines":[{"line":"010-****-4321","index":"index-4321"}],`+
		`"permissions":["BILL_INQUIRY","PRODUCT_CHANGE"],`+
		`"roles":["CUSTOMER"],"status":"INACTIVE","tier":"DEFAULT"}`)
	require.Contains(t, detail, `"before":{"lines":[{"line":"010-****-5678","index":"index-5678"}],`+
		`"permissions":["BILL_INQUIRY","PRODUCT_CHANGE"],`+
		`"roles":["CUSTOMER"],"status":"ACTIVE","tier":"DEFAULT"}`)
	_, err = w.Update(t.Context(), boss, "hong", admin.Update{Status: &status, Version: a.Version - 1, Reason: why})
	require.ErrorIs(t, err, fault.New(fault.StateConflict))
	require.Equal(t, "STALE_VERSION", fault.From(err).Details()["reason"])

	w.sessions.broken = true
	_, err = w.Update(t.Context(), boss, "hong", admin.Update{Status: &status, Version: a.Version, Reason: why})
	require.ErrorIs(t, err, errStore, "it can be tried again: the sessions are ended although nothing changes")
	require.Equal(t, "USER_CHANGED hong INTERNAL_SERVER_ERROR", w.rows()[len(w.rows())-1])
	require.Contains(t, w.trail.Entries()[len(w.rows())-1].Detail, `"stored":3`)
}

func TestCreateACustomer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := admin.New{
		UserID: "kim", Password: personal.NewSecret("long enough"), Name: personal.NewName("김철수"),
		Roles: []auth.Role{auth.Customer}, Lines: []line.Number{number(t, "01087654321")},
		Grants: []auth.Permission{auth.BillInquiry, auth.BillInquiry}, Reason: why,
	}
	made, err := w.Create(t.Context(), operator, n)
	require.NoError(t, err)
	require.Nil(t, made.Enrolment)
	require.Equal(t, auth.Active, made.Status)
	require.Equal(t, []auth.Grant{{Permission: auth.BillInquiry, GrantedBy: "ops", GrantedAt: now}}, made.Grants)
	ok, _, err := w.hasher.Matches(t.Context(), made.PasswordHash, n.Password)
	require.NoError(t, err)
	require.True(t, ok)
	for _, e := range w.trail.Entries() {
		for _, clear := range []string{"01087654321", "김철수", "long enough"} {
			require.NotContains(t, e.Detail, clear)
		}
	}
	_, err = w.Create(t.Context(), operator, n)
	require.ErrorIs(t, err, fault.New(fault.StateConflict))
	n.UserID, n.Password = "lee", personal.NewSecret("short")
	_, err = w.Create(t.Context(), operator, n)
	require.ErrorIs(t, err, fault.New(fault.ValidationError))
	n.Password, n.Roles = personal.NewSecret("long enough"), []auth.Role{auth.Admin}
	_, err = w.Create(t.Context(), operator, n)
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied), "only an ADMIN makes staff")
	_, err = w.users.ByID(t.Context(), "lee")
	require.ErrorIs(t, err, fault.New(fault.UserNotFound))
}

func TestStaffAreNeverActiveWithoutASecondFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := admin.New{UserID: "newop", Password: personal.NewSecret("long enough"), Roles: []auth.Role{auth.Operator},
		Reason: why}
	made, err := w.Create(t.Context(), admin.CommandLine("root"), n)
	require.NoError(t, err)
	require.True(t, made.SecondFactor)
	require.Equal(t, auth.Active, made.Status)
	require.Contains(t, made.Enrolment.URI.Reveal(), "otpauth://totp/newop")
	require.Len(t, made.Enrolment.RecoveryCodes, auth.RecoveryCodes)
	require.Equal(t, []auth.Duty{auth.ChangePassword, auth.EnrolFactor}, made.Duties(), "the creator knows both")
	require.Equal(t, "cli:root", w.trail.Entries()[0].Actor)

	w.factors.broken = true
	n.UserID = "halfway"
	_, err = w.Create(t.Context(), boss, n)
	require.ErrorIs(t, err, errStore)
	half, err := w.users.ByID(t.Context(), "halfway")
	require.NoError(t, err)
	require.Equal(t, auth.Inactive, half.Status)
	last := w.trail.Entries()[len(w.rows())-1]
	require.Equal(t, audit.Outcome("INTERNAL_SERVER_ERROR"), last.Outcome)
	require.Contains(t, last.Detail, `"stored":1`, "it says that there is an account")
	active := auth.Active
	_, err = w.Update(t.Context(), boss, "halfway", admin.Update{Status: &active, Version: half.Version, Reason: why})
	require.Equal(t, "STAFF_NEEDS_SECOND_FACTOR", fault.From(err).Details()["reason"])
}

func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	w, suspended := newWorld(t), auth.Suspended
	root := admin.CommandLine("root")
	x := admin.Update{Status: &suspended, Version: 1, Reason: why}
	_, err := w.Update(t.Context(), root, "boss", x)
	require.Equal(t, "LAST_ADMIN", fault.From(err).Details()["reason"])
	_, err = w.Create(t.Context(), root, admin.New{
		UserID: "second", Password: personal.NewSecret("long enough"), Roles: []auth.Role{auth.Admin}, Reason: why,
	})
	require.NoError(t, err)
	_, err = w.Update(t.Context(), boss, "boss", x)
	require.Equal(t, "OWN_ACCOUNT", fault.From(err).Details()["reason"])
	_, err = w.Update(t.Context(), root, "boss", admin.Update{Roles: []auth.Role{auth.Operator}, Version: 1, Reason: why})
	require.NoError(t, err)
}

func TestUnlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 5 {
		g, err := w.guesses.Take(t.Context(), auth.Subject{UserID: "hong"}, now)
		require.NoError(t, err)
		_, err = w.guesses.Fail(t.Context(), auth.Subject{UserID: "hong"}, g, now)
		require.NoError(t, err)
	}
	a, err := w.Show(t.Context(), operator, "hong")
	require.NoError(t, err)
	require.Equal(t, auth.LockedOut, a.StatusNow(now))
	w.guesses.broken = true
	_, err = w.Unlock(t.Context(), operator, "hong", why)
	require.ErrorIs(t, err, errStore)
	w.guesses.broken = false
	a, err = w.Unlock(t.Context(), operator, "hong", why)
	require.NoError(t, err)
	require.Equal(t, auth.Active, a.StatusNow(now))
	events, total, err := w.LoginHistory(t.Context(), operator, "hong", 1, 10)
	require.NoError(t, err)
	require.Equal(t, 1, total)
	require.Equal(t, auth.EventUnlocked, events[0].Type)
	_, err = w.Unlock(t.Context(), operator, "unknown1", why)
	require.ErrorIs(t, err, fault.New(fault.UserNotFound))
}

func TestEndSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, err := w.EndSessions(t.Context(), boss, "hong", why)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Empty(t, w.history.Events(), "nothing happened")
	w.begin(t, 1)
	w.begin(t, 2)
	live, err := w.ListSessions(t.Context(), operator, "hong")
	require.NoError(t, err)
	require.Len(t, live, 2)
	n, err = w.EndSessions(t.Context(), boss, "hong", why)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Len(t, w.push.Pushed(), 2)
	require.Equal(t, auth.EventSessionEnded, w.history.Events()[0].Type)
	_, err = w.EndSessions(t.Context(), boss, "unknown1", why)
	require.ErrorIs(t, err, fault.New(fault.UserNotFound))
	_, err = w.ListSessions(t.Context(), boss, "unknown1")
	require.ErrorIs(t, err, fault.New(fault.UserNotFound))
	_, _, err = w.LoginHistory(t.Context(), boss, "unknown1", 1, 1)
	require.ErrorIs(t, err, fault.New(fault.UserNotFound))
}

func TestSearchReturnsPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range 5 {
		require.NoError(t, w.users.Create(t.Context(), auth.User{UserID: auth.UserID("page" + strconv.Itoa(n)),
			CustomerID: "C-2"}))
	}
	found, total, err := w.Search(t.Context(), operator, auth.AccountFilter{CustomerID: "C-2", Line: line.Number{},
		Page: 2, Size: 2})
	require.NoError(t, err)
	require.Equal(t, 5, total)
	require.Equal(t, auth.UserID("page2"), found[0].UserID)
	require.JSONEq(t, `{"customerId":"C-2","line":"","status":"","page":2,"size":2}`, w.trail.Entries()[0].Detail)
}

func TestCallers(t *testing.T) {
	t.Parallel()
	c := admin.By(auth.Principal{UserID: "ops", Roles: []auth.Role{auth.Operator}}, auth.Client{IP: "::1"})
	require.Equal(t, admin.Caller{UserID: "ops", Name: "ops", Roles: []auth.Role{auth.Operator},
		From: auth.Client{IP: "::1"}}, c)
}

// TestTheCustomerIDCanBeCorrected: while it is wrong the account is shown nothing of its lines.
func TestATierTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, err := w.Show(t.Context(), boss, "hong")
	require.NoError(t, err)
	set := func(tier auth.Tier, version int) (auth.Account, error) {
		return w.Update(t.Context(), boss, "hong", admin.Update{Tier: &tier, Version: version, Reason: why})
	}
	vip, err := set(auth.TierVIP, before.Version)
	require.NoError(t, err)
	require.Equal(t, auth.TierVIP, vip.Tier)
	require.Equal(t, before.Epoch+1, vip.Epoch, "tokens of the old tier are refused")
	require.Contains(t, w.trail.Entries()[len(w.rows())-1].Detail, `"tier":"VIP"`)
	_, err = set(auth.TierBench, vip.Version)
	require.ErrorIs(t, err, fault.New(fault.ValidationError), "only in development")
	w.BenchTier = true
	bench, err := set(auth.TierBench, vip.Version)
	require.NoError(t, err)
	back, err := set(auth.TierDefault, bench.Version)
	require.NoError(t, err)
	require.Equal(t, auth.TierDefault, back.Tier.OrDefault())
	same, err := set(auth.TierDefault, back.Version)
	require.NoError(t, err)
	require.Equal(t, back.Version, same.Version, "nothing changed")
}

func TestTheCustomerIDCanBeCorrected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, err := w.Show(t.Context(), boss, "hong")
	require.NoError(t, err)
	customer := "C-2"
	after, err := w.Update(t.Context(), boss, "hong", admin.Update{CustomerID: &customer, Version: before.Version,
		Reason: why})
	require.NoError(t, err)
	require.Equal(t, customer, after.CustomerID)
	require.Greater(t, after.Epoch, before.Epoch, "tokens that name the other customer die")
}

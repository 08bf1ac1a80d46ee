package admin_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/personal"
)

// newAccount wants the line of hong.
func newAccount(t *testing.T) admin.New {
	t.Helper()
	return admin.New{
		UserID: "kim", Password: personal.NewSecret("long enough"), Name: personal.NewName("김철수"),
		Roles: []auth.Role{auth.Customer}, Lines: []line.Number{number(t, "01012345678")},
		Grants: []auth.Permission{auth.BillInquiry}, Reason: why,
	}
}

// TestAHeldLineNeedsASecondPerson: for a new account, whose maker would otherwise read the bill of the line with a
// password of the maker's own choice.
func TestAHeldLineNeedsASecondPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.Create(t.Context(), operator, newAccount(t))
	require.ErrorIs(t, err, fault.New(fault.LineHeld))
	_, missing := w.users.ByID(t.Context(), "kim")
	require.ErrorIs(t, missing, fault.New(fault.UserNotFound))
	tid, err := id.Parse(fault.From(err).Details()["transferId"])
	require.NoError(t, err)
	rows := w.trail.Entries()
	require.Equal(t, "LINE_HELD", string(rows[1].Outcome))
	require.Contains(t, rows[1].Detail, `"held":{"line":"010-****-5678","index":"index-5678"},`)
	require.Contains(t, rows[1].Detail, `"transfer":"`+tid.String()+`"`)

	waiting, _, err := w.ListTransfers(t.Context(), boss, 1, 20)
	require.NoError(t, err)
	require.Len(t, waiting, 1)
	require.Equal(t, []any{tid, "ops", auth.UserID("kim")}, []any{waiting[0].ID, waiting[0].ProposedBy, waiting[0].To})

	_, err = w.ConfirmTransfer(t.Context(), operator, tid, why)
	require.Equal(t, "OWN_PROPOSAL", fault.From(err).Details()["reason"])
	_, err = w.ConfirmTransfer(t.Context(), boss, tid, why)
	require.NoError(t, err)
	hong, err := w.users.ByID(t.Context(), "hong")
	require.NoError(t, err)
	require.Empty(t, hong.Lines)
	require.Contains(t, w.push.Pushed(), auth.Revocation{UserID: "hong", Epoch: 1, At: now}, "tokens with the line die")
	rows = w.trail.Entries()
	last := rows[len(rows)-1]
	require.Equal(t, []string{"LINE_TRANSFERRED", tid.String(), "boss"}, []string{last.Action, last.Subject, last.Actor})
	require.Contains(t, last.Detail, `"hong":{"after":{"lines":[]`)
	require.Contains(t, last.Detail, `"proposedBy":"ops"`)

	made, err := w.Create(t.Context(), operator, newAccount(t))
	require.NoError(t, err)
	require.True(t, made.InitialPassword)
}

// TestAHeldLineIsNotAddedToAnotherAccount is the second place of the same kind: a change of an account.
func TestAHeldLineIsNotAddedToAnotherAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.member(t, "kim", []auth.Role{auth.Customer})
	lines := []line.Number{number(t, "01012345678")}
	add := admin.Update{Lines: &lines, Version: 1, Reason: why}
	_, err := w.Update(t.Context(), boss, "kim", add)
	require.ErrorIs(t, err, fault.New(fault.LineHeld))
	tid, parse := id.Parse(fault.From(err).Details()["transferId"])
	require.NoError(t, parse)
	_, err = w.ConfirmTransfer(t.Context(), cli, tid, why)
	require.NoError(t, err)
	kim, err := w.users.ByID(t.Context(), "kim")
	require.NoError(t, err)
	require.Equal(t, lines, kim.Lines, "it is moved at once")

	// The other way: the account that holds the line releases it.
	none := []line.Number{}
	_, err = w.Update(t.Context(), boss, "kim", admin.Update{Lines: &none, Version: kim.Version, Reason: why})
	require.NoError(t, err)
	_, err = w.Update(t.Context(), operator, "hong", admin.Update{Lines: &lines, Version: 2, Reason: why})
	require.NoError(t, err)
}

// TestTheTakerOfALineCannotGiveItAway: one person would otherwise move it alone. Another one may, or confirms; else it
// is free in 24 h.
func TestTheTakerOfALineCannotGiveItAway(t *testing.T) {
	t.Parallel()
	none, lines := []line.Number{}, []line.Number{number(t, "01012345678")}
	held := fault.New(fault.LineHeld)
	take := func(w *world) {
		t.Helper()
		_, err := w.Update(t.Context(), operator, "hong", admin.Update{Lines: &none, Version: 1, Reason: why})
		require.NoError(t, err)
	}
	create := func(w *world, by admin.Caller) error {
		_, err := w.Create(t.Context(), by, newAccount(t))
		return err
	}
	w := newWorld(t)
	take(w)
	err := create(w, operator)
	require.ErrorIs(t, err, held)
	w.member(t, "lee", []auth.Role{auth.Customer})
	_, changing := w.Update(t.Context(), operator, "lee", admin.Update{Lines: &lines, Version: 1, Reason: why})
	require.ErrorIs(t, changing, held)
	rows := w.trail.Entries()
	require.Contains(t, rows[len(rows)-1].Detail, `"held":{"line":"010-****-5678","index":"index-5678"},`)
	tid, parse := id.Parse(fault.From(err).Details()["transferId"])
	require.NoError(t, parse)
	_, err = w.ConfirmTransfer(t.Context(), operator, tid, why)
	require.Equal(t, "OWN_PROPOSAL", fault.From(err).Details()["reason"])
	require.ErrorIs(t, create(w, operator), held)
	_, err = w.ConfirmTransfer(t.Context(), boss, tid, why)
	require.NoError(t, err)
	require.NoError(t, create(w, operator))

	w = newWorld(t)
	take(w)
	require.NoError(t, create(w, boss), "another member of staff")
	w = newWorld(t)
	take(w)
	w.Now = func() time.Time { return now.Add(auth.TransferLifetime - time.Second) }
	require.ErrorIs(t, create(w, operator), held)
	w.Now = func() time.Time { return now.Add(auth.TransferLifetime) }
	require.NoError(t, create(w, operator))
}

// TestATransferIsGuardedAsAnyChange: the accounts that it concerns, and its time.
func TestATransferIsGuardedAsAnyChange(t *testing.T) {
	t.Parallel()
	propose := func(w *world, to auth.UserID) id.ID {
		t.Helper()
		n := number(t, "01012345678")
		tid := id.ID{9}
		_, err := w.moves.Propose(t.Context(), n, auth.Propose(tid, n, to, "ops2", why, now))
		require.NoError(t, err)
		return tid
	}
	for name, c := range map[string]struct {
		by     admin.Caller
		to     auth.UserID
		after  time.Duration
		want   fault.Code
		reason string
	}{
		"no staff":                    {customer, "kim", 0, fault.PermissionDenied, ""},
		"to the own account":          {operator, "ops", 0, fault.StateConflict, "OWN_ACCOUNT"},
		"to staff, by operator":       {operator, "clerk", 0, fault.PermissionDenied, ""},
		"to staff, by admin":          {boss, "clerk", 0, "", ""},
		"to an account without lines": {boss, "second", 0, fault.ValidationError, ""},
		"too late":                    {boss, "kim", auth.TransferLifetime, fault.StateConflict, "EXPIRED"},
		"in time":                     {operator, "kim", auth.TransferLifetime - time.Second, "", ""},
	} {
		w := newWorld(t)
		w.member(t, "kim", []auth.Role{auth.Customer})
		w.member(t, "ops", []auth.Role{auth.Customer, auth.Operator})
		w.member(t, "clerk", []auth.Role{auth.Customer, auth.Operator})
		w.member(t, "second", []auth.Role{auth.Admin})
		tid := propose(w, c.to)
		w.Now = func() time.Time { return now.Add(c.after) }
		_, err := w.ConfirmTransfer(t.Context(), c.by, tid, why)
		if c.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, fault.New(c.want), name)
		require.Equal(t, c.reason, fault.From(err).Details()["reason"], name)
		hong, err := w.users.ByID(t.Context(), "hong")
		require.NoError(t, err)
		require.Len(t, hong.Lines, 1, name)
	}
	w := newWorld(t)
	_, err := w.ConfirmTransfer(t.Context(), boss, id.ID{8}, why)
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
	_, _, err = w.ListTransfers(t.Context(), customer, 1, 20)
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
}

// TestEachNamedLineTakesAnExactSearch: also one that no account holds, and before the store is asked. Otherwise
// one call would try fifty candidates, and those that miss would be free.
func TestEachNamedLineTakesAnExactSearch(t *testing.T) {
	t.Parallel()
	var misses []line.Number
	for _, n := range []string{"01077770001", "01077770002", "01077770003", "01077770004"} {
		misses = append(misses, number(t, n))
	}
	create := func(w *world, by admin.Caller, user auth.UserID, lines ...line.Number) error {
		n := newAccount(t)
		n.UserID, n.Lines = user, lines
		_, err := w.Create(t.Context(), by, n)
		return err
	}
	w := newWorld(t)
	w.SearchesPerHour = 3
	limit := fault.New(fault.RateLimitExceeded)
	require.NoError(t, create(w, operator, "kim", misses[:3]...))
	require.NoError(t, create(w, operator, "lee"), "an account without lines takes none")
	require.ErrorIs(t, create(w, operator, "park", misses[3]), limit)
	require.ErrorIs(t, create(w, boss, "park", misses...), limit)
	_, err := w.users.ByID(t.Context(), "park")
	require.ErrorIs(t, err, fault.New(fault.UserNotFound))
	for n, user := range []auth.UserID{"choi", "jung", "yoon", "jang"} {
		free := number(t, "0107777100"+string(rune('0'+n)))
		require.NoError(t, create(w, cli, user, free), "the command line has access to the database")
	}

	w = newWorld(t)
	w.SearchesPerHour = 3
	hongs := append([]line.Number{number(t, "01012345678")}, misses[:2]...)
	_, err = w.Update(t.Context(), operator, "hong", admin.Update{Lines: &hongs, Version: 1, Reason: why})
	require.NoError(t, err, "two are new")
	_, err = w.Update(t.Context(), operator, "hong", admin.Update{Lines: &misses, Version: 2, Reason: why})
	require.ErrorIs(t, err, limit, "two more are")
	hong, err := w.users.ByID(t.Context(), "hong")
	require.NoError(t, err)
	require.Equal(t, hongs, hong.Lines)
}

// TestCallsThatDiscloseALineTakeAnExactSearch: a search, a change of lines, and a creation with lines. Masked digits
// cannot be found by trying.
func TestCallsThatDiscloseALineTakeAnExactSearch(t *testing.T) {
	t.Parallel()
	lines := []line.Number{number(t, "01012345678")}
	for name, do := range map[string]func(w *world, by admin.Caller) error{
		"search": func(w *world, by admin.Caller) error {
			_, _, err := w.Search(t.Context(), by, auth.AccountFilter{UserID: "hong", Line: lines[0], Page: 1, Size: 1})
			return err
		},
		"change": func(w *world, by admin.Caller) error {
			_, err := w.Update(t.Context(), by, "hong", admin.Update{Lines: &lines, Version: 1, Reason: why})
			return err
		},
		"creation": func(w *world, by admin.Caller) error {
			_, err := w.Create(t.Context(), by, newAccount(t))
			if fault.From(err).Code() == fault.LineHeld {
				return nil
			}
			return err
		},
	} {
		w, at := newWorld(t), now
		w.SearchesPerHour, w.Now = 3, func() time.Time { return at }
		for range 3 {
			require.NoError(t, do(w, operator), name)
			at = at.Add(time.Minute)
		}
		err := do(w, operator)
		require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded), name)
		require.Equal(t, 57*time.Minute, fault.From(err).RetryAfter(), name)
		raised := w.alerts.Raised()
		require.Len(t, raised, 1, name)
		require.Equal(t, []string{"staff_searched_often", "ops"}, []string{string(raised[0].Kind), raised[0].Subject})
		rows := w.trail.Entries()
		require.Equal(t, "RATE_LIMIT_EXCEEDED", string(rows[len(rows)-1].Outcome), name)
		require.Contains(t, rows[len(rows)-1].Detail, "index-5678", name)
		require.NotContains(t, rows[len(rows)-1].Detail, "1234", name)
		require.NoError(t, do(w, boss), "persons are counted apart")
		at = at.Add(57 * time.Minute)
		require.NoError(t, do(w, operator), name)
		_, err = w.Show(t.Context(), operator, "hong")
		require.NoError(t, err, "a call that discloses nothing is not counted")
	}
}

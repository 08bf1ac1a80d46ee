package portstest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/ports"
)

// Registry is what the suites of accounts work on: several stores over the same accounts.
type Registry struct {
	Users    ports.Users
	Accounts ports.Accounts
	Import   ports.AccountImport
	Guesses  ports.Guesses // under auth.DefaultLockout
	History  ports.LoginHistory
	Records  ports.LoginRecords
	// Transfers work on the accounts of Users.
	Transfers ports.LineTransfers
}

// person returns the n-th of many accounts.
func person(n int) auth.User {
	u := Owner()
	u.UserID, u.CustomerID, u.Lines = auth.UserID(fmt.Sprintf("user%02d", n)), fmt.Sprintf("c-%d", n/2),
		[]line.Number{Line(n)}
	u.Grants = u.Grants[:1]
	return u
}

func idsOf(found []auth.Account) []auth.UserID {
	out := []auth.UserID{}
	for _, a := range found {
		out = append(out, a.UserID)
	}
	return out
}

// Accounts is the suite of ports.Accounts.
func Accounts(t *testing.T, open func(t *testing.T) Registry) {
	t.Helper()
	t.Run("what is asked for must match", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		for n := range 6 {
			u := person(n)
			if n == 3 {
				u.Status = auth.Suspended
			}
			require.NoError(t, r.Users.Create(t.Context(), u))
		}
		for name, c := range map[string]struct {
			f    auth.AccountFilter
			want []auth.UserID
		}{
			"all": {auth.AccountFilter{}, []auth.UserID{"user00", "user01", "user02", "user03", "user04",
				"user05"}},
			"id":                    {auth.AccountFilter{UserID: "user02"}, []auth.UserID{"user02"}},
			"id, other case":        {auth.AccountFilter{UserID: "USER02"}, []auth.UserID{"user02"}},
			"id, other customer":    {auth.AccountFilter{UserID: "user02", CustomerID: "c-0"}, []auth.UserID{}},
			"id, its line":          {auth.AccountFilter{UserID: "user02", Line: Line(2)}, []auth.UserID{"user02"}},
			"id, other line":        {auth.AccountFilter{UserID: "user02", Line: Line(3)}, []auth.UserID{}},
			"unknown id":            {auth.AccountFilter{UserID: "unknown1"}, []auth.UserID{}},
			"customer":              {auth.AccountFilter{CustomerID: "c-1"}, []auth.UserID{"user02", "user03"}},
			"customer and status":   {auth.AccountFilter{CustomerID: "c-1", Status: auth.Suspended}, []auth.UserID{"user03"}},
			"line":                  {auth.AccountFilter{Line: Line(4)}, []auth.UserID{"user04"}},
			"line and customer":     {auth.AccountFilter{Line: Line(5), CustomerID: "c-2"}, []auth.UserID{"user05"}},
			"line and status":       {auth.AccountFilter{Line: Line(3), Status: auth.Suspended}, []auth.UserID{"user03"}},
			"line and other status": {auth.AccountFilter{Line: Line(4), Status: auth.Suspended}, []auth.UserID{}},
			"status":                {auth.AccountFilter{Status: auth.Suspended}, []auth.UserID{"user03"}},
			"none is locked":        {auth.AccountFilter{Status: auth.LockedOut}, []auth.UserID{}},
		} {
			c.f.Now, c.f.Page, c.f.Size = start, 1, 10
			found, total, err := r.Accounts.Search(t.Context(), c.f)
			require.NoError(t, err, name)
			require.Equal(t, c.want, idsOf(found), name)
			require.Equal(t, len(c.want), total, name)
		}
		found, total, err := r.Accounts.Search(t.Context(), auth.AccountFilter{Now: start, Page: 2, Size: 4})
		require.NoError(t, err)
		require.Equal(t, []auth.UserID{"user04", "user05"}, idsOf(found))
		require.Equal(t, 6, total)
		require.Equal(t, person(4), found[0].User, "whole accounts")
		found, total, err = r.Accounts.Search(t.Context(), auth.AccountFilter{Now: start, Page: 3, Size: 4})
		require.NoError(t, err)
		require.Empty(t, found)
		require.Equal(t, 6, total, "also behind the last page")
	})
	t.Run("locked accounts are found while they are", func(t *testing.T) {
		t.Parallel()
		r, policy := open(t), auth.DefaultLockout()
		for n := range 3 {
			require.NoError(t, r.Users.Create(t.Context(), person(n)))
		}
		for n, user := range []auth.UserID{"user01", "user02", "stranger"} {
			for range policy.Failures {
				g, err := r.Guesses.Take(t.Context(), auth.Subject{UserID: user}, start)
				require.NoError(t, err)
				_, err = r.Guesses.Fail(t.Context(), auth.Subject{UserID: user}, g, start)
				require.NoError(t, err)
			}
			e := auth.LoginEvent{ID: numbered(n), UserID: user, Known: user != "stranger", Type: auth.EventLocked, At: start}
			require.NoError(t, r.History.Append(t.Context(), e))
		}
		search := func(now time.Time, customer string) []auth.Account {
			f := auth.AccountFilter{Status: auth.LockedOut, CustomerID: customer, Now: now, Page: 1, Size: 10}
			found, total, err := r.Accounts.Search(t.Context(), f)
			require.NoError(t, err)
			require.Len(t, found, total)
			return found
		}
		found := search(after(1), "")
		require.Equal(t, []auth.UserID{"user01", "user02"}, idsOf(found))
		require.Equal(t, start.Add(policy.LockFor), found[0].LockedUntil)
		require.Equal(t, auth.LockedOut, found[0].StatusNow(after(1)))
		require.Equal(t, []auth.UserID{"user02"}, idsOf(search(after(1), "c-1")))
		require.Empty(t, search(start.Add(policy.LockFor), ""))
		byID, _, err := r.Accounts.Search(t.Context(), auth.AccountFilter{UserID: "user01", Now: start, Page: 1, Size: 1})
		require.NoError(t, err)
		require.Equal(t, start.Add(policy.LockFor), byID[0].LockedUntil, "every search shows locks")
	})
}

// AccountImport is the suite of ports.AccountImport.
func AccountImport(t *testing.T, open func(t *testing.T) Registry) {
	t.Helper()
	t.Run("new accounts are stored whole, known ones left alone", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		old := person(1)
		old.CustomerID = "before"
		require.NoError(t, r.Users.Create(t.Context(), old))
		added, err := r.Import.AddAll(t.Context(), []auth.User{person(0), person(1), person(2)})
		require.NoError(t, err)
		require.Equal(t, 2, added)
		for _, want := range []auth.User{person(0), old, person(2)} {
			got, err := r.Users.ByID(t.Context(), want.UserID)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		known, err := r.Import.Known(t.Context(), []auth.UserID{"user00", "user01", "user09"})
		require.NoError(t, err)
		require.Equal(t, map[auth.UserID]time.Time{"user00": start, "user01": start}, known)
		known, err = r.Import.Known(t.Context(), []auth.UserID{"User00"})
		require.NoError(t, err)
		require.Equal(t, map[auth.UserID]time.Time{"User00": start}, known)
		again := person(3)
		again.UserID = "USER00"
		added, err = r.Import.AddAll(t.Context(), []auth.User{again})
		require.NoError(t, err)
		require.Zero(t, added, "an id that differs in case alone is taken")
		clashes, err := r.Accounts.Clashes(t.Context(), 10)
		require.NoError(t, err)
		require.Empty(t, clashes)
	})
	t.Run("initial passwords stay such", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		want := person(0)
		want.InitialPassword = true
		_, err := r.Import.AddAll(t.Context(), []auth.User{want})
		require.NoError(t, err)
		got, err := r.Users.ByID(t.Context(), want.UserID)
		require.NoError(t, err)
		require.True(t, got.InitialPassword)
	})
	t.Run("the holders of lines are found, and no import takes a held line", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		require.NoError(t, r.Users.Create(t.Context(), person(1)))
		holders, err := r.Import.Holders(t.Context(), []line.Number{Line(0), Line(1)})
		require.NoError(t, err)
		require.Equal(t, map[line.Number]auth.UserID{Line(1): "user01"}, holders)
		thief := person(2)
		thief.Lines = []line.Number{Line(2), Line(1)}
		_, err = r.Import.AddAll(t.Context(), []auth.User{person(0), thief})
		requireFault(t, fault.LineHeld, err)
		for _, user := range []auth.UserID{"user00", "user02"} {
			_, err := r.Users.ByID(t.Context(), user)
			requireFault(t, fault.UserNotFound, err)
		}
	})
	t.Run("nothing is a load as well", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		added, err := r.Import.AddAll(t.Context(), nil)
		require.NoError(t, err)
		require.Zero(t, added)
		bare := auth.User{UserID: "bare", Status: auth.Active, CreatedAt: start, Version: 1}
		added, err = r.Import.AddAll(t.Context(), []auth.User{bare})
		require.NoError(t, err)
		require.Equal(t, 1, added)
		got, err := r.Users.ByID(t.Context(), "bare")
		require.NoError(t, err)
		require.Equal(t, bare, got)
		known, err := r.Import.Known(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, known)
	})
}

// LoginRecords is the suite of ports.LoginRecords.
func LoginRecords(t *testing.T, open func(t *testing.T) Registry) {
	t.Helper()
	t.Run("pages of one id, newest first", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		var want []auth.LoginEvent
		for n := range 7 {
			e := auth.LoginEvent{
				ID: numbered(n), UserID: "hong1234", Known: n > 0, Type: auth.EventLogin, Success: n > 1, At: after(n / 2),
				Client: auth.Client{IP: "203.0.113.9", UserAgent: "앱", Service: "mvno-ap"},
			}
			if n <= 1 {
				e.Reason = string(fault.WrongCredentials)
			}
			require.NoError(t, r.History.Append(t.Context(), e))
			want = append([]auth.LoginEvent{e}, want...)
			e.ID, e.UserID = numbered(100+n), "other123"
			require.NoError(t, r.History.Append(t.Context(), e))
		}
		for page, part := range [][]auth.LoginEvent{want[:3], want[3:6], want[6:], {}} {
			got, total, err := r.Records.Page(t.Context(), "hong1234", page+1, 3)
			require.NoError(t, err)
			require.Equal(t, 7, total)
			require.Equal(t, part, got)
		}
		got, total, err := r.Records.Page(t.Context(), "unknown1", 1, 3)
		require.NoError(t, err)
		require.Empty(t, got)
		require.Zero(t, total)
	})
	t.Run("events of an unknown id belong to it in any case, those of another account do not", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		for n, e := range []auth.LoginEvent{
			{UserID: "Hong1234", Known: true, Type: auth.EventLogin}, {UserID: "hong1234", Type: auth.EventLogin},
			{UserID: "hong1234", Known: true, Type: auth.EventLogin}, {UserID: "HONG1234", Type: auth.EventLogin},
		} {
			e.ID, e.At = numbered(n), after(n)
			require.NoError(t, r.History.Append(t.Context(), e))
		}
		for user, want := range map[auth.UserID][]int{"Hong1234": {3, 1, 0}, "hong1234": {3, 2, 1}, "hONG1234": {3, 1}} {
			got, total, err := r.Records.Page(t.Context(), user, 1, 10)
			require.NoError(t, err)
			require.Equal(t, len(want), total)
			for i, n := range want {
				require.Equal(t, numbered(n), got[i].ID)
				require.Equal(t, user, got[i].UserID)
			}
			count, err := r.Records.CountSince(t.Context(), user, auth.EventLogin, after(1))
			require.NoError(t, err)
			require.Equal(t, map[auth.UserID]int{"Hong1234": 2, "hong1234": 3, "hONG1234": 2}[user], count)
		}
	})
	t.Run("events of one type since a moment are counted", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		for n, e := range []auth.LoginEvent{
			{UserID: "hong1234", Type: auth.EventUnlocked, At: after(0)}, {UserID: "hong1234", Type: auth.EventUnlocked,
				At: after(5)},
			{UserID: "hong1234", Type: auth.EventLogin, At: after(6)}, {UserID: "hong1234", Type: auth.EventUnlocked,
				At: after(7)},
			{UserID: "other123", Type: auth.EventUnlocked, At: after(7)},
		} {
			e.ID = numbered(n)
			require.NoError(t, r.History.Append(t.Context(), e))
		}
		for since, want := range map[int]int{0: 3, 1: 2, 5: 2, 6: 1, 8: 0} {
			got, err := r.Records.CountSince(t.Context(), "hong1234", auth.EventUnlocked, after(since))
			require.NoError(t, err)
			require.Equal(t, want, got, since)
		}
	})
}

// LineTransfers is the suite of ports.LineTransfers.
func LineTransfers(t *testing.T, open func(t *testing.T) Registry) {
	t.Helper()
	wish := func(n int, to auth.UserID, by string) auth.LineTransfer {
		return auth.Propose(numbered(n), Line(1), to, by, "명의 변경", start)
	}
	agree := func(t auth.LineTransfer, _ []ports.AccountChange) (auth.LineTransfer, error) {
		return t.Confirm("boss", after(1))
	}
	t.Run("one wish waits once, until it expires", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		first, err := r.Transfers.Propose(t.Context(), Line(1), wish(1, "kim", "ops"))
		require.NoError(t, err)
		require.Equal(t, wish(1, "kim", "ops"), first)
		again, err := r.Transfers.Propose(t.Context(), Line(1), wish(2, "kim", "ops"))
		require.NoError(t, err)
		require.Equal(t, first, again)
		other, err := r.Transfers.Propose(t.Context(), Line(1), wish(3, "kim", "another"))
		require.NoError(t, err)
		require.Equal(t, numbered(3), other.ID)
		waiting, total, err := r.Transfers.Waiting(t.Context(), after(1), 1, 10)
		require.NoError(t, err)
		require.Equal(t, []auth.LineTransfer{first, other}, waiting)
		require.Equal(t, 2, total)
		for number, want := range map[int][]auth.LineTransfer{1: {first}, 2: {other}, 3: nil} {
			waiting, total, err = r.Transfers.Waiting(t.Context(), after(1), number, 1)
			require.NoError(t, err)
			require.Equal(t, want, append([]auth.LineTransfer(nil), waiting...))
			require.Equal(t, 2, total, "of all pages")
		}
		waiting, total, err = r.Transfers.Waiting(t.Context(), first.ExpiresAt, 1, 10)
		require.NoError(t, err)
		require.Empty(t, waiting)
		require.Zero(t, total)
		late := wish(4, "kim", "ops")
		late.ProposedAt = first.ExpiresAt
		fresh, err := r.Transfers.Propose(t.Context(), Line(1), late)
		require.NoError(t, err)
		require.Equal(t, numbered(4), fresh.ID, "an expired one is not proposed again")
	})
	t.Run("a line that was taken waits for a second person and concerns no account", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		require.NoError(t, r.Users.Create(t.Context(), person(1)))
		for n := range 2 {
			_, err := r.Transfers.Propose(t.Context(), Line(1), auth.Taken(numbered(n), Line(1), "ops", "해지", after(n)))
			require.NoError(t, err)
		}
		taken := func(person string, at time.Time, lines ...line.Number) bool {
			t.Helper()
			found, n, ok, err := r.Transfers.TakenBy(t.Context(), lines, person, at)
			require.NoError(t, err)
			if ok {
				require.Equal(t, []any{auth.Taken(numbered(1), Line(1), "ops", "해지", after(1)), Line(1)}, []any{found, n})
			}
			return ok
		}
		require.True(t, taken("ops", after(2), Line(2), Line(1)))
		require.True(t, taken("OPS", after(2), Line(1)))
		require.False(t, taken("boss", after(2), Line(1)))
		require.False(t, taken("ops", after(2), Line(2)))
		require.False(t, taken("ops", after(2)))
		require.True(t, taken("ops", start.Add(auth.TransferLifetime), Line(1)), "the newer one still waits")
		require.False(t, taken("ops", after(1).Add(auth.TransferLifetime), Line(1)))
		for n := range 2 {
			confirmed, changes, err := r.Transfers.Confirm(t.Context(), numbered(n), agree)
			require.NoError(t, err)
			require.Equal(t, "boss", confirmed.ConfirmedBy)
			require.Empty(t, changes)
		}
		require.False(t, taken("ops", after(2), Line(1)))
		unchanged, err := r.Users.ByID(t.Context(), "user01")
		require.NoError(t, err)
		require.Equal(t, person(1), unchanged)
	})
	t.Run("a confirmed line goes from its holder to the other account in one step", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		require.NoError(t, r.Users.Create(t.Context(), person(1)))
		require.NoError(t, r.Users.Create(t.Context(), person(2)))
		held, err := r.Transfers.Propose(t.Context(), Line(1), wish(1, "user02", "ops"))
		require.NoError(t, err)
		refusal := fault.New(fault.PermissionDenied)
		decide := func(x auth.LineTransfer, concerned []ports.AccountChange) (auth.LineTransfer, error) {
			require.Equal(t, held, x)
			require.Len(t, concerned, 2)
			require.Equal(t, []line.Number{Line(1)}, concerned[0].Before.Lines)
			require.Empty(t, concerned[0].After.Lines)
			require.Equal(t, []line.Number{Line(2), Line(1)}, concerned[1].After.Lines)
			return x, refusal
		}
		_, _, err = r.Transfers.Confirm(t.Context(), held.ID, decide)
		requireFault(t, fault.PermissionDenied, err)
		unchanged, err := r.Users.ByID(t.Context(), "user01")
		require.NoError(t, err)
		require.Equal(t, person(1), unchanged)

		done, changes, err := r.Transfers.Confirm(t.Context(), held.ID, agree)
		require.NoError(t, err)
		require.Equal(t, []any{"boss", after(1)}, []any{done.ConfirmedBy, done.ConfirmedAt})
		for i, c := range changes {
			got, err := r.Users.ByID(t.Context(), []auth.UserID{"user01", "user02"}[i])
			require.NoError(t, err)
			require.Equal(t, c.After, got)
			require.Equal(t, []int{2, 1}, []int{got.Version, got.Epoch})
		}
		require.Empty(t, changes[0].After.Lines)
		require.Equal(t, []line.Number{Line(2), Line(1)}, changes[1].After.Lines)
		_, _, err = r.Transfers.Confirm(t.Context(), held.ID, agree)
		requireFault(t, fault.StateConflict, err)
		waiting, _, err := r.Transfers.Waiting(t.Context(), after(1), 1, 10)
		require.NoError(t, err)
		require.Empty(t, waiting)
	})
	t.Run("an account that does not exist yet finds the line free", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		require.NoError(t, r.Users.Create(t.Context(), person(1)))
		held, err := r.Transfers.Propose(t.Context(), Line(1), wish(1, "newcomer", "ops"))
		require.NoError(t, err)
		_, changes, err := r.Transfers.Confirm(t.Context(), held.ID, agree)
		require.NoError(t, err)
		require.Len(t, changes, 1)
		newcomer := person(3)
		newcomer.UserID, newcomer.Lines = "newcomer", []line.Number{Line(1)}
		require.NoError(t, r.Users.Create(t.Context(), newcomer))
	})
	t.Run("what is unknown or released cannot be confirmed", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		_, _, err := r.Transfers.Confirm(t.Context(), numbered(9), agree)
		requireFault(t, fault.ResourceNotFound, err)
		held, err := r.Transfers.Propose(t.Context(), Line(1), wish(1, "user02", "ops"))
		require.NoError(t, err)
		_, _, err = r.Transfers.Confirm(t.Context(), held.ID, agree)
		require.Equal(t, "LINE_RELEASED", fault.From(err).Details()["reason"])
	})
	t.Run("of many at once one gets the line", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		const many = 8
		for n := range many {
			u := person(n)
			u.Lines = nil
			require.NoError(t, r.Users.Create(t.Context(), u))
		}
		var all sync.WaitGroup
		var got, refused atomic.Int64
		count := func(err error) {
			switch {
			case err == nil:
				got.Add(1)
			case errors.Is(err, fault.New(fault.LineHeld)):
				refused.Add(1)
			default:
				t.Errorf("unexpected error: %v", err)
			}
		}
		for n := range many {
			all.Go(func() {
				_, err := r.Users.Change(t.Context(), person(n).UserID,
					func(u auth.User) (auth.User, error) {
						return u.WithLine(Line(50)), nil
					})
				count(err)
			})
			all.Go(func() {
				u := person(many + n)
				u.Lines = []line.Number{Line(50)}
				count(r.Users.Create(t.Context(), u))
			})
			all.Go(func() {
				u := person(2*many + n)
				u.Lines = []line.Number{Line(50)}
				_, err := r.Import.AddAll(t.Context(), []auth.User{u})
				count(err)
			})
		}
		all.Wait()
		require.Equal(t, []int64{1, 3*many - 1}, []int64{got.Load(), refused.Load()})
	})
}

// ExactSearches is the suite of ports.ExactSearches.
func ExactSearches(t *testing.T, open func(t *testing.T) ports.ExactSearches) {
	t.Helper()
	t.Run("a limited number within the time, per person", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		take := func(person string, at int) (bool, time.Duration) {
			t.Helper()
			ok, retryIn, err := s.Take(t.Context(), person, 3, time.Hour, after(at))
			require.NoError(t, err)
			return ok, retryIn
		}
		for at := range 3 {
			ok, _ := take("ops", at)
			require.True(t, ok)
		}
		ok, retryIn := take("ops", 10)
		require.False(t, ok)
		require.Equal(t, after(0).Add(time.Hour).Sub(after(10)), retryIn)
		ok, _ = take("boss", 10)
		require.True(t, ok, "persons are counted apart")
		hour := int(time.Hour / after(1).Sub(after(0)))
		ok, _ = take("ops", hour)
		require.True(t, ok, "the first is an hour ago; what was refused is not counted")
		ok, _ = take("ops", hour)
		require.False(t, ok)
	})
	t.Run("of many at once no more pass", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		var all sync.WaitGroup
		var passed atomic.Int64
		for range 20 {
			all.Go(func() {
				ok, _, err := s.Take(t.Context(), "ops", 5, time.Hour, start)
				noError(t, err)
				if ok {
					passed.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 5, passed.Load())
	})
}

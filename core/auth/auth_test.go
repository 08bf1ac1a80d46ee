package auth_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/line"
)

var now = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func number(t require.TestingT, s string) line.Number {
	n, err := line.Parse(s)
	require.NoError(t, err)
	return n
}

func TestParseUserID(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"abc", "demo-k7q2-1", "A_9", strings.Repeat("x", 20)} {
		u, err := auth.ParseUserID(s)
		require.NoError(t, err)
		require.Equal(t, auth.UserID(s), u)
	}
	for _, s := range []string{"", "ab", strings.Repeat("x", 21), "a b", "홍길동", "abc\n", "a.bc", "abc;"} {
		u, err := auth.ParseUserID(s)
		require.ErrorIs(t, err, fault.New(fault.ValidationError), "%q", s)
		require.Equal(t, "userId", fault.From(err).Fields()[0].Name)
		require.Empty(t, u)
	}
}

func TestEveryPermissionIsDescribed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range auth.AllPermissions() {
		require.NotEqual(t, string(p), p.Description())
		require.False(t, seen[p.Description()])
		seen[p.Description()] = true
	}
	require.Len(t, seen, 4)
	require.Equal(t, "NEW", auth.Permission("NEW").Description())
}

func TestPermissionsExpireAndAdminHoldsAll(t *testing.T) {
	t.Parallel()
	u := auth.User{Roles: []auth.Role{auth.Customer}, Grants: []auth.Grant{
		{Permission: auth.ProductChange, ExpiresAt: now}, {Permission: auth.BillInquiry},
		{Permission: auth.BillInquiry, ExpiresAt: now.Add(-time.Hour)}, {Permission: "MADE_UP"},
	}}
	require.Equal(t, []auth.Permission{auth.BillInquiry, auth.ProductChange}, u.Permissions(now.Add(-1)))
	require.Equal(t, []auth.Permission{auth.BillInquiry}, u.Permissions(now))
	require.Equal(t, []auth.Permission{auth.Operations}, auth.User{Roles: []auth.Role{auth.Operator}}.Permissions(now))
	require.Equal(t, auth.AllPermissions(), auth.User{Roles: []auth.Role{auth.Admin}}.Permissions(now))
}

func TestPrincipal(t *testing.T) {
	t.Parallel()
	ownLine, second, other := number(t, "01012345678"), number(t, "01087654321"), number(t, "01055554444")
	p := auth.Principal{Lines: []line.Number{ownLine, second}, Permissions: []auth.Permission{auth.BillInquiry}}
	require.True(t, p.Has(auth.BillInquiry))
	require.False(t, p.Has(auth.ProductChange))
	require.NoError(t, p.Owns(second))
	require.ErrorIs(t, p.Owns(other), fault.New(fault.PermissionDenied))
	require.ErrorIs(t, p.Owns(line.Number{}), fault.New(fault.PermissionDenied))
	n, err := p.PickLine(line.Number{})
	require.NoError(t, err)
	require.Equal(t, ownLine, n)
	n, err = p.PickLine(second)
	require.NoError(t, err)
	require.Equal(t, second, n)
	_, err = p.PickLine(other)
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
	_, err = auth.Principal{}.PickLine(line.Number{})
	require.ErrorIs(t, err, fault.New(fault.LineNotFound))
}

func session() (auth.SessionPolicy, auth.Session) {
	p := auth.DefaultSessions()
	return p, p.NewSession([16]byte{1}, "user", false, auth.Client{IP: "192.0.2.1"}, now)
}

func TestSessionLives(t *testing.T) {
	t.Parallel()
	p, s := session()
	require.True(t, p.Live(s, now.Add(30*time.Minute-1)))
	require.False(t, p.Live(s, now.Add(30*time.Minute)), "idle")
	auto := p.NewSession([16]byte{2}, "user", true, auth.Client{}, now)
	require.True(t, p.Live(auto, now.Add(24*time.Hour-1)))
	require.False(t, p.Live(auto, now.Add(24*time.Hour)))
	busy := s
	for at := now; at.Before(now.Add(25 * time.Hour)); at = at.Add(20 * time.Minute) {
		busy = p.Touch(busy, at)
	}
	require.True(t, p.Live(busy, s.ExpiresAt.Add(-1)))
	require.False(t, p.Live(busy, s.ExpiresAt), "the absolute end, however busy")
	require.Equal(t, s, p.Touch(s, now.Add(31*time.Minute)), "an idle session is not brought back")
	require.Equal(t, s, p.Touch(s, now.Add(-time.Minute)), "time does not go back")
	dead := s.Revoke(now.Add(time.Minute))
	require.False(t, p.Live(dead, now.Add(time.Minute)))
	require.Equal(t, dead, dead.Revoke(now.Add(time.Hour)), "ended at its first time")
	require.Equal(t, dead, p.Touch(dead, now.Add(2*time.Minute)))
}

func TestRefreshHasOneSuccessor(t *testing.T) {
	t.Parallel()
	p, s := session()
	at := now.Add(time.Minute)
	rotated, verdict := p.Present(s, 1, at)
	require.Equal(t, auth.RefreshRotated, verdict)
	require.Equal(t, 2, rotated.Generation)
	require.Equal(t, at, rotated.LastSeenAt)
	same, verdict := p.Present(rotated, 1, at.Add(p.RefreshGrace-1))
	require.Equal(t, auth.RefreshReplay, verdict)
	require.Equal(t, rotated, same)
	dead, verdict := p.Present(rotated, 1, at.Add(p.RefreshGrace))
	require.Equal(t, auth.RefreshReused, verdict)
	require.False(t, dead.RevokedAt.IsZero())
	for generation := range 5 {
		after, verdict := p.Present(dead, generation, at.Add(p.RefreshGrace))
		require.Equal(t, auth.RefreshRefused, verdict)
		require.Equal(t, dead, after)
	}
	_, verdict = p.Present(s, 2, at)
	require.Equal(t, auth.RefreshRefused, verdict, "a generation that was never made")
	_, verdict = p.Present(s, 1, now.Add(30*time.Minute))
	require.Equal(t, auth.RefreshRefused, verdict, "idle")
	_, verdict = p.Present(s, 0, now)
	require.Equal(t, auth.RefreshRefused, verdict, "a generation that was never made")
	third, _ := p.Present(rotated, 2, at.Add(time.Second))
	same, verdict = p.Present(third, 1, at.Add(p.RefreshGrace-1))
	require.Equal(t, auth.RefreshReplay, verdict, "within the grace of its own rotation it is no theft, however old")
	require.Equal(t, third, same, "the newest pair: the one after it is spent")
	_, verdict = p.Present(third, 1, at.Add(p.RefreshGrace))
	require.Equal(t, auth.RefreshReused, verdict, "its own rotation counts, not the last one")
	_, verdict = p.Present(third, 2, at.Add(p.RefreshGrace))
	require.Equal(t, auth.RefreshReplay, verdict)
}

// TestARotationByAnOlderReleaseHasNoTime: what is not known counts as spent long ago, and what is known is not
// mistaken.
func TestARotationByAnOlderReleaseHasNoTime(t *testing.T) {
	t.Parallel()
	p, s := session()
	for range 2 {
		s, _ = p.Present(s, s.Generation, now)
	}
	s.Generation, s.RotatedAt = 4, now // by an instance that does not know Spent
	for generation, want := range map[int]auth.Refresh{1: auth.RefreshReplay, 2: auth.RefreshReused,
		3: auth.RefreshReplay} {
		_, verdict := p.Present(s, generation, now)
		require.Equal(t, want, verdict, generation)
	}
}

// TestRotationsWithinTheGraceAreBounded, and none of their tokens is taken for theft all the same.
func TestRotationsWithinTheGraceAreBounded(t *testing.T) {
	t.Parallel()
	p, s := session()
	for range 1000 {
		s, _ = p.Present(s, s.Generation, now)
		for generation := 1; generation < s.Generation; generation++ {
			_, verdict := p.Present(s, generation, now.Add(p.RefreshGrace-1))
			require.Equal(t, auth.RefreshReplay, verdict, generation)
		}
	}
	require.Equal(t, 34, s.Generation)
	require.Len(t, s.Spent, 32)
	later, verdict := p.Present(s, s.Generation, now.Add(p.RefreshGrace))
	require.Equal(t, auth.RefreshRotated, verdict)
	require.Empty(t, later.Spent)
}

// TestRefreshLaws presents tokens of any age at any time: successors are never skipped, and a family once dead stays
// dead.
func TestRefreshLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, s := session()
		at := now
		rotations, spent := map[int]int{}, map[int]time.Time{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "gap")) * time.Second)
			g := max(1, s.Generation-rapid.IntRange(-1, 3).Draw(t, "age"))
			after, verdict := p.Present(s, g, at)
			switch verdict {
			case auth.RefreshRotated:
				rotations[g]++
				spent[g] = at
				require.Equal(t, 1, rotations[g], "one successor")
				require.Equal(t, s.Generation+1, after.Generation)
			case auth.RefreshReplay:
				require.Equal(t, s, after)
				require.Less(t, g, s.Generation)
				require.Less(t, at.Sub(spent[g]), p.RefreshGrace)
			case auth.RefreshReused:
				require.False(t, p.Live(after, at))
				require.GreaterOrEqual(t, at.Sub(spent[g]), p.RefreshGrace)
			case auth.RefreshRefused:
				require.Equal(t, s, after)
			}
			if !p.Live(s, at) {
				require.Equal(t, auth.RefreshRefused, verdict)
			}
			s = after
		}
		require.True(t, slices.Equal([]int{s.Generation}, []int{1 + len(rotations)}))
	})
}

func TestARightsChangeRaisesTheEpochAndEveryChangeTheVersion(t *testing.T) {
	t.Parallel()
	before := auth.User{
		UserID: "hong", Status: auth.Active, Roles: []auth.Role{auth.Customer},
		Lines: []line.Number{number(t, "01012345678")}, CustomerID: "C1",
		Grants: []auth.Grant{{Permission: auth.BillInquiry, ExpiresAt: now}}, LastLoginAt: now, CreatedAt: now, Version: 7,
		Epoch: 3,
	}
	for name, c := range map[string]struct {
		change func(*auth.User)
		epoch  int
	}{
		"name": {func(u *auth.User) { u.CustomerID, u.Version, u.Epoch = "C1", 99, 99 }, 3},
		"another granter": {func(u *auth.User) {
			u.Grants = []auth.Grant{{Permission: auth.BillInquiry, ExpiresAt: now, GrantedBy: "x"}}
		}, 3},
		"status":   {func(u *auth.User) { u.Status = auth.Suspended }, 4},
		"roles":    {func(u *auth.User) { u.Roles = nil }, 4},
		"lines":    {func(u *auth.User) { u.Lines = nil }, 4},
		"customer": {func(u *auth.User) { u.CustomerID = "C2" }, 4},
		"expiry":   {func(u *auth.User) { u.Grants = []auth.Grant{{Permission: auth.BillInquiry}} }, 4},
		"grant":    {func(u *auth.User) { u.Grants = nil }, 4},
		"tier":     {func(u *auth.User) { u.Tier = auth.TierVIP }, 4},
		"no tier":  {func(u *auth.User) { u.Tier = auth.TierDefault }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after := before
			c.change(&after)
			after.UserID, after.LastLoginAt, after.CreatedAt, after.SecondFactor = "other", time.Time{}, time.Time{}, true
			after = after.Changed(before)
			require.Equal(t, 8, after.Version)
			require.Equal(t, c.epoch, after.Epoch)
			require.Equal(t, before.UserID, after.UserID)
			require.Equal(t, now, after.LastLoginAt)
			require.Equal(t, now, after.CreatedAt)
			require.False(t, after.SecondFactor)
		})
	}
}

func TestRightsEndWithTheFirstGrantThatExpires(t *testing.T) {
	t.Parallel()
	u := auth.User{Grants: []auth.Grant{
		{Permission: auth.BillInquiry}, {Permission: auth.Operations, ExpiresAt: now},
		{Permission: auth.ProductChange, ExpiresAt: now.Add(2 * time.Hour)},
		{Permission: auth.UserAdmin, ExpiresAt: now.Add(time.Hour)},
	}}
	require.Equal(t, now.Add(time.Hour), u.RightsEnd(now), "what has expired already ends nothing")
	require.True(t, u.RightsEnd(now.Add(2*time.Hour)).IsZero())
	require.True(t, auth.User{Roles: []auth.Role{auth.Admin}}.RightsEnd(now).IsZero())
	require.True(t, auth.User{Roles: []auth.Role{auth.Customer, auth.Operator}}.Staff())
	require.False(t, auth.User{Roles: []auth.Role{auth.Customer}}.Staff())
	require.True(t, auth.Principal{Roles: []auth.Role{auth.Admin}}.Staff())
}

package auth_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
)

func TestATransferNeedsAnotherPersonWithinADay(t *testing.T) {
	t.Parallel()
	n, err := line.Parse("01012345678")
	require.NoError(t, err)
	start := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	wish := auth.Propose(id.ID{1}, n, "kim", "ops", "명의 변경", start)
	require.Equal(t, "010-****-5678", wish.Line)
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		by     string
		at     time.Time
		reason string
	}{
		"the same person": {"ops", start, "OWN_PROPOSAL"},
		"another case":    {"Ops", start, "OWN_PROPOSAL"},
		"another person":  {"boss", start.Add(day - 1), ""},
		"too late":        {"boss", start.Add(day), "EXPIRED"},
	} {
		got, err := wish.Confirm(c.by, c.at)
		if c.reason == "" {
			require.NoError(t, err, name)
			require.Equal(t, []any{c.by, c.at}, []any{got.ConfirmedBy, got.ConfirmedAt})
			require.True(t, wish.Waits(c.at))
			require.False(t, got.Waits(c.at))
			_, err = got.Confirm("third", c.at)
			require.Equal(t, "ALREADY_CONFIRMED", fault.From(err).Details()["reason"])
			continue
		}
		require.ErrorIs(t, err, fault.New(fault.StateConflict), name)
		require.Equal(t, c.reason, fault.From(err).Details()["reason"], name)
	}
	require.False(t, wish.Waits(start.Add(day)))
}

func TestAHeldLineIsShownMasked(t *testing.T) {
	t.Parallel()
	n, err := line.Parse("01012345678")
	require.NoError(t, err)
	held := auth.HeldLine(n)
	require.ErrorIs(t, held, fault.New(fault.LineHeld))
	shown := fault.From(held.Of(auth.LineTransfer{ID: id.ID{1}, ExpiresAt: time.Unix(0, 0)}))
	require.Equal(t, map[string]string{
		"lineNumber": "010-****-5678", "transferId": id.ID{1}.String(), "expiresAt": "1970-01-01T00:00:00Z",
	}, shown.Details())
	require.NotContains(t, shown.Error()+held.Error(), "1234")
	require.Contains(t, shown.Error(), "waits for a second person")
}

func TestLinesThatAreAdded(t *testing.T) {
	t.Parallel()
	a, err := line.Parse("01011111111")
	require.NoError(t, err)
	b, err := line.Parse("01022222222")
	require.NoError(t, err)
	has := func(lines ...line.Number) auth.User { return auth.User{Lines: lines} }
	require.Equal(t, []line.Number{b}, has(a, b).Added(has(a)))
	require.Empty(t, has(b, a).Added(has(a, b)), "another order adds nothing")
	require.Empty(t, has().Added(has(a)))
	require.Equal(t, []line.Number{b, a}, has(a, b).WithLine(a).Lines)
	require.Empty(t, has(a).WithoutLine(a).Lines)
}

// TestAnInitialPasswordIsADuty: no operation but those that are for it can be used.
func TestAnInitialPasswordIsADuty(t *testing.T) {
	t.Parallel()
	require.Empty(t, auth.User{}.Duties())
	p := auth.Principal{Duties: auth.User{InitialPassword: true}.Duties()}
	require.ErrorIs(t, p.Due(nil), fault.New(fault.PasswordChangeRequired))
	require.NoError(t, p.Due([]auth.Duty{auth.ChangePassword}))
	require.NoError(t, auth.Principal{}.Due(nil))
	handedOver := auth.Principal{Duties: auth.User{FactorHandedOver: true}.Duties()}
	require.ErrorIs(t, handedOver.Due([]auth.Duty{auth.ChangePassword}),
		fault.New(fault.EnrolmentRequired))
	newer := auth.Principal{Duties: []auth.Duty{"SOMETHING_NEWER"}}
	require.ErrorIs(t, newer.Due([]auth.Duty{auth.ChangePassword}), fault.New(fault.PermissionDenied))
	before := auth.User{UserID: "hong", InitialPassword: true}
	require.Equal(t, 1, auth.User{}.Changed(before).Epoch, "tokens that carry the duty are refused when it is done")
}

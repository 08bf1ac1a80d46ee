package operations_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/core/operations"
)

func TestAMaintenanceIsAskedForWithinBounds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 14, 17, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		wished operations.Maintenance
		field  string // that is refused; empty = none
	}{
		"from now on":          {operations.Maintenance{Until: now.Add(time.Hour)}, ""},
		"24 hours":             {operations.Maintenance{Until: now.Add(24 * time.Hour)}, ""},
		"longer":               {operations.Maintenance{Until: now.Add(24*time.Hour + 1)}, "until"},
		"no end":               {operations.Maintenance{}, "until"},
		"an end in the past":   {operations.Maintenance{Until: now}, "until"},
		"an end before it":     {operations.Maintenance{From: now.Add(2), Until: now.Add(1)}, "until"},
		"planned":              {operations.Maintenance{From: now.Add(time.Hour), Until: now.Add(2 * time.Hour)}, ""},
		"planned too far away": {operations.Maintenance{From: now.AddDate(0, 2, 0), Until: now.AddDate(0, 2, 1)}, "from"},
		"changes alone":        {operations.Maintenance{Until: now.Add(1), Scope: operations.ChangesOnly}, ""},
		"another scope":        {operations.Maintenance{Until: now.Add(1), Scope: "BILLS"}, "scope"},
		"a long message":       {operations.Maintenance{Until: now.Add(1), Message: strings.Repeat("점", 200)}, ""},
		"a longer one":         {operations.Maintenance{Until: now.Add(1), Message: strings.Repeat("점", 201)}, "message"},
	} {
		got, err := operations.NewMaintenance(c.wished, now)
		if c.field != "" {
			require.ErrorIs(t, err, fault.New(fault.ValidationError), name)
			require.Equal(t, c.field, fault.From(err).Fields()[0].Name, name)
			continue
		}
		require.NoError(t, err, name)
		require.False(t, got.From.Before(now), name)
		require.Contains(t, operations.Scopes(), got.Scope, name)
	}
	late, err := operations.NewMaintenance(operations.Maintenance{From: now.Add(-time.Hour), Until: now.Add(1)}, now)
	require.NoError(t, err)
	require.Equal(t, now, late.From, "a beginning in the past is now")
}

func TestWhatAMaintenanceRefuses(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 14, 17, 0, 0, 0, time.UTC) // 02:00 in Seoul
	all := operations.Maintenance{From: from, Until: from.Add(3 * time.Hour), Scope: operations.AllOperations}
	changes := all
	changes.Scope = operations.ChangesOnly
	for name, c := range map[string]struct {
		m       operations.Maintenance
		change  bool
		at      time.Time
		refused bool
	}{
		"none":                  {operations.Maintenance{}, true, from, false},
		"before it":             {all, true, from.Add(-1), false},
		"from its first moment": {all, false, from, true},
		"a change":              {all, true, from, true},
		"to its last moment":    {all, false, all.Until.Add(-1), true},
		"after it":              {all, true, all.Until, false},
		"reading goes on":       {changes, false, from, false},
		"changing does not":     {changes, true, from, true},
	} {
		err := c.m.Refuse(c.change, c.at)
		require.Equal(t, c.refused, err != nil, name)
		require.Equal(t, c.m.On(c.at), c.m != (operations.Maintenance{}) && !c.at.Before(from) && !c.m.Over(c.at), name)
	}
	err := fault.From(all.Refuse(false, from.Add(time.Hour)))
	require.Equal(t, fault.ServiceUnavailable, err.Code())
	require.Equal(t, 2*time.Hour, err.RetryAfter())
	require.Equal(t, "서비스 점검 중입니다. 3월 15일 05:00 이후에 다시 이용해주세요", err.Message())
	require.Equal(t, map[string]string{"reason": "MAINTENANCE", "until": "2026-03-15T05:00:00+09:00"}, err.Details())
	all.Message = "곧 돌아옵니다"
	require.Equal(t, "곧 돌아옵니다", fault.From(all.Refuse(false, from)).Message())
}

package freshness_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/freshness"
)

func TestNight(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time { // in Seoul
		parsed, err := time.Parse(time.RFC3339, "2026-11-"+s+":00+09:00")
		require.NoError(t, err)
		return parsed.UTC()
	}
	for name, c := range map[string]struct {
		night, now  string
		open        bool
		began, next string
	}{
		"before":             {"02:00-05:00", "21T01:59", false, "20T02:00", "21T02:00"},
		"as it begins":       {"02:00-05:00", "21T02:00", true, "21T02:00", "22T02:00"},
		"the last minute":    {"02:00-05:00", "21T04:59", true, "21T02:00", "22T02:00"},
		"as it ends":         {"02:00-05:00", "21T05:00", false, "21T02:00", "22T02:00"},
		"across, evening":    {"23:00-01:00", "21T23:30", true, "21T23:00", "22T23:00"},
		"across, morning":    {"23:00-01:00", "22T00:30", true, "21T23:00", "22T23:00"},
		"across, at the end": {"23:00-01:00", "22T01:00", false, "21T23:00", "22T23:00"},
	} {
		n, err := freshness.ParseNight(c.night)
		require.NoError(t, err)
		require.Equal(t, c.open, n.Open(at(c.now)), name)
		require.Equal(t, at(c.began), n.Began(at(c.now)).UTC(), name)
		require.Equal(t, at(c.next), n.Next(at(c.now)).UTC(), name)
	}
	never, err := freshness.ParseNight("off")
	require.NoError(t, err)
	require.Zero(t, never)
	for h := range 24 {
		require.False(t, never.Open(at("21T00:00").Add(time.Duration(h)*time.Hour)))
	}
	for _, bad := range []string{"", "02:00", "02:00-", "2-5", "02:00-02:00", "25:00-26:00", "02:00-05:00-06:00"} {
		_, err := freshness.ParseNight(bad)
		require.Error(t, err, bad)
	}
}

func TestAhead(t *testing.T) {
	t.Parallel()
	l := freshness.Customer.Ahead(10 * time.Minute)
	require.Equal(t, freshness.Fresh, l.Decide(now.Add(time.Second-4*time.Hour+10*time.Minute), time.Time{}, now, 0.99))
	require.Equal(t, freshness.Stale, l.Decide(now.Add(-4*time.Hour+10*time.Minute), time.Time{}, now, 0))
}

func TestParseLimits(t *testing.T) {
	t.Parallel()
	for _, l := range []freshness.Limits{freshness.Bill, freshness.Customer, freshness.PlanList} {
		got, err := freshness.ParseLimits(l.String())
		require.NoError(t, err)
		require.Equal(t, l, got)
	}
	for _, bad := range []string{"", "1h", "1h/", "/1h", "2h/1h", "0s/1h", "-1h/1h", "1/2", "1h/2h/3h"} {
		_, err := freshness.ParseLimits(bad)
		require.Error(t, err, bad)
	}
}

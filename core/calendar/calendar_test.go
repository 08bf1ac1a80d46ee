package calendar_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/calendar"
	"phonebill/core/fault"
)

func at(t require.TestingT, s string) time.Time {
	v, err := time.Parse(time.RFC3339Nano, s)
	require.NoError(t, err)
	return v
}

func TestTodayIsSeouls(t *testing.T) {
	t.Parallel()
	for instant, want := range map[string]string{
		"2026-11-30T14:59:59.999999999Z": "2026-11-30", "2026-11-30T15:00:00Z": "2026-12-01",
		"2025-12-31T14:59:59Z": "2025-12-31", "2025-12-31T15:00:00Z": "2026-01-01",
		"2024-02-28T15:00:00Z": "2024-02-29", "2024-02-29T15:00:00Z": "2024-03-01", "2023-02-28T15:00:00Z": "2023-03-01",
		"2026-03-01T23:59:59-12:00": "2026-03-02",
	} {
		d := calendar.DateOf(at(t, instant))
		require.Equal(t, want, d.String())
		require.Equal(t, want[:7], calendar.MonthOf(at(t, instant)).String())
		require.Equal(t, d.Month(), calendar.MonthOf(at(t, instant)))
	}
}

func TestParseMonth(t *testing.T) {
	t.Parallel()
	m, err := calendar.ParseMonth("2026-02")
	require.NoError(t, err)
	require.Equal(t, "2026-02", m.String())
	require.Equal(t, "202602", m.Compact())
	require.Equal(t, "2026-02-01", m.First().String())
	require.False(t, m.IsZero())
	require.True(t, calendar.Month{}.IsZero())
	for _, s := range []string{"", "2026", "2026-13", "2026-00", "2026-1", "26-01", "202601", "2026-01-01", "2026-01 ",
		"２026-01", "-026-01"} {
		m, err := calendar.ParseMonth(s)
		require.ErrorIs(t, err, fault.New(fault.ValidationError), "%q", s)
		require.Equal(t, "inquiryMonth", fault.From(err).Fields()[0].Name)
		require.True(t, m.IsZero())
	}
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	d, err := calendar.ParseDate("x", "2024-02-29")
	require.NoError(t, err)
	require.Equal(t, "2024-02-29", d.String())
	require.Equal(t, "20240229", d.Compact())
	require.Equal(t, at(t, "2024-02-28T15:00:00Z"), d.Start())
	require.False(t, d.IsZero())
	require.True(t, calendar.Date{}.IsZero())
	for _, s := range []string{"", "2023-02-29", "2026-02-30", "2026-13-01", "2026-04-31", "2026-1-1", "20260101",
		"2026-01-01T00:00:00Z"} {
		_, err := calendar.ParseDate("startDate", s)
		require.ErrorIs(t, err, fault.New(fault.ValidationError), "%q", s)
		require.Equal(t, "startDate", fault.From(err).Fields()[0].Name)
	}
}

func TestMonthArithmetic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from string
		n    int
		want string
	}{
		{"2026-01", -1, "2025-12"}, {"2025-12", 1, "2026-01"}, {"2026-11", -5, "2026-06"}, {"2026-03", -12, "2025-03"},
		{"2026-03", 0, "2026-03"}, {"2026-12", 25, "2029-01"}, {"2000-01", -1, "1999-12"},
	} {
		m, err := calendar.ParseMonth(c.from)
		require.NoError(t, err)
		require.Equal(t, c.want, m.Add(c.n).String())
		require.Equal(t, c.n > 0, m.Add(c.n).After(m))
		require.Equal(t, c.n < 0, m.After(m.Add(c.n)))
	}
}

func TestDateArithmetic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from string
		n    int
		want string
	}{
		{"2024-02-28", 1, "2024-02-29"}, {"2023-02-28", 1, "2023-03-01"}, {"1900-02-28", 1, "1900-03-01"},
		{"2000-02-28", 1, "2000-02-29"}, {"2026-01-01", -1, "2025-12-31"}, {"2026-04-30", 1, "2026-05-01"},
		{"2024-01-01", 366, "2025-01-01"},
	} {
		d, err := calendar.ParseDate("d", c.from)
		require.NoError(t, err)
		require.Equal(t, c.want, d.AddDays(c.n).String())
		require.Equal(t, c.n > 0, d.AddDays(c.n).After(d))
		require.Equal(t, c.n < 0, d.After(d.AddDays(c.n)))
	}
}

func TestCalendarLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(-2_000_000_000, 10_000_000_000).Draw(t, "unix"), 0)
		n, k := rapid.IntRange(-500, 500).Draw(t, "n"), rapid.IntRange(-500, 500).Draw(t, "k")
		d, m := calendar.DateOf(now), calendar.MonthOf(now)
		require.Equal(t, m.Add(n+k), m.Add(n).Add(k))
		require.Equal(t, d.AddDays(n+k), d.AddDays(n).AddDays(k))
		require.False(t, d.Start().After(now))
		require.True(t, d.AddDays(1).Start().After(now))
		require.Equal(t, 24*time.Hour, d.AddDays(1).Start().Sub(d.Start()), "no daylight saving")
		require.Equal(t, d, calendar.DateOf(d.Start()))
		require.Equal(t, m, m.First().Month())
		parsed, err := calendar.ParseDate("d", d.String())
		require.NoError(t, err)
		require.Equal(t, d, parsed)
		month, err := calendar.ParseMonth(m.String())
		require.NoError(t, err)
		require.Equal(t, m, month)
	})
}

func FuzzParseMonth(f *testing.F) {
	for _, s := range []string{"2026-01", "2026-13", "9999-12", "0000-01", "2026-1\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if m, err := calendar.ParseMonth(s); err == nil {
			require.Equal(t, s, m.String())
		}
	})
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"2026-01-31", "2026-02-30", "0000-01-01", "2024-02-29"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := calendar.ParseDate("d", s); err == nil {
			require.Equal(t, s, d.String())
		}
	})
}

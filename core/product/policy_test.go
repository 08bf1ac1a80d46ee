package product_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
)

func TestEffectiveDate(t *testing.T) {
	t.Parallel()
	day := func(s string) calendar.Date {
		d, err := calendar.ParseDate("d", s)
		require.NoError(t, err)
		return d
	}
	night := time.Date(2026, 12, 31, 14, 59, 59, 0, time.UTC) // a second before the new year in Seoul
	for _, c := range []struct {
		now   time.Time
		asked string
		want  string
	}{
		{now, "", "2026-12-01"}, {now, "2026-12-01", "2026-12-01"}, {now, "2026-11-21", "2026-11-21"},
		{now, "2026-11-20", ""}, {now, "2026-11-22", ""}, {now, "2027-01-01", ""}, {night, "", "2027-01-01"},
		{night.Add(time.Second), "", "2027-02-01"},
		{night.Add(time.Second), "2027-01-01", "2027-01-01"}, {night.Add(time.Second), "2026-12-31", ""},
		{time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), "", "2024-03-01"},
	} {
		asked := calendar.Date{}
		if c.asked != "" {
			asked = day(c.asked)
		}
		rule, err := product.DefaultPolicy().Choose(asked, c.now)
		got := rule.Day(c.now)
		if c.want == "" {
			require.ErrorIs(t, err, fault.New(fault.ValidationError), "%+v", c)
			require.Equal(t, "changeEffectiveDate", fault.From(err).Fields()[0].Name)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, got.String())
	}
}

func TestPoliciesAreData(t *testing.T) {
	t.Parallel()
	p, err := product.ParsePolicy("FIRST_OF_NEXT_MONTH, TODAY", false)
	require.NoError(t, err)
	require.Equal(t, product.DefaultPolicy(), p)
	p, err = product.ParsePolicy("TODAY", true)
	require.NoError(t, err)
	require.Equal(t, product.Policy{Offered: []product.EffectiveRule{product.Today}, OnceAMonth: true}, p)
	for _, bad := range []string{"", "TOMORROW", "TODAY,TODAY", "TODAY,", "today"} {
		_, err := product.ParsePolicy(bad, false)
		require.ErrorContains(t, err, "want FIRST_OF_NEXT_MONTH and TODAY", bad)
	}
	rule, err := p.Choose(calendar.Date{}, now)
	require.NoError(t, err)
	require.Equal(t, product.Today, rule, "the default")
	_, err = p.Choose(product.FirstOfNextMonth.Day(now), now)
	require.ErrorIs(t, err, fault.New(fault.ValidationError), "not offered")
	require.Equal(t, "2026-11-21만 선택할 수 있습니다", fault.From(err).Fields()[0].Reason)
	_, err = product.DefaultPolicy().Choose(calendar.DateOf(now).AddDays(2), now)
	require.Equal(t, "2026-12-01 또는 2026-11-21만 선택할 수 있습니다", fault.From(err).Fields()[0].Reason)
}

// TestTheFirstOfNextMonth against the calendar of the standard library, over 40 years, leap years and month ends
// included.
func TestTheFirstOfNextMonth(t *testing.T) {
	t.Parallel()
	seoul, err := time.LoadLocation("Asia/Seoul")
	require.NoError(t, err)
	check := func(t require.TestingT, at time.Time) {
		local := at.In(seoul)
		want := time.Date(local.Year(), local.Month()+1, 1, 0, 0, 0, 0, seoul)
		first, today := product.FirstOfNextMonth.Day(at), product.Today.Day(at)
		require.Equal(t, want.Format(time.DateOnly), first.String())
		require.True(t, first.Start().Equal(want))
		require.Equal(t, local.Format(time.DateOnly), today.String())
		require.True(t, first.After(today))
		days := first.Start().Sub(today.Start()).Hours() / 24
		require.LessOrEqual(t, days, 31.0)
		for _, day := range []calendar.Date{first, today} {
			rule, err := product.DefaultPolicy().Choose(day, at)
			require.NoError(t, err)
			require.Equal(t, day, rule.Day(at))
		}
	}
	for month := range 40 * 12 { // around each turn of a month in Seoul
		turn := time.Date(2020, time.January+time.Month(month), 1, 0, 0, 0, 0, seoul)
		for _, d := range []time.Duration{-time.Nanosecond, 0, time.Hour} {
			check(t, turn.Add(d))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, time.Unix(rapid.Int64Range(1577836800, 2840140800).Draw(t, "at"), 0))
	})
}

// TestAnOverdueOrderIsANewOne (ADR 22): what KOS cannot have seen is not sent with a day that is over.
func TestAnOverdueOrderIsANewOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule := rapid.SampledFrom(product.DefaultPolicy().Offered).Draw(t, "rule")
		waited := time.Duration(rapid.Int64Range(0, int64(200*24*time.Hour)).Draw(t, "waited"))
		sends := rapid.IntRange(0, 1).Draw(t, "sends")
		o := product.Order{TransactionID: id.ID{1}, Rule: rule, EffectiveDate: rule.Day(now), Sends: sends}
		later := now.Add(waited)
		over := calendar.DateOf(later).After(o.EffectiveDate)
		require.Equal(t, over && sends == 0, o.Overdue(later))
		fresh := o.Renew(id.ID{2}, later)
		require.False(t, fresh.Overdue(later))
		require.Equal(t, id.ID{2}, fresh.TransactionID)
		require.Equal(t, rule.Day(later), fresh.EffectiveDate)
	})
}

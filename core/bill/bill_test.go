package bill_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/money"
)

var now = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func TestSummaryAndSum(t *testing.T) {
	t.Parallel()
	b := bill.Bill{ProductName: "5G 프리미엄 플랜", Total: 89000, Charges: []bill.Item{{Name: "월정액",
		Amount: new(money.Won(99000))}},
		Discounts: []bill.Item{{Name: "가족할인", Amount: new(money.Won(10000))}}}
	require.Equal(t, "5G 프리미엄 플랜, 89,000원", b.Summary())
	require.True(t, b.AddsUp())
	b.Total++
	require.False(t, b.AddsUp())
	require.True(t, bill.Bill{}.AddsUp())
}

func TestAddsUpLaw(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amounts := rapid.SliceOf(rapid.Int64Range(-1_000_000, 1_000_000))
		b := bill.Bill{Charges: []bill.Item{}, Discounts: []bill.Item{}}
		for _, a := range amounts.Draw(t, "charges") {
			b.Charges, b.Total = append(b.Charges, bill.Item{Amount: new(money.Won(a))}), b.Total+money.Won(a)
		}
		for _, a := range amounts.Draw(t, "discounts") {
			b.Discounts, b.Total = append(b.Discounts, bill.Item{Amount: new(money.Won(a))}), b.Total-money.Won(a)
		}
		require.True(t, b.AddsUp())
		sum, complete := b.Sum()
		require.True(t, complete)
		require.Equal(t, b.Total, sum)
		b.Total += money.Won(rapid.Int64Range(1, 9).Draw(t, "off"))
		require.False(t, b.AddsUp())
	})
}

// What KOS leaves out is not 0: a sum with a hole in it is no sum, and says nothing against the total either.
func TestNoSumOfUnknownAmounts(t *testing.T) {
	t.Parallel()
	won := func(n money.Won) *money.Won { return &n }
	whole := bill.Bill{Total: 15_000, Charges: []bill.Item{{Amount: won(25_000)}},
		Discounts: []bill.Item{{Amount: won(10_000)}}}
	for name, c := range map[string]struct {
		change           func(*bill.Bill)
		complete, addsUp bool
	}{
		"all stated":    {func(*bill.Bill) {}, true, true},
		"another total": {func(b *bill.Bill) { b.Total++ }, true, false},
		"a charge without amount": {func(b *bill.Bill) { b.Charges = append(b.Charges, bill.Item{Name: "월정액"}) }, false,
			true},
		"a discount without one":   {func(b *bill.Bill) { b.Discounts = []bill.Item{{Name: "가족할인"}} }, false, true},
		"no list of charges":       {func(b *bill.Bill) { b.Charges = nil }, false, true},
		"no list of discounts":     {func(b *bill.Bill) { b.Discounts = nil }, false, false},
		"none taken off, it says":  {func(b *bill.Bill) { b.Discounts, b.Total = []bill.Item{}, 25_000 }, true, true},
		"nothing charged, it says": {func(b *bill.Bill) { b.Charges = []bill.Item{} }, true, false},
	} {
		b := whole
		b.Charges = append([]bill.Item{}, whole.Charges...)
		c.change(&b)
		_, complete := b.Sum()
		require.Equal(t, c.complete, complete, name)
		require.Equal(t, c.addsUp, b.AddsUp(), name)
	}
}

func TestSelectableMonths(t *testing.T) {
	t.Parallel()
	months := bill.SelectableMonths(time.Date(2026, 1, 31, 15, 0, 0, 0, time.UTC), 3) // February in Seoul already
	require.Equal(t, []string{"2026-02", "2026-01", "2025-12"}, []string{months[0].String(), months[1].String(),
		months[2].String()})
	require.Empty(t, bill.SelectableMonths(now, 0))
}

func TestParseMonth(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"": "2026-11", "2026-11": "2026-11", "2026-06": "2026-06"} {
		m, err := bill.ParseMonth(s, now, 6)
		require.NoError(t, err)
		require.Equal(t, want, m.String())
	}
	for s, reason := range map[string]string{
		"2026-12": "미래의 월은 조회할 수 없습니다", "2026-05": "최근 6개월 이내의 월만 조회할 수 있습니다",
		"2026-13": "YYYY-MM 형식의 올바른 월이어야 합니다",
	} {
		_, err := bill.ParseMonth(s, now, 6)
		require.ErrorIs(t, err, fault.New(fault.ValidationError))
		require.Equal(t, []fault.Field{{Name: "inquiryMonth", Reason: reason}}, fault.From(err).Fields())
	}
	_, err := bill.ParseMonth("2026-12", time.Date(2026, 11, 30, 15, 0, 0, 0, time.UTC), 6)
	require.NoError(t, err, "the new month has begun in Seoul")
}

func TestCompleteAndFail(t *testing.T) {
	t.Parallel()
	asOf := now.Add(-time.Hour)
	q := bill.Inquiry{Status: bill.Processing, RequestedAt: now, Month: calendar.MonthOf(now)}
	c := bill.Copy{Version: [16]byte{7}, Bill: bill.Bill{ProductName: "P", Total: 1}, AsOf: asOf}
	done := q.Complete(c, freshness.FromCache, now)
	require.Equal(t, bill.Inquiry{
		Status: bill.Completed, Source: freshness.FromCache, RequestedAt: now, ProcessedAt: now, AsOf: asOf,
		Version: [16]byte{7}, Summary: "P, 1원",
		Month: q.Month,
	}, done)
	failed := q.Fail(fault.BillNotFound, now)
	require.Equal(t, bill.Failed, failed.Status)
	require.Equal(t, fault.BillNotFound, failed.FailureCode)
	require.Equal(t, now, failed.ProcessedAt)
	require.Equal(t, bill.Processing, q.Status, "values, not pointers")
}

func TestAfterTrouble(t *testing.T) {
	t.Parallel()
	const gap = bill.BackgroundGap
	for name, c := range map[string]struct {
		trouble     bill.Trouble
		interactive bool
		retryAfter  time.Duration
		status      bill.Status
		code        fault.Code
		attempts    int
		next        time.Duration
	}{
		"no such bill":               {bill.NoSuch, true, 0, bill.Failed, fault.BillNotFound, 1, 0},
		"no such bill, background":   {bill.NoSuch, false, 0, bill.Failed, fault.BillNotFound, 2, 0},
		"no such bill, last attempt": {bill.NoSuch, false, 0, bill.Failed, fault.BillNotFound, 3, 0},
		"broken, customer waits":     {bill.Broken, true, 0, bill.Failed, fault.ServiceUnavailable, 1, 0},
		"broken, background":         {bill.Broken, false, 0, bill.Processing, "", 2, gap},
		"broken, background, later":  {bill.Broken, false, time.Hour, bill.Processing, "", 2, time.Hour},
		"broken, last attempt":       {bill.Broken, false, 0, bill.Failed, fault.ServiceUnavailable, 3, 0},
		"no answer, customer waits":  {bill.NoAnswer, true, time.Minute, bill.Processing, "", 1, 0},
		"no answer, background":      {bill.NoAnswer, false, 0, bill.Processing, "", 2, gap},
		"no answer, last attempt":    {bill.NoAnswer, false, 0, bill.Timeout, fault.ServiceUnavailable, 3, 0},
		"not asked":                  {bill.NotAsked, true, 0, bill.Processing, "", 0, gap},
		"not asked, knows when":      {bill.NotAsked, true, time.Second, bill.Processing, "", 0, time.Second},
		"not asked, background":      {bill.NotAsked, false, time.Minute, bill.Processing, "", 2, time.Minute},
	} {
		q := bill.Inquiry{Status: bill.Processing, Attempts: c.attempts}.After(c.trouble, fault.BillNotFound, c.interactive,
			c.retryAfter, now)
		require.Equal(t, c.status, q.Status, name)
		require.Equal(t, c.code, q.FailureCode, name)
		require.Equal(t, c.attempts, q.Attempts, name)
		if q.Status == bill.Processing {
			require.Equal(t, now.Add(c.next), q.NextAttemptAt, name)
		}
	}
}

func TestFinal(t *testing.T) {
	t.Parallel()
	october := calendar.MonthOf(now).Add(-1)
	for name, c := range map[string]struct {
		month  calendar.Month
		status bill.PaymentStatus
		final  bool
	}{
		"paid, month over":     {october, bill.Paid, true},
		"paid in advance":      {calendar.MonthOf(now), bill.Paid, false},
		"unpaid, month over":   {october, bill.Unpaid, false},
		"overdue":              {october, bill.Overdue, false},
		"KOS states no status": {october, "", false},
	} {
		held := bill.Copy{Bill: bill.Bill{Month: c.month, Payment: bill.Payment{Status: c.status}}, AsOf: now}
		require.Equal(t, c.final, held.Final(), name)
		require.Equal(t, c.final, held.Limits(freshness.Bill) == freshness.Final, name)
		require.Equal(t, !c.final, held.Limits(freshness.Bill) == freshness.Bill, name)
		require.Equal(t, !c.final, held.HiddenBy(now.Add(1)), name)
		require.False(t, held.HiddenBy(now), name)
	}
}

// A copy of a release that wrote 0 for nothing is asked for again, is final never, and is shown as an old
// one at most.
func TestACopyThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	month := calendar.MonthOf(now).Add(-1)
	settled := bill.Copy{Bill: bill.Bill{Month: month, Payment: bill.Payment{Status: bill.Paid}}, AsOf: now}
	open := settled
	open.Bill.Payment.Status = bill.Unpaid
	decide := func(c bill.Copy, trust bill.Trust, age time.Duration) freshness.State {
		c.Trust = trust
		return c.Limits(freshness.Bill).Decide(c.AsOf, time.Time{}, now.Add(age), 0)
	}
	for _, age := range []time.Duration{-time.Second, 0, time.Minute, 8 * 24 * time.Hour, 400 * 24 * time.Hour} {
		require.Equal(t, freshness.Fresh, decide(settled, bill.Trusted, age))
		require.Equal(t, freshness.Stale, decide(settled, bill.Doubtful, age),
			"a settled bill does not become too old to be shown")
		require.Equal(t, freshness.Gone, decide(settled, bill.MadeUp, age))
		require.Equal(t, freshness.Gone, decide(open, bill.MadeUp, age))
	}
	require.Equal(t, freshness.Stale, decide(open, bill.Doubtful, 0))
	require.Equal(t, freshness.Gone, decide(open, bill.Doubtful, 7*24*time.Hour))
	for _, trust := range []bill.Trust{bill.Doubtful, bill.MadeUp} {
		c := settled
		c.Trust = trust
		require.False(t, c.Final())
		require.False(t, c.HiddenBy(now.Add(1)), "no change moves it all the same")
	}
	q := bill.Inquiry{Status: bill.Completed, Source: freshness.FromCache}
	for trust, want := range map[bill.Trust]freshness.Source{
		bill.Trusted: freshness.FromCache, bill.Doubtful: freshness.FromStale, bill.MadeUp: freshness.FromCache,
	} {
		c := settled
		c.Trust = trust
		shown, b := q.Recall(c)
		require.Equal(t, want, shown.Source)
		require.Equal(t, trust != bill.MadeUp, b != nil)
	}
}

// TestAttemptsAreBounded: whatever happens, an inquiry asks KOS at most three times, and not-asked costs nothing.
func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		q := bill.Inquiry{Status: bill.Processing}
		asked := 0
		for i := range 20 {
			trouble := bill.Trouble(rapid.IntRange(int(bill.NotAsked), int(bill.NoSuch)).Draw(t, "trouble"))
			if trouble != bill.NotAsked {
				asked++
			}
			q.Attempts = asked
			q = q.After(trouble, fault.BillNotFound, i == 0, time.Duration(rapid.IntRange(0, 60).Draw(t, "retry"))*time.Second,
				now)
			require.Equal(t, asked, q.Attempts)
			require.LessOrEqual(t, asked, bill.MaxAttempts)
			if q.Status != bill.Processing {
				return
			}
			require.False(t, q.NextAttemptAt.Before(now))
		}
	})
}

func TestATimeoutIsAFailureToOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status, public bill.Status
		final, failure bool
	}{
		{bill.Processing, bill.Processing, false, false},
		{bill.Completed, bill.Completed, true, false},
		{bill.Failed, bill.Failed, true, true},
		{bill.Timeout, bill.Failed, true, true},
	} {
		require.Equal(t, c.public, c.status.Public())
		require.Equal(t, c.final, c.status.Final())
		require.Equal(t, c.failure, c.status.Failure())
		require.Equal(t, c.failure, bill.Inquiry{Status: c.status, FailureCode: fault.BillNotFound}.Reason() != "")
	}
	require.Contains(t, bill.Inquiry{Status: bill.Timeout}.Reason(), "응답이 없어")
	require.Equal(t, "해당 월의 요금 정보가 없습니다", bill.Inquiry{
		Status: bill.Failed, FailureCode: fault.BillNotFound,
	}.Reason())
}

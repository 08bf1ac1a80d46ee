package operations_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/freshness"
	"phonebill/core/operations"
	"phonebill/core/quota"
)

func from(name string, s operations.Status) operations.Answer {
	return operations.Answer{Instance: operations.Instance{Service: "bill-inquiry", Name: name}, Status: s}
}

func silent(name string, why operations.Trouble) operations.Answer {
	return operations.Answer{Instance: operations.Instance{Service: "bill-inquiry", Name: name}, Trouble: why}
}

func TestReachedAndUnreached(t *testing.T) {
	t.Parallel()
	a, b, c := from("a", operations.Status{}), silent("b", operations.TooSlow), from("c", operations.Status{})
	require.Equal(t, []operations.Answer{a, c}, operations.Reached([]operations.Answer{a, b, c}))
	require.Equal(t, []operations.Answer{b}, operations.Unreached([]operations.Answer{a, b, c}))
	require.Empty(t, operations.Reached(nil))
	require.Empty(t, operations.Unreached(nil))
}

func TestLedger(t *testing.T) {
	t.Parallel()
	status := func(budget int, ledger bool) operations.Status {
		return operations.Status{Quota: &operations.Quota{Budget: budget, Ledger: ledger}}
	}
	for name, c := range map[string]struct {
		all    []operations.Answer
		budget int // 0 = no ledger
		asked  bool
	}{
		"no instance":              {nil, 0, false},
		"no instance responds":     {[]operations.Answer{silent("a", operations.NoConnection)}, 0, false},
		"no instance has a budget": {[]operations.Answer{from("a", operations.Status{})}, 0, false},
		"one":                      {[]operations.Answer{from("a", status(7, true))}, 7, true},
		"the first of equals":      {[]operations.Answer{from("a", status(7, true)), from("b", status(8, true))}, 7, true},
		"without a budget": {[]operations.Answer{from("a", operations.Status{}), from("b", status(8, true))}, 8,
			true},
		"an instance with the ledger counts more": {[]operations.Answer{from("a", status(7, false)),
			from("b", status(8, true))}, 8, true},
		"none can ask": {[]operations.Answer{from("a", status(7, false)), from("b", status(8, false))}, 7, false},
		"a silent instance does not count": {[]operations.Answer{
			{Status: status(9, true), Trouble: operations.TooSlow}, from("b", status(8, false)),
		}, 8, false},
	} {
		got := operations.Ledger(c.all)
		if c.budget == 0 {
			require.Nil(t, got, name)
			continue
		}
		require.NotNil(t, got, name)
		require.Equal(t, c.budget, got.Budget, name)
		require.Equal(t, c.asked, got.Ledger, name)
	}
}

func TestTotal(t *testing.T) {
	t.Parallel()
	count := func(kind freshness.Kind, n int64) operations.Cache {
		return operations.Cache{Kind: kind, Counts: freshness.Counts{Hits: 8 * n, Stale: n, Misses: 2 * n, Coalesced: 5 * n}}
	}
	for name, c := range map[string]struct{ all, want []operations.Cache }{
		"none": {nil, nil},
		"one":  {[]operations.Cache{count(freshness.Bills, 1)}, []operations.Cache{count(freshness.Bills, 1)}},
		"of one kind": {[]operations.Cache{count(freshness.Bills, 1), count(freshness.Bills, 3)},
			[]operations.Cache{count(freshness.Bills, 4)}},
		"kinds do not meet": {
			[]operations.Cache{count(freshness.Plans, 1), count(freshness.Bills, 2), count(freshness.Plans, 3)},
			[]operations.Cache{count(freshness.Plans, 4), count(freshness.Bills, 2)},
		},
	} {
		require.Equal(t, c.want, operations.ByKind(c.all), name)
		var answers []operations.Answer
		for _, cache := range c.all {
			answers = append(answers, from("x", operations.Status{Caches: []operations.Cache{cache}}),
				operations.Answer{Status: operations.Status{Caches: []operations.Cache{cache}}, Trouble: operations.BadAnswer})
		}
		require.Equal(t, c.want, operations.Total(answers), name)
	}
	stale := operations.ByKind([]operations.Cache{count(freshness.Bills, 1), count(freshness.Bills, 1)})[0].Counts
	require.InDelta(t, 0.5, stale.HitRate(), 1e-9, "neither STALE nor waiting is a hit, also in the sum")
}

func TestQuotaSums(t *testing.T) {
	t.Parallel()
	q := operations.Quota{
		Spent:   quota.Shares{quota.Change: 1, quota.Read: 20, quota.Refresh: 300},
		Waiting: quota.Shares{quota.Read: 4, quota.Prefetch: 50},
	}
	require.Equal(t, 321, q.Used())
	require.Equal(t, 54, q.Queued())
	require.False(t, q.IsSqueezed())
	q.Squeezed = time.Unix(1_800_000_000, 0)
	require.True(t, q.IsSqueezed())
}

func TestTroublesHaveTexts(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, trouble := range []operations.Trouble{operations.NoConnection, operations.TooSlow, operations.Refused,
		operations.BadAnswer, operations.Gone} {
		require.NotEmpty(t, trouble.Message())
		require.False(t, seen[trouble.Message()])
		seen[trouble.Message()] = true
	}
	require.Empty(t, operations.Trouble("").Message())
}

package portstest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/freshness"
	"phonebill/core/operations"
	"phonebill/core/quota"
	"phonebill/core/upstream"
	"phonebill/ports"
)

// InstanceKind is how an instance of the suite of ports.Instances behaves.
type InstanceKind int

// The kinds, in the order in which the instances are configured.
const (
	WellInstance     InstanceKind = iota // returns the status
	EmptyInstance                        // returns the zero status but for the service's name
	RefusingInstance                     // wants another token
	StrangeInstance                      // is something else
	HangingInstance                      // never responds
	DeadInstance                         // nothing listens
)

// Instances is the suite of ports.Instances. open configures one instance of each kind, in order, all of the status's
// service.
func Instances(t *testing.T, open func(t *testing.T, well operations.Status) ports.Instances) {
	t.Helper()
	status := operations.Status{
		Service: "bill-inquiry",
		Breakers: []operations.Breaker{
			{Name: "bill.inquiry", State: operations.Open, Failures: 5, Since: start, RetryAt: start.Add(30 * time.Second)},
			{Name: "mvnoap", State: operations.Closed, Since: start},
		},
		Quota: &operations.Quota{
			Window: quota.Default(), Budget: 68, Squeezed: start.Add(time.Minute), Ledger: true,
			Leased: 3, Floor: operations.Floor{Calls: 2, Until: start.Add(10 * time.Minute)},
			Spent: quota.Shares{1, 2, 3, 4}, Waiting: quota.Shares{quota.Read: 7},
			ETA: [len(quota.Shares{})]time.Duration{quota.Read: 1500 * time.Millisecond},
		},
		Caches: []operations.Cache{
			{Kind: freshness.Bills, Counts: freshness.Counts{Hits: 1, Stale: 2, Misses: 3, Coalesced: 4}},
			{Kind: freshness.Plans},
		},
		Process: operations.Process{
			ID: "3f", Release: "0.9.0", Started: start, Uptime: 90 * time.Minute, Readiness: operations.Draining,
		},
		Upstreams: []operations.Upstream{
			{
				Service: "auth", Limit: 256, InFlight: 3, Waiting: 2,
				Breaker: operations.Breaker{Name: "auth", State: operations.Open, Failures: 6, Since: start, RetryAt: start},
				Instances: []operations.UpstreamInstance{
					{Name: "a:1", State: upstream.Up, InFlight: 4, Since: start},
					{Name: "a:2", State: upstream.Away, Failures: 2, Since: start.Add(time.Second)},
				},
			},
			{
				Service: "product-change",
				Breaker: operations.Breaker{Name: "product-change", State: operations.Closed, Since: start},
			},
		},
	}
	all := open(t, status)
	configured := all.All(t.Context())
	require.Len(t, configured, int(DeadInstance)+1)
	ask := func(kind InstanceKind) (operations.Status, error) { return all.Status(t.Context(), configured[kind]) }

	t.Run("all are listed, always the same, each by its own name", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, configured, all.All(t.Context()))
		seen := map[operations.Instance]bool{}
		for _, i := range configured {
			require.Equal(t, status.Service, i.Service)
			require.NotEmpty(t, i.Name)
			require.False(t, seen[i])
			seen[i] = true
		}
		clear(all.All(t.Context()))
		require.Equal(t, configured, all.All(t.Context()), "the list is the caller's own")
		require.Equal(t, configured, all.All(t.Context(), "auth", status.Service))
		require.Empty(t, all.All(t.Context(), "auth"))
	})
	t.Run("the whole status is returned", func(t *testing.T) {
		t.Parallel()
		got, err := ask(WellInstance)
		require.NoError(t, err)
		require.Equal(t, status, got)
	})
	t.Run("what there is none of is empty", func(t *testing.T) {
		t.Parallel()
		got, err := ask(EmptyInstance)
		require.NoError(t, err)
		require.Equal(t, operations.Status{Service: status.Service}, got)
	})
	t.Run("refusing", func(t *testing.T) {
		t.Parallel()
		_, err := ask(RefusingInstance)
		require.ErrorIs(t, err, ports.ErrRefused)
	})
	t.Run("another program", func(t *testing.T) {
		t.Parallel()
		_, err := ask(StrangeInstance)
		require.ErrorIs(t, err, ports.ErrBadAnswer)
	})
	t.Run("down, or not configured", func(t *testing.T) {
		t.Parallel()
		for _, i := range []operations.Instance{configured[DeadInstance], {Service: status.Service, Name: "nothing:1"}} {
			_, err := all.Status(t.Context(), i)
			require.Error(t, err)
			require.NotErrorIs(t, err, ports.ErrRefused)
			require.NotErrorIs(t, err, ports.ErrBadAnswer)
			require.NotErrorIs(t, err, context.DeadlineExceeded)
		}
	})
	t.Run("a hanging instance costs the caller's timeout", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := all.Status(ctx, configured[HangingInstance])
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

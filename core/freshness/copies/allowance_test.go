package copies_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/quota"
	"phonebill/ports"
)

// allowing gives each customer so many calls an hour, over all processes.
func (w *world) allowing(calls int) {
	shared := memory.NewAllowances(quota.Allowance{{Calls: calls, Per: time.Hour}}, time.Now)
	for _, p := range w.processes {
		p.Allowances = shared
	}
}

// get asks for a customer about a subject of its own.
func (w *world) get(process, subject int, customer auth.UserID) error {
	q := w.query()
	q.Subject = freshness.Subject{Kind: freshness.Kind(rune('a' + subject))}
	q.Call.Payer = ports.Payer{Customer: customer}
	_, err := w.processes[process].Get(context.Background(), q)
	return err
}

func TestACustomersCallsEndWithTheAllowance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(2)
		w.allowing(3)
		w.trouble = func(int) error { return fault.New(fault.BillNotFound) }
		for i := range 10 {
			want := fault.BillNotFound
			if i >= 3 {
				want = fault.RateLimitExceeded
			}
			require.ErrorIs(t, w.get(i%2, i, "loop"), fault.New(want), i)
		}
		require.Equal(t, 3, w.calls, "KOS's no is paid for too")
		require.ErrorIs(t, w.get(0, 20, "other"), fault.New(fault.BillNotFound), "others have their own")
	})
}

// TestEachTryIsPaidFor: the tries for one question are calls like any other.
func TestEachTryIsPaidFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.allowing(2)
		w.takes, w.trouble = 10*time.Millisecond, broken
		require.Error(t, w.get(0, 0, "loop"))
		require.Equal(t, 2, w.calls)
	})
}

func TestACallThatWasNotMadeIsFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.allowing(1)
		w.trouble = func(int) error {
			return fault.New(fault.ServiceUnavailable).RetryIn(time.Second).Because(ports.ErrNotAsked)
		}
		for i := range 5 {
			require.ErrorIs(t, w.get(0, i, "patient"), fault.New(fault.ServiceUnavailable), i)
		}
		w.trouble = nil
		require.NoError(t, w.get(0, 9, "patient"))
	})
}

func TestCopiesAndRenewalsAreFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.allowing(1)
		w.hold(30 * time.Second)
		q := w.query()
		q.Call.Payer, q.Policy.RefreshAhead = ports.Payer{Customer: "reader"}, true
		for range 5 {
			_, err := w.processes[0].Get(t.Context(), q)
			require.NoError(t, err)
		}
		w.processes[0].Wait()
		w.held = nil
		require.NoError(t, w.get(0, 1, "reader"), "nothing is spent")

		w.hold(2 * time.Minute)
		of(q).mayServeStale = func(err error, _ int) bool { return fault.From(err).Kind() == fault.RateLimited }
		got, err := w.processes[0].Get(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, freshness.FromStale, got.Source, "what is held is shown when the allowance is spent")
	})
}

// TestARefreshIsPaidFor, as what it repeats was.
func TestARefreshIsPaidFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.allowing(2)
		q := w.query()
		q.Call.Payer, q.Policy.RefreshAhead = ports.Payer{Customer: "reader"}, true
		w.trouble = func(int) error { return fault.New(fault.BillNotFound) }
		for i := range 5 {
			q.Subject = freshness.Subject{Kind: freshness.Kind(rune('a' + i))}
			w.processes[0].RefreshInBackground(t.Context(), q)
			w.processes[0].Wait()
		}
		require.Equal(t, 2, w.calls)
	})
}

// TestASpentAllowanceStopsNoOtherCustomer: those who wait for the same question ask it themselves.
func TestASpentAllowanceStopsNoOtherCustomer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.allowing(1)
		w.takes = 100 * time.Millisecond
		w.trouble = func(call int) error {
			if call == 1 {
				return broken(call)
			}
			return nil
		}
		var all sync.WaitGroup
		errs := make([]error, 2)
		for i, customer := range []auth.UserID{"spent", "other"} {
			all.Go(func() {
				<-time.After(time.Duration(i) * 10 * time.Millisecond)
				errs[i] = w.get(0, 0, customer)
			})
		}
		all.Wait()
		require.ErrorIs(t, errs[0], fault.New(fault.RateLimitExceeded), "the second try is beyond it")
		require.NoError(t, errs[1])
	})
}

func TestWhatWasAcceptedIsCarriedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.allowing(2)
		for i := range 4 {
			q := w.query()
			q.Subject.Kind = freshness.Kind(rune('a' + i))
			q.Call.Payer = ports.Payer{Customer: "buyer", Accepted: true}
			w.held = nil
			_, err := w.processes[0].Get(t.Context(), q)
			require.NoError(t, err)
		}
		require.Equal(t, 4, w.calls)
		w.held = nil
		require.ErrorIs(t, w.get(0, 9, "buyer"), fault.New(fault.RateLimitExceeded), "and is paid for afterwards")
	})
}

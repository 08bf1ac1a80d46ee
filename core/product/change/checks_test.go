package change_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/core/request"
)

// TestACheckAloneSpendsNothingOfWhatOrdersMay: trying plans out, over and over, is reading; KOS's share for
// changes is for orders.
func TestACheckAloneSpendsNothingOfWhatOrdersMay(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		reader := newWorld(t).kos // the same KOS in another lane
		checks := *w.FactsForPreview
		checks.KOS = reader
		w.FactsForPreview = &checks
		for _, to := range []string{"5G", "5G-S", "3G"} {
			_, err := w.PreCheck(t.Context(), w.me, w.command(to))
			require.NoError(t, err)
		}
		require.Zero(t, w.kos.Calls)
		require.Equal(t, 2, reader.Calls, "the plan list once, the customer once in these seconds")
		_, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.NoError(t, err)
		require.Equal(t, 2, reader.Calls)
		require.NotZero(t, w.kos.Calls, "an order asks in its own lane")
	})
}

// TestChecksInALoopAskKOSOnceInAWhile: a check may use facts a few seconds old, the order itself none that are older
// than itself.
func TestChecksInALoopAskKOSOnceInAWhile(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		check := func(want bool) {
			t.Helper()
			v, err := w.PreCheck(t.Context(), w.me, w.command("5G"))
			require.NoError(t, err)
			require.Equal(t, want, v.OK())
		}
		for range 10 {
			check(true)
		}
		require.Equal(t, 2, w.kos.Calls, "the plan list and the customer")
		w.customer(func(c *product.Customer) { c.LineStatus = product.LineSuspended })
		check(true)
		_, err := w.Request(t.Context(), w.me, w.command("5G"))
		require.ErrorIs(t, err, fault.New(fault.LineSuspended), "the order asks for itself")
		calls := w.kos.Calls
		check(false)
		require.Equal(t, calls, w.kos.Calls, "what the order learnt serves the check")
		<-time.After(10*time.Second + time.Millisecond)
		check(false)
		require.Equal(t, calls+1, w.kos.Calls)
	})
}

// TestACustomerWhoseAllowanceIsSpent is refused before an order is made, and an order that was made is carried out.
func TestACustomerWhoseAllowanceIsSpent(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.allowed = quota.Allowance{{Calls: 2, Per: time.Hour}}
		w.Service = w.service()
		key, err := request.ParseKey(`"first"`)
		require.NoError(t, err)
		first := w.command("5G")
		first.Key = key
		done, err := w.Request(t.Context(), w.me, first)
		require.NoError(t, err)
		require.Equal(t, product.Completed, done.State, "its own calls, one more than the allowance, are made")

		_, err = w.Request(t.Context(), w.me, w.command("5G-S"))
		require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded))
		require.InDelta(t, time.Hour, fault.From(err).RetryAfter(), float64(5*time.Second))
		_, total, err := w.History(t.Context(), w.me, product.HistoryFilter{Page: 1, Size: 20})
		require.NoError(t, err)
		require.Equal(t, 1, total, "nothing is stored of what was refused")
		again, err := w.Request(t.Context(), w.me, first)
		require.NoError(t, err)
		require.Equal(t, done.ID, again.ID, "a repeat costs nothing")

		calls := w.kos.Calls
		<-time.After(11 * time.Second)
		_, err = w.PreCheck(t.Context(), w.me, w.command("5G-S"))
		require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded))
		require.Equal(t, calls, w.kos.Calls)
		<-time.After(time.Hour)
		_, err = w.PreCheck(t.Context(), w.me, w.command("5G-S"))
		require.NoError(t, err, "the Retry-After was true")
	})
}

// TestAChangeOfALineThatIsAnothersNow is never sent: the check does not judge another customer's contract, and the
// order ends.
func TestAChangeOfALineThatIsAnothersNow(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.customer(func(c *product.Customer) { c.CustomerID = "C2" })
		_, err := w.PreCheck(t.Context(), w.me, w.command("5G"))
		require.ErrorIs(t, err, fault.New(fault.LineNotFound))
		_, err = w.Request(t.Context(), w.me, w.command("5G"))
		require.ErrorIs(t, err, fault.New(fault.LineNotFound))
		page, total, err := w.History(t.Context(), w.me, product.HistoryFilter{Page: 1, Size: 20})
		require.NoError(t, err)
		require.Equal(t, 1, total)
		require.Equal(t, product.Failed, page[0].State)
		require.Zero(t, page[0].Sends)
		require.Len(t, w.alerts.Raised(), 1)
	})
}

package inquiry_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/line"
	"phonebill/ports"
)

// numbering is a KOS that notes the number of each attempt, and what the row said of it then.
type numbering struct {
	*source
	rows    *inquiries
	numbers []int
	counted []int
}

func (n *numbering) Bill(ctx context.Context, call ports.Call, l line.Number, m calendar.Month) (bill.Bill, error) {
	q, err := n.rows.Get(ctx, call.RequestID)
	if err != nil {
		return bill.Bill{}, err
	}
	n.numbers, n.counted = append(n.numbers, call.Attempt), append(n.counted, q.Attempts)
	return n.source.Bill(ctx, call, l, m)
}

func numbered(w *world) *numbering {
	n := &numbering{source: w.source, rows: w.inquiries}
	w.Source = n
	return n
}

// TestWorkersThatDieInTheirAttemptHaveMadeIt: none of them saves what came of it, nor does the customer's own request.
func TestWorkersThatDieInTheirAttemptHaveMadeIt(t *testing.T) {
	t.Parallel()
	for name, held := range map[string]bool{"nothing held": false, "stale copy held": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, w *world) {
				if held {
					w.ask(t)
					time.Sleep(2 * time.Hour)
				}
				kos, before := numbered(w), w.source.calls()
				w.source.set(time.Hour)
				w.inquiries.save = errBackend
				r := w.ask(t)
				for range 300 {
					_, _ = w.Step(t.Context(), 10)
					time.Sleep(time.Second)
				}
				require.Equal(t, []int{1, 2, 3}, kos.numbers)
				require.Equal(t, kos.numbers, kos.counted, "each is counted before it is made")
				asked := w.source.asked[before:]
				require.GreaterOrEqual(t, asked[2].Sub(asked[1]), bill.BackgroundGap)

				w.Wait()
				w.inquiries.save = nil
				w.work(t, time.Minute)
				end := w.read(t, r.Inquiry.ID)
				require.Len(t, kos.numbers, 3)
				require.Equal(t, 3, end.Attempts)
				if held {
					require.Equal(t, freshness.FromStale, end.Source)
				} else {
					require.Equal(t, bill.Timeout, end.Status)
				}
			})
		})
	}
}

// TestTheCustomersOwnTriesAreCountedOneByOne: the process may die in any of them.
func TestTheCustomersOwnTriesAreCountedOneByOne(t *testing.T) {
	t.Parallel()
	hiccup := fault.New(fault.ServiceUnavailable).Because(ports.ErrTransient)
	bubble(t, func(t *testing.T, w *world) {
		kos := numbered(w)
		w.source.set(0, hiccup, hiccup)
		require.Equal(t, 3, w.ask(t).Inquiry.Attempts)
		require.Equal(t, []int{1, 2, 3}, kos.numbers)
		require.Equal(t, kos.numbers, kos.counted)
	})
	bubble(t, func(t *testing.T, w *world) {
		kos, failing := numbered(w), true
		w.source.set(0, hiccup)
		w.inquiries.beforeSave = func() {
			if w.inquiries.save = nil; failing {
				w.inquiries.save = fault.New(fault.ServiceUnavailable)
			}
			failing = false
		}
		r := w.ask(t)
		require.Equal(t, bill.Processing, r.Inquiry.Status, "what cannot be counted is not asked; the background goes on")
		require.Equal(t, []int{1}, kos.numbers)
		w.work(t, time.Minute)
		require.Equal(t, []int{1, 2}, kos.numbers)
		require.Equal(t, freshness.FromKOS, w.read(t, r.Inquiry.ID).Source)
	})
}

// TestAnAttemptThatWasNotMadeIsGivenBack however often the inquiry is claimed.
func TestAnAttemptThatWasNotMadeIsGivenBack(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(0, notAsked(), notAsked(), notAsked(), notAsked(), notAsked())
		r := w.ask(t)
		require.Zero(t, r.Inquiry.Attempts)
		w.work(t, 90*time.Second)
		require.Equal(t, 5, w.source.calls())
		require.Zero(t, w.read(t, r.Inquiry.ID).Attempts)
		w.work(t, 30*time.Second)
		end := w.read(t, r.Inquiry.ID)
		require.Equal(t, freshness.FromKOS, end.Source)
		require.Equal(t, 1, end.Attempts)
	})
}

// leaves stops the worker's process in the call of Claim, or a while after.
func (w *world) leaves(t *testing.T, after time.Duration) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if after == 0 {
		stop()
	} else {
		time.AfterFunc(after, stop)
	}
	n, err := w.Step(ctx, 10)
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// TestAWorkerThatIsStoppedMakesNoneOfTheAttempts that KOS never heard of: neither when it is stopped right after
// claiming the inquiry, nor while it waits for its turn. However often that is, the inquiry does not end for it.
func TestAWorkerThatIsStoppedMakesNoneOfTheAttempts(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]time.Duration{"before the attempt": 0, "in its turn": time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, w *world) {
				w.source.set(0, notAsked())
				r := w.ask(t)
				for range 5 {
					time.Sleep(time.Minute)
					w.source.set(3*time.Second, notAsked()) // it waits for its turn so long, and gets none
					w.leaves(t, after)
					q := w.read(t, r.Inquiry.ID)
					require.Equal(t, bill.Processing, q.Status)
					require.Zero(t, q.Attempts)
					require.False(t, q.NextAttemptAt.After(time.Now().Add(bill.BackgroundGap)),
						"the next one need not wait for the lease")
				}
				w.source.set(0)
				w.work(t, time.Minute)
				end := w.read(t, r.Inquiry.ID)
				require.Equal(t, freshness.FromKOS, end.Source)
				require.Equal(t, 1, end.Attempts)
			})
		})
	}
}

// TestAWorkerThatIsStoppedInItsAttemptSavesWhatCameOfIt: the call had begun, and its bill is not asked for again.
func TestAWorkerThatIsStoppedInItsAttemptSavesWhatCameOfIt(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(0, notAsked())
		r := w.ask(t)
		w.source.set(3 * time.Second)
		time.Sleep(time.Minute)
		w.leaves(t, time.Second)
		end := w.read(t, r.Inquiry.ID)
		require.Equal(t, freshness.FromKOS, end.Source)
		require.Equal(t, 1, end.Attempts)
	})
}

// TestAWorkerThatIsStoppedStillFindsTheLastGoodCopy of an inquiry whose attempts are used up.
func TestAWorkerThatIsStoppedStillFindsTheLastGoodCopy(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.ask(t)
		time.Sleep(2 * time.Hour)
		lost := bill.Inquiry{
			ID: w.NewID(), UserID: w.me.UserID, CustomerID: w.me.CustomerID, Line: w.line, Month: calendar.MonthOf(time.Now()),
			Status: bill.Processing, RequestedAt: time.Now(), NextAttemptAt: time.Now(), Attempts: bill.MaxAttempts,
		}
		require.NoError(t, w.inquiries.Add(t.Context(), lost))
		w.leaves(t, 0)
		require.Equal(t, freshness.FromStale, w.read(t, lost.ID).Source)
	})
}

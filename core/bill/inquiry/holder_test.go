package inquiry_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/ports"
)

// given makes KOS name that customer for the line from now on, with a bill of that customer's.
func (w *world) given(customer string) {
	w.source.AddCustomer(product.Customer{Line: w.line, CustomerID: customer}, &bill.Bill{
		ProductName: "요금제 " + customer, Total: 1000,
	})
}

// namesNobody makes calls for a customer err from now on, or work again with nil.
func (s *source) namesNobody(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nameless = err
}

// namings is how often KOS was asked for a customer.
func (s *source) namings() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.named
}

func (w *world) elsewhere(t *testing.T) (alerts int) {
	t.Helper()
	for _, a := range w.alerts.Raised() {
		require.Equal(t, operations.LineElsewhere, a.Kind)
		require.NotContains(t, a.Subject+a.Note, w.line.Digits())
		require.NotContains(t, a.Subject+a.Note, string(w.me.UserID))
		alerts++
	}
	return alerts
}

// TestALineThatIsAnothersNow: the account sees nothing of the number's new customer, and one alert is raised.
func TestALineThatIsAnothersNow(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.given("C2")
		_, err := w.Ask(t.Context(), w.me, w.line, "")
		require.ErrorIs(t, err, fault.New(fault.LineNotFound))
		request, err := id.Parse(fault.From(err).Details()["requestId"])
		require.NoError(t, err)
		failed := w.read(t, request)
		require.Equal(t, bill.Failed, failed.Status, "which is what is delivered")
		require.Zero(t, failed.Version)
		calls := w.source.calls()
		for range 5 {
			r, err := w.Ask(t.Context(), w.me, w.line, "")
			require.ErrorIs(t, err, fault.New(fault.LineNotFound))
			require.Nil(t, r.Bill)
		}
		require.Equal(t, calls, w.source.calls(), "it is known now")
		require.Equal(t, 1, w.elsewhere(t))

		now := w.me
		now.UserID, now.CustomerID = "new", "C2"
		r, err := w.Ask(t.Context(), now, w.line, "")
		require.NoError(t, err)
		require.Equal(t, "요금제 C2", r.Bill.ProductName)
		require.Equal(t, freshness.FromCache, r.Inquiry.Source)
	})
}

// TestBillsFromBeforeTheNumberWasGivenAway are shown to their customer's account alone, and to that no more once KOS
// names another.
func TestBillsFromBeforeTheNumberWasGivenAway(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		mine := w.ask(t)
		require.Equal(t, "5G 프리미엄 플랜", mine.Bill.ProductName)
		w.given("C2")
		<-time.After(5 * time.Hour)
		now := w.me
		now.UserID, now.CustomerID = "new", "C2"
		w.source.set(0, notAsked())
		r, err := w.Ask(t.Context(), now, w.line, "")
		require.NoError(t, err)
		require.Equal(t, bill.Processing, r.Inquiry.Status, "another's bill is not shown as an old one")
		w.work(t, 2*time.Minute)
		r, err = w.Get(t.Context(), now, r.Inquiry.ID, 0)
		require.NoError(t, err)
		require.Equal(t, "요금제 C2", r.Bill.ProductName)

		_, err = w.Get(t.Context(), w.me, mine.Inquiry.ID, 0)
		require.ErrorIs(t, err, fault.New(fault.LineNotFound))
		_, err = w.Ask(t.Context(), w.me, w.line, "")
		require.ErrorIs(t, err, fault.New(fault.LineNotFound))
		page, total, err := w.History(t.Context(), w.me, bill.HistoryFilter{Page: 1, Size: 20})
		require.NoError(t, err)
		require.Equal(t, 1, total)
		require.Empty(t, page[0].Summary)
	})
}

// TestACopyThatNamesNoCustomer is of a release that did not ask whose line it is: it is an old copy until KOS names the
// line's customer, and none at all when that is another.
func TestACopyThatNamesNoCustomer(t *testing.T) {
	t.Parallel()
	for _, trust := range []bill.Trust{bill.Trusted, bill.Doubtful} {
		bubble(t, func(t *testing.T, w *world) {
			c := w.hold(t, 1, trust, bill.Paid, calendar.MonthOf(time.Now()))
			c.Version, c.Holder, c.AsOf = id.ID{15: 2}, "", time.Now().Add(time.Millisecond)
			require.NoError(t, w.bills.Put(t.Context(), c))
			w.source.set(0, notAsked(), notAsked())
			require.Equal(t, freshness.FromStale, w.ask(t).Inquiry.Source)

			w.given("C2")
			<-time.After(5 * time.Hour) // the call for the customer went on, and named C1
			_, err := w.Holders.Find(t.Context(), ports.Call{}, w.line)
			require.NoError(t, err)
			w.source.set(0, notAsked())
			_, err = w.Ask(t.Context(), w.me, w.line, "")
			require.ErrorIs(t, err, fault.New(fault.LineNotFound))
		})
	}
}

// TestAnAccountWithoutACustomer takes the first that KOS names, for all its lines, unless it says that each has its
// own.
func TestAnAccountWithoutACustomer(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		other := w.me.Lines[1]
		w.source.AddCustomer(product.Customer{Line: other, CustomerID: "C2"}, &bill.Bill{ProductName: "P", Total: 1})
		w.me.CustomerID = ""
		require.Equal(t, freshness.FromKOS, w.ask(t).Inquiry.Source)
		require.Equal(t, freshness.FromCache, w.ask(t).Inquiry.Source)
		_, err := w.Ask(t.Context(), w.me, other, "")
		require.ErrorIs(t, err, fault.New(fault.LineNotFound))

		w.me.UserID, w.me.CustomerID = "company", auth.PerLine
		for _, n := range w.me.Lines {
			_, err := w.Ask(t.Context(), w.me, n, "")
			require.NoError(t, err)
		}
		w.given("C3")
		<-time.After(5 * time.Hour)
		_, err = w.Ask(t.Context(), w.me, w.line, "")
		require.ErrorIs(t, err, fault.New(fault.LineNotFound), "each line is bound by itself")
	})
}

// TestABillOfWhichKOSDoesNotSayWhoseItIs is not shown. The last good copy of the account's own bills is, and else the
// inquiry goes on.
func TestABillOfWhichKOSDoesNotSayWhoseItIs(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.namesNobody(broken())
		began := time.Now()
		r := w.ask(t)
		require.Equal(t, bill.Processing, r.Inquiry.Status)
		require.LessOrEqual(t, time.Since(began), 3*time.Second)
		w.source.namesNobody(nil)
		w.work(t, 2*time.Minute)
		require.Equal(t, bill.Completed, w.read(t, r.Inquiry.ID).Status)

		<-time.After(5 * time.Hour)
		w.source.namesNobody(broken())
		r = w.ask(t)
		for r.Inquiry.Status == bill.Processing {
			w.work(t, time.Minute)
			var err error
			r, err = w.Get(t.Context(), w.me, r.Inquiry.ID, 0)
			require.NoError(t, err)
		}
		require.Equal(t, freshness.FromStale, r.Inquiry.Source, "the last good copy is the customer's own")
	})
}

// TestWhoseALineIsIsAskedOnceInFourHours, at the same time as the bill.
func TestWhoseALineIsIsAskedOnceInFourHours(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		began := time.Now()
		w.ask(t)
		require.Equal(t, 500*time.Millisecond, time.Since(began), "as long as the bill alone takes")
		for i := range 5 {
			_, err := w.Ask(t.Context(), w.me, w.line, w.month(i))
			require.NoError(t, err)
			<-time.After(30 * time.Minute)
		}
		require.Equal(t, 1, w.source.namings())
		require.Equal(t, 5, w.source.calls())
	})
}

// TestALineThatComesBack is asked about again when what is known of it is old, and what KOS said before is not shown
// until then.
func TestALineThatComesBack(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.ask(t)
		w.given("C2")
		<-time.After(5 * time.Hour)
		_, err := w.Ask(t.Context(), w.me, w.line, "")
		require.ErrorIs(t, err, fault.New(fault.LineNotFound))
		<-time.After(5 * time.Hour)
		w.source.set(0, notAsked())
		w.source.namesNobody(notAsked())
		r := w.ask(t)
		require.Equal(t, bill.Processing, r.Inquiry.Status, "the copy from before is not shown")
		w.source.namesNobody(nil)
		w.given("C1")
		w.work(t, 2*time.Minute)
		r, err = w.Get(t.Context(), w.me, r.Inquiry.ID, 0)
		require.NoError(t, err)
		require.Equal(t, "요금제 C1", r.Bill.ProductName)
	})
}

// TestABillWhoseHolderCannotBeAskedForCostsNothing: where the breaker or the budget keeps the call for the line's
// customer from leaving, no call for a bill is made either. No attempt is spent, the inquiry goes on and ends well.
func TestABillWhoseHolderCannotBeAskedForCostsNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.namesNobody(notAsked())
		began := time.Now()
		r := w.ask(t)
		require.Equal(t, bill.Processing, r.Inquiry.Status)
		w.work(t, 5*time.Minute)
		require.Zero(t, w.source.calls())
		open := w.read(t, r.Inquiry.ID)
		require.Equal(t, bill.Processing, open.Status)
		require.Zero(t, open.Attempts)
		require.Equal(t, open.NextAttemptAt.Sub(began)%(20*time.Second), time.Duration(0), "the holder's Retry-After")

		w.source.namesNobody(nil)
		w.work(t, time.Minute)
		require.Equal(t, bill.Completed, w.read(t, r.Inquiry.ID).Status)
		require.Equal(t, 1, w.source.calls())
	})
	bubble(t, func(t *testing.T, w *world) {
		w.ask(t)
		<-time.After(5 * time.Hour) // the customer's copy is stale, which does not state whose the line is now
		w.source.namesNobody(notAsked())
		r, err := w.Ask(t.Context(), w.me, w.line, w.month(1))
		require.NoError(t, err)
		require.Equal(t, bill.Processing, r.Inquiry.Status)
		w.work(t, 5*time.Minute)
		require.Equal(t, 1, w.source.calls())
		require.Zero(t, w.read(t, r.Inquiry.ID).Attempts)
	})
}

// TestTwoBillsOfALineWaitForOneCallForItsHolder, and neither bill waits until that call has ended.
func TestTwoBillsOfALineWaitForOneCallForItsHolder(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		began := time.Now()
		var both sync.WaitGroup
		for i := range 2 {
			both.Go(func() {
				_, err := w.Ask(t.Context(), w.me, w.line, w.month(i))
				assert.NoError(t, err)
			})
		}
		both.Wait()
		require.Equal(t, 500*time.Millisecond, time.Since(began), "as long as one bill alone takes")
		require.Equal(t, 1, w.source.namings())
	})
}

// TestABillIsShownThoughKOSDescribesItsCustomerBadly: whose the line is, is all that a bill needs to know.
func TestABillIsShownThoughKOSDescribesItsCustomerBadly(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		badly := func(customer string) error {
			return fault.New(fault.ServiceUnavailable).Because(ports.NamedError{Customer: customer})
		}
		w.source.namesNobody(badly("C1"))
		require.Equal(t, freshness.FromKOS, w.ask(t).Inquiry.Source)
		r, err := w.Ask(t.Context(), w.me, w.line, w.month(1))
		require.NoError(t, err)
		require.Equal(t, bill.Completed, r.Inquiry.Status, "another month, at once")
		require.Equal(t, 2, w.source.calls())

		<-time.After(5 * time.Hour)
		w.source.namesNobody(badly("C2"))
		_, err = w.Ask(t.Context(), w.me, w.line, w.month(2))
		require.ErrorIs(t, err, fault.New(fault.LineNotFound))
	})
}

package inquiry_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"phonebill/core/bill/inquiry"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/product"
)

// menu reads the menu of the caller's first line, and requires that it takes no time.
func (w *world) menu(t *testing.T) inquiry.Menu {
	t.Helper()
	asked := time.Now()
	m, err := w.Menu(t.Context(), w.me, line.Number{})
	require.NoError(t, err)
	require.Equal(t, asked, time.Now(), "the menu waits for nobody")
	return m
}

// settle waits until nothing is asked behind a menu any more.
func (w *world) settle() {
	w.Wait()
	w.Months.Copies.Wait()
}

func (w *world) monthsCalls() int {
	w.source.mu.Lock()
	defer w.source.mu.Unlock()
	return w.source.monthsAsked
}

func (w *world) monthsBy(takes time.Duration, silent error) {
	w.source.mu.Lock()
	defer w.source.mu.Unlock()
	w.source.monthsTakes, w.source.monthsSilent = takes, silent
}

// current is the current month.
func current() calendar.Month { return calendar.MonthOf(time.Now()) }

func TestTheMenuOffersTheMonthsThatKOSHas(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.SetMonths(w.line, current(), current().Add(-1), current().Add(-7), current().Add(1))
		m := w.menu(t)
		require.True(t, m.Provisional)
		require.Len(t, m.Months, 6, "computed while nothing is known")
		w.settle()
		for range 20 {
			m = w.menu(t)
			require.False(t, m.Provisional)
			require.Equal(t, []calendar.Month{current(), current().Add(-1)}, m.Months,
				"newest first, of those that can be asked for")
			time.Sleep(time.Hour)
		}
		w.settle()
		require.Equal(t, 1, w.monthsCalls(), "fresh for a day")
		require.Equal(t, 1, w.source.named, "whose the line is was asked once")

		_, err := w.Ask(t.Context(), w.me, w.line, current().Add(-4).String())
		require.NoError(t, err, "what is not offered may be asked for all the same")
	})
}

func TestALineWithoutBillsIsOfferedNone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.menu(t)
		w.settle()
		m := w.menu(t)
		require.Empty(t, m.Months)
		require.False(t, m.Provisional)
	})
}

// TestAnOldListIsShownWhileKOSIsAsked, up to a week.
func TestAnOldListIsShownWhileKOSIsAsked(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.SetMonths(w.line, current())
		w.menu(t)
		w.settle()
		time.Sleep(25 * time.Hour)
		w.source.SetMonths(w.line, current(), current().Add(-1))
		require.Len(t, w.menu(t).Months, 1)
		w.settle()
		require.Len(t, w.menu(t).Months, 2)
		require.Equal(t, 2, w.monthsCalls())
		w.monthsBy(0, broken())
		time.Sleep(8 * 24 * time.Hour)
		require.True(t, w.menu(t).Provisional)
	})
}

// TestAHangingKOSDelaysNoMenu, and many menus ask once.
func TestAHangingKOSDelaysNoMenu(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.monthsBy(time.Hour, nil)
		for range 100 {
			require.True(t, w.menu(t).Provisional)
			time.Sleep(2 * time.Second)
		}
		w.settle()
		require.Equal(t, 1, w.monthsCalls())
	})
}

// TestKOSIsNotAskedAgainAndAgain about a line that it fails on or does not know.
func TestKOSIsNotAskedAgainAndAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		most int
	}{
		"broken": {broken(), 13}, "unknown line": {fault.New(fault.LineNotFound), 2}, "not asked": {notAsked(), 121},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, w *world) {
				w.monthsBy(0, c.err)
				for range 3600 {
					m := w.menu(t)
					require.True(t, m.Provisional)
					require.Len(t, m.Months, 6)
					time.Sleep(time.Second)
				}
				w.settle()
				require.LessOrEqual(t, w.monthsCalls(), c.most)
				require.Positive(t, w.monthsCalls())
				w.monthsBy(0, nil)
				time.Sleep(time.Hour)
				w.menu(t)
				w.settle()
				require.False(t, w.menu(t).Provisional, "it is asked again when it is well")
			})
		})
	}
}

// TestMenusStayWithinTheAllowance: behind menus no more is asked than a customer may cause.
func TestMenusStayWithinTheAllowance(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.allowing(1)
		w.Months.Copies.Allowances = w.Copies.Allowances
		_, err := w.Ask(t.Context(), w.me, w.me.Lines[1], "")
		require.ErrorIs(t, err, fault.New(fault.BillNotFound))
		for range 60 {
			require.True(t, w.menu(t).Provisional)
			time.Sleep(30 * time.Second)
		}
		w.settle()
		require.Zero(t, w.monthsCalls())
		time.Sleep(time.Hour)
		w.menu(t)
		w.settle()
		require.Equal(t, 1, w.monthsCalls())
	})
}

// TestSeveralMenusAtOnceAskOnce, over instances that share the stores.
func TestSeveralMenusAtOnceAskOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		first := w.Months
		second := &inquiry.Months{
			Source: first.Source, Stored: first.Stored, Flights: first.Flights, Holders: first.Holders,
			FindHolder: first.FindHolder, Fresh: first.Fresh, Now: first.Now, Copies: first.Copies,
		}
		w.monthsBy(time.Second, nil)
		var all sync.WaitGroup
		for _, months := range []*inquiry.Months{w.Months, second} {
			instance := &inquiry.Service{Months: months, Limits: w.Limits, Now: w.Now}
			for range 50 {
				all.Go(func() {
					_, err := instance.Menu(t.Context(), w.me, line.Number{})
					assert.NoError(t, err)
				})
			}
			t.Cleanup(months.Wait)
		}
		all.Wait()
		second.Wait()
		w.settle()
		require.Equal(t, 1, w.monthsCalls())
	})
}

// TestMonthsOfAnotherCustomerAreNotShown, and KOS is not asked for them again and again.
func TestMonthsOfAnotherCustomerAreNotShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.source.SetMonths(w.line, current())
		w.menu(t)
		w.settle()
		require.Len(t, w.menu(t).Months, 1)

		stranger := w.me
		stranger.UserID, stranger.CustomerID = "kim", "C2"
		for range 5 {
			m, err := w.Menu(t.Context(), stranger, w.line)
			require.NoError(t, err)
			require.True(t, m.Provisional)
			require.Len(t, m.Months, 6)
			w.settle()
		}
		require.Equal(t, 2, w.monthsCalls())

		w.source.AddCustomer(product.Customer{Line: w.line, CustomerID: "C2"}, nil) // the number is given away
		w.source.SetMonths(w.line, current(), current().Add(-1))
		time.Sleep(25 * time.Hour)
		_, err := w.Menu(t.Context(), stranger, w.line)
		require.NoError(t, err)
		w.settle()
		m, err := w.Menu(t.Context(), stranger, w.line)
		require.NoError(t, err)
		require.False(t, m.Provisional)
		require.Len(t, m.Months, 2)
		require.True(t, w.menu(t).Provisional, "the former holder is shown nothing of it")
		w.settle()
	})
}

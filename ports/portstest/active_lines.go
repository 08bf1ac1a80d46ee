package portstest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/freshness"
	"phonebill/core/line"
	"phonebill/ports"
)

// ActiveLines is the suite of ports.ActiveLines.
func ActiveLines(t *testing.T, open func(t *testing.T) ports.ActiveLines) {
	t.Helper()
	const lease = time.Minute
	due := func(t *testing.T, a ports.ActiveLines, k freshness.Kind, now, since time.Time, n int) []line.Number {
		t.Helper()
		got, err := a.Due(t.Context(), k, now, since, lease, n)
		require.NoError(t, err)
		return got
	}
	see := func(t *testing.T, a ports.ActiveLines, at, dueAt time.Time, lines ...line.Number) {
		t.Helper()
		require.NoError(t, a.NoteActiveLine(t.Context(), freshness.Customers, lines, at, dueAt))
	}
	t.Run("a line is due once, until its lease ends or it is due again", func(t *testing.T) {
		t.Parallel()
		a := open(t)
		see(t, a, after(0), after(10), Line(1))
		require.Empty(t, due(t, a, freshness.Customers, after(9), after(0), 5))
		require.Equal(t, []line.Number{Line(1)}, due(t, a, freshness.Customers, after(10), after(0), 5))
		require.Empty(t, due(t, a, freshness.Customers, after(69), after(0), 5), "leased")
		require.Equal(t, []line.Number{Line(1)}, due(t, a, freshness.Customers, after(70), after(0), 5), "its lease is over")
		require.NoError(t, a.Done(t.Context(), freshness.Customers, Line(1), after(500)))
		require.Empty(t, due(t, a, freshness.Customers, after(499), after(0), 5))
		see(t, a, after(500), after(0), Line(1))
		require.NotEmpty(t, due(t, a, freshness.Customers, after(500), after(0), 5),
			"seeing it again made it neither earlier nor later")
	})
	t.Run("the longest due first, no more than asked for", func(t *testing.T) {
		t.Parallel()
		a := open(t)
		for i := range 5 {
			see(t, a, after(0), after(5-i), Line(i))
		}
		first := due(t, a, freshness.Customers, after(10), after(0), 2)
		require.ElementsMatch(t, []line.Number{Line(4), Line(3)}, first)
		require.Len(t, due(t, a, freshness.Customers, after(10), after(0), 9), 3)
	})
	t.Run("inactive lines are left out, and deleted", func(t *testing.T) {
		t.Parallel()
		a := open(t)
		see(t, a, after(0), after(0), Line(1), Line(2), Line(3))
		see(t, a, after(100), after(0), Line(2))
		see(t, a, after(50), after(0), Line(2))
		require.Equal(t, []line.Number{Line(2)}, due(t, a, freshness.Customers, after(200), after(100), 5))
		require.NoError(t, a.Forget(t.Context(), freshness.Customers, after(100)))
		require.Equal(t, []line.Number{Line(2)}, due(t, a, freshness.Customers, after(500), after(0), 5))
		require.NoError(t, a.Done(t.Context(), freshness.Customers, Line(1), after(0)), "a line unknown is no trouble")
	})
	t.Run("kinds do not meet", func(t *testing.T) {
		t.Parallel()
		a := open(t)
		see(t, a, after(0), after(0), Line(1))
		require.Empty(t, due(t, a, freshness.Bills, after(10), after(0), 5))
		require.NoError(t, a.NoteActiveLine(t.Context(), freshness.Bills, []line.Number{Line(1)}, after(0), after(0)))
		require.NoError(t, a.Forget(t.Context(), freshness.Customers, after(1)))
		require.Len(t, due(t, a, freshness.Bills, after(10), after(0), 5), 1)
	})
	t.Run("of many at once each line goes to one", func(t *testing.T) {
		t.Parallel()
		a := open(t)
		var lines []line.Number
		for i := range 40 {
			lines = append(lines, Line(i))
		}
		see(t, a, after(0), after(0), lines...)
		var mu sync.Mutex
		var got []line.Number
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				own, err := a.Due(t.Context(), freshness.Customers, after(1), after(0), lease, 10)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					got = append(got, own...)
				}
			})
		}
		all.Wait()
		rest := due(t, a, freshness.Customers, after(1), after(0), 40)
		require.ElementsMatch(t, lines, append(got, rest...))
	})
}

package portstest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/line"
	"phonebill/ports"
)

// RaisedEpochs is the suite of ports.RaisedEpochs, with the epochs that it lists. open also returns the vault that
// indexes their lines.
func RaisedEpochs(t *testing.T, open func(t *testing.T) (ports.Epochs, ports.RaisedEpochs, ports.Vault)) {
	t.Helper()
	index := func(v ports.Vault, n line.Number) string { return string(v.Index(ports.LineIndex, n.Digits())) }
	ask := func(t *testing.T, feed ports.RaisedEpochs, since time.Time) (map[string]time.Time, time.Time) {
		t.Helper()
		raised, asOf, err := feed.Raised(t.Context(), since)
		require.NoError(t, err)
		received := map[string]time.Time{}
		for _, r := range raised {
			received[string(r.Line)] = r.Epoch
		}
		require.Len(t, received, len(raised), "a line once")
		return received, asOf
	}
	t.Run("what was raised since is listed, with its newest epoch, and not for ever", func(t *testing.T) {
		t.Parallel()
		epochs, feed, vault := open(t)
		received, asOf := ask(t, feed, time.Time{})
		require.Empty(t, received)
		for n, epoch := range []time.Time{after(2), after(3), after(1)} {
			require.NoError(t, epochs.Raise(t.Context(), Line(1), epoch))
			received, _ = ask(t, feed, asOf)
			require.Len(t, received, 1)
			require.True(t, received[index(vault, Line(1))].Equal(after(min(n+2, 3))), "an epoch only rises")
		}
		require.Eventually(t, func() bool {
			received, asOf = ask(t, feed, asOf)
			return len(received) == 0
		}, 10*time.Second, time.Millisecond)
		require.NoError(t, epochs.Raise(t.Context(), Line(1), after(2)))
		require.NoError(t, epochs.Raise(t.Context(), Line(2), after(2)))
		received, _ = ask(t, feed, asOf)
		require.Len(t, received, 1, "what raises nothing is not listed")
		require.True(t, received[index(vault, Line(2))].Equal(after(2)))
		received, _ = ask(t, feed, time.Time{})
		require.Len(t, received, 2, "a later caller gets all")
	})
	t.Run("repeated calls miss nothing", func(t *testing.T) {
		t.Parallel()
		epochs, feed, vault := open(t)
		const raisers, each = 4, 25
		known := map[string]time.Time{}
		var all sync.WaitGroup
		for r := range raisers {
			all.Go(func() {
				for n := range each {
					noError(t, epochs.Raise(t.Context(), Line(r*each+n), after(n)))
				}
			})
		}
		raised := make(chan struct{})
		go func() { all.Wait(); close(raised) }()
		var since time.Time
		pull := func() {
			received, asOf := ask(t, feed, since)
			for n, epoch := range received {
				known[n] = epoch
			}
			since = asOf
		}
		for over := false; !over; {
			select {
			case <-raised:
				over = true
			default:
			}
			pull()
		}
		for n := range raisers * each {
			require.True(t, known[index(vault, Line(n))].Equal(after(n%each)), n)
		}
	})
}

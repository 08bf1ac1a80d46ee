package spool_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/spool"
	"phonebill/core/id"
	"phonebill/core/operations"
	"phonebill/ports/portstest"
)

func (w *world) another(t *testing.T) *spool.Inquiries {
	t.Helper()
	own := w.Inquiries
	require.NoError(t, w.open(0))
	other := w.Inquiries
	w.Inquiries = own
	return other
}

// TestRowsOfAnEndedProcessAreTakenOver: one of two processes ends during an outage. The other one stores all rows, its
// own first, and reports the end of the outage when they are stored, not before.
func TestRowsOfAnEndedProcessAreTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.another(t)
	w.store.set(true, false)
	own, left, last := answered(portstest.Line(1)), answered(portstest.Line(2)), answered(portstest.Line(2))
	require.NoError(t, other.Add(t.Context(), left))
	require.NoError(t, other.Add(t.Context(), last))
	require.NoError(t, w.Add(t.Context(), own))
	_, err := w.Replay(t.Context())
	require.Error(t, err)
	require.Zero(t, w.State().Folders, "the other one is there and has its own")
	before := w.State().Bytes

	require.NoError(t, other.Close())
	_, err = w.Replay(t.Context())
	require.Error(t, err)
	require.Equal(t, 1, w.State().Rows, "as long as something waits nothing more is loaded")
	require.Equal(t, 1, w.State().Folders)
	require.Greater(t, w.State().Bytes, before)

	w.store.set(false, false)
	n, err := w.Replay(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NotContains(t, w.raised(), operations.HistoryStored, "a folder is left")
	w.store.set(true, false)
	_, err = w.Replay(t.Context())
	require.Error(t, err)
	require.Equal(t, 2, w.State().Rows)
	require.Zero(t, w.State().Folders)
	got, err := w.Get(t.Context(), last.ID)
	require.NoError(t, err)
	require.Equal(t, last, got)
	next := w.another(t)
	require.Zero(t, next.State().Rows, "what is taken over belongs to no other")
	require.NoError(t, next.Close())
	require.NoError(t, w.Add(t.Context(), answered(portstest.Line(3))))
	require.NotContains(t, w.raised(), operations.HistoryStored)

	w.store.set(false, false)
	w.drain(t)
	require.Equal(t, []id.ID{own.ID, left.ID, last.ID}, w.store.added[:3])
	require.Len(t, w.store.added, 4)
	require.Zero(t, w.State())
	require.Equal(t, []operations.AlertKind{
		operations.HistorySpooled, operations.HistorySpooled, operations.HistoryStored,
	}, w.raised())
	require.NoError(t, w.open(0)) // the folder that was taken over is free again, and empty
	require.FileExists(t, filepath.Join(w.dir, "1", "lock"))
	require.NoDirExists(t, filepath.Join(w.dir, "3"))
}

// TestFoldersAreTakenOverOneAtATime during an outage: one process holds one folder more than its own, however many have
// ended. After the outage all of them are stored.
func TestFoldersAreTakenOverOneAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.set(true, false)
	const gone = 4
	others := make([]*spool.Inquiries, gone)
	for i := range others {
		others[i] = w.another(t)
		require.NoError(t, others[i].Add(t.Context(), answered(portstest.Line(i))))
	}
	for _, other := range others {
		require.NoError(t, other.Close())
	}
	for range 3 {
		_, err := w.Replay(t.Context())
		require.Error(t, err)
		require.Equal(t, 1, w.State().Rows)
		require.Equal(t, gone-1, w.State().Folders)
	}
	second := w.another(t)
	_, err := second.Replay(t.Context())
	require.Error(t, err)
	require.Equal(t, 1, second.State().Rows)
	require.Equal(t, gone-2, second.State().Folders)
	require.NoError(t, second.Close())
	w.store.set(false, false)
	w.drain(t)
	require.Len(t, w.store.added, gone)
	require.Zero(t, w.State())
	stored := slices.DeleteFunc(w.raised(), func(k operations.AlertKind) bool { return k != operations.HistoryStored })
	require.Len(t, stored, 1)
}

// TestFoldersFromBeforeTheStartAreTakenOver: one process starts where there were two.
func TestFoldersFromBeforeTheStartAreTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.another(t)
	w.store.set(true, false)
	first, second := answered(portstest.Line(1)), answered(portstest.Line(1))
	require.NoError(t, w.Add(t.Context(), first))
	require.NoError(t, other.Add(t.Context(), second))
	require.NoError(t, w.Close())
	require.NoError(t, other.Close())
	w.store.set(false, false)
	require.NoError(t, w.open(0))
	w.drain(t)
	require.Equal(t, []id.ID{first.ID, second.ID}, w.store.added)
	_, err := w.Get(t.Context(), second.ID)
	require.NoError(t, err)
}

// TestTakenOverRowsWaitAfterAShutdown for the next process.
func TestTakenOverRowsWaitAfterAShutdown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.another(t)
	w.store.set(true, false)
	require.NoError(t, other.Add(t.Context(), answered(portstest.Line(2))))
	require.NoError(t, other.Close())
	for range 2 {
		_, err := w.Replay(t.Context())
		require.Error(t, err)
		require.Equal(t, 1, w.State().Rows)
		w.reopen(t)
	}
}

// TestUnreadableFoldersAreReported: one alert, no all-clear, and the process's own rows are stored.
func TestUnreadableFoldersAreReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	right := w.keys
	w.keys = newKeys(t)
	other := w.another(t)
	w.keys = right
	w.store.set(true, false)
	require.NoError(t, w.Add(t.Context(), answered(portstest.Line(1))))
	require.NoError(t, other.Add(t.Context(), answered(portstest.Line(2))))
	require.NoError(t, other.Close())
	w.store.set(false, false)
	n, err := w.Replay(t.Context())
	require.NoError(t, err, "own rows come first")
	require.Equal(t, 1, n)
	for range 2 {
		_, err = w.Replay(t.Context())
		require.ErrorContains(t, err, "left in 1")
	}
	require.Equal(t, 1, w.State().Folders)
	w.store.set(true, false)
	require.NoError(t, w.Add(t.Context(), answered(portstest.Line(1))))
	_, err = w.Replay(t.Context())
	require.ErrorContains(t, err, "left in 1", "also while rows wait")
	w.store.set(false, false)
	require.Equal(t, []operations.AlertKind{
		operations.HistorySpooled, operations.HistorySpooled, operations.HistoryDamaged, operations.HistorySpooled,
	}, w.raised())
	_, err = w.Replay(t.Context())
	require.Error(t, err)
	require.Zero(t, w.State().Rows)
	require.NotContains(t, w.raised(), operations.HistoryStored)
	require.NoError(t, os.RemoveAll(filepath.Join(w.dir, "1"))) // staff have repaired it
	w.drain(t)
	require.Contains(t, w.raised(), operations.HistoryStored)
}

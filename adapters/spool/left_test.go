package spool_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/spool"
	"phonebill/core/alert"
	"phonebill/core/id"
	"phonebill/ports/portstest"
)

// another opens one more process on the directory.
func (w *world) another(t *testing.T) *spool.Inquiries {
	t.Helper()
	mine := w.Inquiries
	require.NoError(t, w.open(0))
	other := w.Inquiries
	w.Inquiries = mine
	return other
}

// TestWhatAProcessLeftIsTakenOver: of two processes one is gone for good, during an outage. The other one brings all rows in, and says that
// all is well when they are, not before.
func TestWhatAProcessLeftIsTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.another(t)
	w.store.set(true, false)
	mine, older, left := answered(portstest.Line(1)), answered(portstest.Line(2)), answered(portstest.Line(2))
	older.ProcessedAt = noon.Add(-time.Minute)
	require.NoError(t, other.Add(t.Context(), older))
	require.NoError(t, other.Add(t.Context(), left))
	require.NoError(t, w.Add(t.Context(), mine))
	_, err := w.Replay(t.Context())
	require.Error(t, err)
	require.Equal(t, 1, w.State().Rows, "the other one is there and has its own")
	before := w.State().Bytes

	require.NoError(t, other.Close())
	_, err = w.Replay(t.Context())
	require.Error(t, err)
	require.Equal(t, 3, w.State().Rows)
	require.Equal(t, older.ProcessedAt, w.State().Oldest)
	require.Greater(t, w.State().Bytes, before)
	got, err := w.Get(t.Context(), left.ID)
	require.NoError(t, err)
	require.Equal(t, left, got)
	next := w.another(t)
	require.Zero(t, next.State().Rows, "what is taken over is nobody else's")
	require.NoError(t, next.Close())
	require.NoError(t, w.Add(t.Context(), answered(portstest.Line(3))))
	require.NotContains(t, w.raised(), alert.HistoryStored)

	w.store.set(false, false)
	w.drain(t)
	require.Equal(t, []id.ID{older.ID, left.ID, mine.ID}, w.store.added[:3])
	require.Len(t, w.store.added, 4)
	require.Zero(t, w.State())
	require.Equal(t, []alert.Kind{alert.HistorySpooled, alert.HistorySpooled, alert.HistoryStored}, w.raised())
	require.NoError(t, w.open(0)) // the folder that was taken over is free again, and empty
	require.FileExists(t, filepath.Join(w.dir, "1", "lock"))
	require.NoDirExists(t, filepath.Join(w.dir, "3"))
}

// TestWhatWasLeftBeforeTheStartIsTakenOver: one process comes where there were two.
func TestWhatWasLeftBeforeTheStartIsTakenOver(t *testing.T) {
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

// TestWhatIsTakenOverWaitsOnWhenWeGo for the next process.
func TestWhatIsTakenOverWaitsOnWhenWeGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.another(t)
	w.store.set(true, false)
	require.NoError(t, w.Add(t.Context(), answered(portstest.Line(1))))
	require.NoError(t, other.Add(t.Context(), answered(portstest.Line(2))))
	require.NoError(t, other.Close())
	for range 2 {
		_, err := w.Replay(t.Context())
		require.Error(t, err)
		require.Equal(t, 2, w.State().Rows)
		w.reopen(t)
	}
}

// TestWhatWasLeftAndCannotBeRead is told once, and nobody says that all is well; our own rows go on.
func TestWhatWasLeftAndCannotBeRead(t *testing.T) {
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
	require.ErrorContains(t, err, "left in 1")
	require.Equal(t, 1, n)
	_, err = w.Replay(t.Context())
	require.Error(t, err)
	require.Equal(t, []alert.Kind{alert.HistorySpooled, alert.HistorySpooled, alert.HistoryDamaged}, w.raised())
	require.Zero(t, w.State().Rows)
	require.NoError(t, os.RemoveAll(filepath.Join(w.dir, "1"))) // a person has looked after it
	w.drain(t)
}

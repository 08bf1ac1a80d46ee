package spool_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/spool"
	"phonebill/adapters/vault"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

var noon = time.Date(2026, 3, 2, 3, 4, 5, 0, time.UTC)

// store is a memory store that can be down, hang, or refuse a row.
type store struct {
	memory.Inquiries
	mu         sync.Mutex
	away, slow bool
	hates      id.ID
	adds       int
	added      []id.ID // in order
	largest    int
}

func (s *store) set(away, slow bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away, s.slow = away, slow
}

func (s *store) trouble(ctx context.Context, all ...bill.Inquiry) error {
	s.mu.Lock()
	away, slow := s.away, s.slow
	s.adds++
	s.mu.Unlock()
	if slow {
		<-ctx.Done()
		return fault.New(fault.ServiceUnavailable).Because(ctx.Err())
	}
	if away {
		return fault.New(fault.ServiceUnavailable)
	}
	for _, q := range all {
		if q.ID == s.hates {
			return errors.New("value too ugly for type text")
		}
	}
	return nil
}

func (s *store) note(all ...bill.Inquiry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.largest = max(s.largest, len(all))
	for _, q := range all {
		s.added = append(s.added, q.ID)
	}
}

func (s *store) Add(ctx context.Context, q bill.Inquiry) error {
	if err := s.trouble(ctx, q); err != nil {
		return err
	}
	s.note(q)
	return s.Inquiries.Add(ctx, q)
}

func (s *store) AddAll(ctx context.Context, all []bill.Inquiry) error {
	if err := s.trouble(ctx, all...); err != nil {
		return err
	}
	s.note(all...)
	return s.Inquiries.AddAll(ctx, all)
}

type world struct {
	*spool.Inquiries
	store  *store
	alerts *memory.Alerts
	dir    string
	keys   ports.Vault
	logs   *bytes.Buffer
}

func newKeys(t *testing.T) ports.Vault {
	t.Helper()
	raw, err := vault.New()
	require.NoError(t, err)
	keys, err := vault.Parse(raw)
	require.NoError(t, err)
	return keys
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{store: &store{}, alerts: &memory.Alerts{}, dir: t.TempDir(), keys: newKeys(t), logs: &bytes.Buffer{}}
	require.NoError(t, w.open(0))
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	return w
}

// open replaces the spool unless that fails.
func (w *world) open(most int64) error {
	opened, err := spool.Open(spool.Config{Dir: w.dir, MaxBytes: most}, spool.Deps{
		Store: w.store, Batches: w.store, Sealer: vault.Inquiries(w.keys), Alerts: w.alerts,
		Log: slog.New(slog.NewTextHandler(w.logs, nil)),
	})
	if err == nil {
		w.Inquiries = opened
	}
	return err
}

func (w *world) reopen(t *testing.T) {
	t.Helper()
	require.NoError(t, w.Close())
	require.NoError(t, w.open(0))
}

// drain replays until nothing waits.
func (w *world) drain(t *testing.T) {
	t.Helper()
	for {
		n, err := w.Replay(t.Context())
		require.NoError(t, err)
		if n == 0 {
			return
		}
	}
}

func (w *world) raised() (kinds []operations.AlertKind) {
	for _, a := range w.alerts.Raised() {
		kinds = append(kinds, a.Kind)
	}
	return kinds
}

func answered(n line.Number) bill.Inquiry {
	q := bill.Inquiry{
		ID: id.ID(uuid.Must(uuid.NewV7())), UserID: portstest.Owner().UserID, CustomerID: "C-SECRET", Line: n,
		Month: portstest.Month(), RequestedAt: noon,
	}
	return q.Complete(portstest.BillCopies()[0], freshness.FromCache, noon)
}

func TestIsAStore(t *testing.T) {
	t.Parallel()
	portstest.Inquiries(t, func(t *testing.T) ports.Inquiries { t.Helper(); return newWorld(t) })
}

func TestWithTheStoreDownHistoryWaitsAndIsStoredInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.set(true, false)
	var want []id.ID
	for n := range 1200 {
		q := answered(portstest.Line(n % 3))
		require.NoError(t, w.Add(t.Context(), q))
		want = append(want, q.ID)
	}
	require.Equal(t, 1, w.store.adds, "a store known to be down is not asked")
	got, err := w.Get(t.Context(), want[7])
	require.NoError(t, err)
	require.Equal(t, want[7], got.ID)
	_, err = w.Replay(t.Context())
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	require.Equal(t, 1200, w.State().Rows)
	require.Equal(t, noon, w.State().Oldest)
	require.Positive(t, w.State().Bytes)

	w.store.set(false, false)
	w.drain(t)
	require.Equal(t, want, w.store.added)
	require.Equal(t, 500, w.store.largest)
	require.Zero(t, w.State())
	require.Equal(t, []operations.AlertKind{operations.HistorySpooled, operations.HistoryStored}, w.raised())
	stored, err := w.Get(t.Context(), want[7])
	require.NoError(t, err)
	require.Equal(t, got, stored)
	require.NoError(t, w.Add(t.Context(), answered(portstest.Line(1))))
	require.Len(t, w.store.added, 1201, "the store is asked again")
}

func TestAStoreThatHangsCostsOneTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.store.set(false, true)
		start := time.Now()
		for range 10 {
			require.NoError(t, w.Add(t.Context(), answered(portstest.Line(1))))
		}
		require.Equal(t, 300*time.Millisecond, time.Since(start))
		unfinished := answered(portstest.Line(1))
		unfinished.Status = bill.Processing
		require.ErrorIs(t, w.Add(t.Context(), unfinished), fault.New(fault.ServiceUnavailable))
		require.Equal(t, 600*time.Millisecond, time.Since(start), "what cannot be spooled is tried, though not for long")
		_, err := w.Replay(t.Context())
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
		require.Equal(t, 5600*time.Millisecond, time.Since(start))
		w.store.set(false, false)
		w.drain(t)
		require.NoError(t, w.Add(t.Context(), unfinished))
	})
}

// TestAHangingStoreIsDetectedByUnfinishedRows before a completed one: the customer must have time left for the last
// good copy.
func TestAHangingStoreIsDetectedByUnfinishedRows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.store.set(false, true)
		unfinished := answered(portstest.Line(1))
		unfinished.Status = bill.Processing
		start := time.Now()
		err := w.Add(t.Context(), unfinished)
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
		require.Positive(t, fault.From(err).RetryAfter())
		require.Equal(t, 1200*time.Millisecond, time.Since(start))
		require.NoError(t, w.Add(t.Context(), answered(portstest.Line(1))))
		require.Equal(t, 1500*time.Millisecond, time.Since(start), "it is tried again as long as nothing waits")
		require.Error(t, w.Add(t.Context(), unfinished))
		require.Equal(t, 1800*time.Millisecond, time.Since(start), "away, and known to be")
	})
}

func TestALineKeepsItsOrderWhileTheStoreIsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.set(true, false)
	first, second, other := answered(portstest.Line(1)), answered(portstest.Line(1)), answered(portstest.Line(2))
	require.NoError(t, w.Add(t.Context(), first))
	require.NoError(t, w.Add(t.Context(), other))
	w.store.set(false, false)
	n, err := w.Replay(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	w.store.set(true, false)
	require.NoError(t, w.Add(t.Context(), second))
	w.store.set(false, false)
	w.reopen(t) // it does not know yet whether the store is away
	third, fourth := answered(portstest.Line(1)), answered(portstest.Line(2))
	require.NoError(t, w.Add(t.Context(), third))
	require.NoError(t, w.Add(t.Context(), fourth))
	w.drain(t)
	require.Equal(t, []id.ID{first.ID, other.ID, fourth.ID, second.ID, third.ID}, w.store.added)
}

func TestUnfinishedInquiriesAndMistakesAreNotSpooled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ugly := answered(portstest.Line(1))
	w.store.hates = ugly.ID
	require.ErrorContains(t, w.Add(t.Context(), ugly), "ugly")
	w.store.set(true, false)
	unfinished := answered(portstest.Line(1))
	unfinished.Status = bill.Processing
	require.ErrorIs(t, w.Add(t.Context(), unfinished), fault.New(fault.ServiceUnavailable))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, w.Add(gone, answered(portstest.Line(1))))
	require.Zero(t, w.State())
}

// TestNoWorkerClaimsACompletedInquiry: the unfinished row, whose Add timed out, is in the store; its answer is in the
// spool.
func TestNoWorkerClaimsACompletedInquiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	final := answered(portstest.Line(1))
	ghost := final
	ghost.Status, ghost.Source, ghost.ProcessedAt, ghost.Version, ghost.Summary = bill.Processing, "", time.Time{},
		id.ID{}, ""
	ghost.AsOf, ghost.NextAttemptAt = time.Time{}, noon
	other := ghost
	other.ID = answered(portstest.Line(2)).ID
	require.NoError(t, w.Add(t.Context(), ghost))
	require.NoError(t, w.Add(t.Context(), other))
	w.store.set(true, false)
	require.NoError(t, w.Add(t.Context(), final))
	w.store.set(false, false)
	due, err := w.Claim(t.Context(), noon, time.Second, 10)
	require.NoError(t, err)
	require.Len(t, due, 1)
	require.Equal(t, other.ID, due[0].ID)
	w.drain(t)
	got, err := w.store.Get(t.Context(), final.ID)
	require.NoError(t, err)
	require.Equal(t, bill.Completed, got.Status)
	due, err = w.Claim(t.Context(), noon.Add(time.Hour), time.Second, 10)
	require.NoError(t, err)
	require.Len(t, due, 1)
}

func TestARowThatTheStoreRefusesIsPutAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.set(true, false)
	all := make([]bill.Inquiry, 9)
	for i := range all {
		all[i] = answered(portstest.Line(1))
		require.NoError(t, w.Add(t.Context(), all[i]))
	}
	w.store.set(false, false)
	w.store.hates = all[4].ID
	w.drain(t)
	require.Len(t, w.store.added, 8)
	require.Equal(t, []operations.AlertKind{
		operations.HistorySpooled, operations.HistoryRefused, operations.HistoryStored,
	}, w.raised())
	kept, err := filepath.Glob(filepath.Join(w.dir, "0", "refused", "*.log"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Contains(t, w.logs.String(), "too ugly")
}

func TestFullIsUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.Close())
	require.NoError(t, w.open(3000))
	w.store.set(true, false)
	var err error
	kept := 0
	for err == nil && kept < 100 {
		if err = w.Add(t.Context(), answered(portstest.Line(1))); err == nil {
			kept++
		}
	}
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	require.Positive(t, fault.From(err).RetryAfter())
	require.Equal(t, kept, w.State().Rows)
	require.LessOrEqual(t, w.State().Bytes, int64(3000))
}

func TestNothingPersonalIsOnDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.set(true, false)
	q := answered(portstest.Line(1))
	require.NoError(t, w.Add(t.Context(), q))
	require.NoError(t, filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		for _, secret := range []string{q.Line.Digits(), q.Line.Hyphenated(), string(q.UserID), q.CustomerID, q.Summary} {
			require.NotContains(t, string(raw), secret)
		}
		return err
	}))
	require.NoError(t, w.Close())
	right := w.keys
	w.keys = newKeys(t)
	require.Error(t, w.open(0), "sealed with another keyring: a person must look")
	w.keys = right
	require.NoError(t, w.open(0))
	require.Equal(t, 1, w.State().Rows)
	same, err := w.Get(t.Context(), q.ID)
	require.NoError(t, err)
	require.Equal(t, q, same)
}

// TestProcessesOfOneMachineShareADirectory: each has its own folder, and a new one takes over that of a dead one.
func TestProcessesOfOneMachineShareADirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.set(true, false)
	require.NoError(t, w.Add(t.Context(), answered(portstest.Line(1))))
	first := w.Inquiries
	require.NoError(t, w.open(0))
	second := w.Inquiries
	require.Zero(t, second.State().Rows)
	require.NoError(t, first.Close())
	require.NoError(t, w.open(0))
	require.Equal(t, 1, w.State().Rows)
	require.NoError(t, second.Close())
}

func TestATornEndIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.set(true, false)
	require.NoError(t, w.Add(t.Context(), answered(portstest.Line(1))))
	require.NoError(t, w.Close())
	names, err := filepath.Glob(filepath.Join(w.dir, "0", "*.log"))
	require.NoError(t, err)
	f, err := os.OpenFile(names[0], os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("half a rec")
	require.NoError(t, errors.Join(err, f.Close()))
	require.NoError(t, w.open(0))
	require.Equal(t, 1, w.State().Rows)
	require.Contains(t, w.logs.String(), "torn=1")
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	registry := prometheus.NewRegistry()
	registry.MustRegister(w.Metrics(func() time.Time { return noon.Add(90 * time.Second) })...)
	reports := func(rows, age, folders float64) {
		t.Helper()
		families, err := registry.Gather()
		require.NoError(t, err)
		values := map[string]float64{}
		for _, f := range families {
			values[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
		}
		require.InDelta(t, rows, values["phonebill_history_spool_rows"], 0)
		require.InDelta(t, age, values["phonebill_history_spool_oldest_seconds"], 0)
		require.InDelta(t, folders, values["phonebill_history_spool_left_folders"], 0)
		require.Equal(t, rows+folders > 0, values["phonebill_history_spool_bytes"] > 0)
	}
	reports(0, 0, 0)
	w.store.set(true, false)
	other := w.another(t)
	require.NoError(t, w.Add(t.Context(), answered(portstest.Line(1))))
	reports(1, 90, 0)
	require.NoError(t, other.Add(t.Context(), answered(portstest.Line(2))))
	require.NoError(t, other.Close())
	_, err := w.Replay(t.Context())
	require.Error(t, err)
	reports(1, 90, 1)
}

package postgres_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/spool"
	"phonebill/adapters/vault"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/operations"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// traced returns a pool on the database that records its statements.
func traced(t *testing.T, url string) (*pgxpool.Pool, *statements) {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	seen := &statements{}
	config.ConnConfig.Tracer = seen
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool, seen
}

// on counts the statements on a table that begin like that.
func (s *statements) on(table, verb string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.all {
		if strings.Contains(q.SQL, verb+" ") && strings.Contains(q.SQL, table) {
			n++
		}
	}
	return n
}

func answered() bill.Inquiry {
	q := inquiry(1)
	q.ID = id.ID(uuid.Must(uuid.NewV7()))
	return q.Complete(portstest.BillCopies()[0], freshness.FromCache, noon)
}

func TestInquiryBatches(t *testing.T) {
	t.Parallel()
	portstest.InquiryBatches(t, func(t *testing.T) (ports.Inquiries, ports.InquiryBatches) {
		t.Helper()
		s := postgres.NewInquiries(pgtest.New(t, migrations.Bill).Pool, keyring(t))
		return s, s
	})
}

// TestInquiriesOfManyShareStatements: a cached bill costs the database no read and far less than a statement (S8).
func TestInquiriesOfManyShareStatements(t *testing.T) {
	t.Parallel()
	const callers, each = 64, 20
	db := pgtest.New(t, migrations.Bill)
	pool, seen := traced(t, db.URL)
	inquiries := postgres.OpenInquiries(pool, keyring(t), postgres.InquiryOptions{Delay: time.Millisecond})
	var wg sync.WaitGroup
	errs := make(chan error, callers*each)
	for range callers {
		wg.Go(func() {
			for range each {
				errs <- inquiries.Add(t.Context(), answered())
			}
		})
	}
	wg.Wait()
	for range callers * each {
		require.NoError(t, <-errs)
	}
	require.Equal(t, callers*each, count(t, db.Admin, "inquiries"))
	require.LessOrEqual(t, seen.on("inquiries", "INSERT INTO"), callers*each/4)
	require.Zero(t, seen.on("inquiries WHERE", "FROM"), "nothing is read")
	inquiries.Close()
	require.Error(t, inquiries.Add(t.Context(), answered()))
}

// TestABadInquiryFailsAlone: PostgreSQL refuses the whole statement for a text that it cannot store.
func TestABadInquiryFailsAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Bill)
	inquiries := postgres.OpenInquiries(db.Pool, keyring(t), postgres.InquiryOptions{Delay: 20 * time.Millisecond})
	all := make([]bill.Inquiry, 30)
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i := range all {
		all[i] = answered()
		if i%10 == 3 {
			all[i].UserID = auth.UserID("a\x00b")
		}
		wg.Go(func() { errs[i] = inquiries.Add(t.Context(), all[i]) })
	}
	wg.Wait()
	for i, err := range errs {
		if i%10 == 3 {
			require.Error(t, err)
			require.Equal(t, fault.Internal, fault.From(err).Kind())
			continue
		}
		require.NoError(t, err)
	}
	require.Equal(t, 27, count(t, db.Admin, "inquiries"))
}

// TestAnInquiryWaitsNoLongerThanItsCaller: the table is locked, and the caller's context ends.
func TestAnInquiryWaitsNoLongerThanItsCaller(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Bill)
	tx, err := db.Admin.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE inquiries")
	require.NoError(t, err)
	inquiries, q := postgres.NewInquiries(db.Pool, keyring(t)), answered()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, inquiries.Add(ctx, q), fault.New(fault.ServiceUnavailable))
	require.NoError(t, tx.Rollback(t.Context()))
	inquiries.Close()
	require.Equal(t, 1, count(t, db.Admin, "inquiries"), "it was under way")
	require.NoError(t, postgres.NewInquiries(db.Pool, keyring(t)).Add(t.Context(), answered()))
}

// TestAnAnswerIsRecordedThoughTheDatabaseStalled: adding the unfinished row times out but succeeds in the end; the
// stale copy that the customer got completes it.
func TestAnAnswerIsRecordedThoughTheDatabaseStalled(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Bill)
	keys := keyring(t)
	store := postgres.NewInquiries(db.Pool, keys)
	spooled, err := spool.Open(spool.Config{Dir: t.TempDir()}, spool.Deps{
		Store: store, Batches: store, Sealer: vault.Inquiries(keys), Alerts: &memory.Alerts{},
		Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, spooled.Close()) })
	stall, err := db.Admin.Begin(t.Context())
	require.NoError(t, err)
	_, err = stall.Exec(t.Context(), "LOCK TABLE inquiries")
	require.NoError(t, err)
	require.NoError(t, spooled.Add(t.Context(), answered()), "from now on the store is thought away")

	asked := inquiry(1)
	asked.ID, asked.Status, asked.NextAttemptAt = id.ID(uuid.Must(uuid.NewV7())), bill.Processing, noon.Add(8*time.Second)
	require.ErrorIs(t, spooled.Add(t.Context(), asked), fault.New(fault.ServiceUnavailable))
	answer := asked.Complete(portstest.BillCopies()[0], freshness.FromStale, noon)
	require.NoError(t, spooled.Add(t.Context(), answer))
	require.NoError(t, stall.Rollback(t.Context()))
	require.Eventually(t, func() bool { _, err := store.Get(t.Context(), asked.ID); return err == nil }, 30*time.Second,
		10*time.Millisecond)

	n, err := spooled.Replay(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	got, err := spooled.Get(t.Context(), asked.ID)
	require.NoError(t, err)
	require.Equal(t, bill.Completed, got.Status)
	require.Equal(t, freshness.FromStale, got.Source)
	require.Equal(t, answer.Version, got.Version)
}

func TestDeliveredInquiries(t *testing.T) {
	t.Parallel()
	portstest.DeliveredInquiries(
		t, func(t *testing.T) (ports.Inquiries, ports.InquiryBatches, ports.Outbox[ports.BillResult]) {
			t.Helper()
			pool, keys := pgtest.New(t, migrations.Bill).Pool, keyring(t)
			s := postgres.NewInquiries(pool, keys)
			return s, s, postgres.NewBillOutbox(pool, keys, vault.Bills(keys))
		})
}

// TestAnAnswerThatHistoryDoesNotShowIsAnAlert: the AP server got the worker's answer before the customer's was in the
// database. An answer that is the same, or of an unfinished row, is no alert.
func TestAnAnswerThatHistoryDoesNotShowIsAnAlert(t *testing.T) {
	t.Parallel()
	db, keys, alerts := pgtest.New(t, migrations.Bill), keyring(t), &memory.Alerts{}
	store := postgres.OpenInquiries(db.Pool, keys, postgres.InquiryOptions{Alerts: alerts})
	t.Cleanup(store.Close)
	outbox := postgres.NewBillOutbox(db.Pool, keys, vault.Bills(keys))
	q := inquiry(1)
	q.Status, q.NextAttemptAt = bill.Processing, noon
	require.NoError(t, store.Add(t.Context(), q))
	worked := q.Fail(fault.BillNotFound, noon.Add(time.Second+123)) // finer than the database's precision
	require.NoError(t, store.Save(t.Context(), worked))
	late := answered()
	require.NoError(t, store.Add(t.Context(), late))
	_, err := outbox.Claim(t.Context(), noon.Add(time.Hour), time.Minute, 5, 5)
	require.NoError(t, err)
	require.NoError(t, store.AddAll(t.Context(), []bill.Inquiry{worked, late}))
	require.NoError(t, store.Add(t.Context(), q))
	require.Empty(t, alerts.Raised())

	answer := q.Complete(portstest.BillCopies()[0], freshness.FromStale, noon)
	require.NoError(t, store.AddAll(t.Context(), []bill.Inquiry{answer, late}))
	require.Len(t, alerts.Raised(), 1)
	require.Equal(t, operations.HistoryDiffers, alerts.Raised()[0].Kind)
	require.Equal(t, q.ID.String(), alerts.Raised()[0].Subject)
	require.NoError(t, postgres.NewInquiries(db.Pool, keys).Add(t.Context(), answer), "without alerts")
}

// TestATimeoutIsFailedInTheRow: the previous release reads and delivers such rows, and knows no other failure (ADR 30).
func TestATimeoutIsFailedInTheRow(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.Bill)
	store := postgres.NewInquiries(db.Pool, keyring(t))
	added, saved := inquiry(1), inquiry(2)
	added = added.Fail(fault.ServiceUnavailable, noon)
	added.Status = bill.Timeout
	require.NoError(t, store.Add(t.Context(), added))
	saved.Status, saved.NextAttemptAt = bill.Processing, noon
	require.NoError(t, store.Add(t.Context(), saved))
	saved.Attempts = bill.MaxAttempts
	saved = saved.After(bill.NoAnswer, fault.ServiceUnavailable, false, 0, noon)
	require.Equal(t, bill.Timeout, saved.Status)
	require.NoError(t, store.Save(t.Context(), saved))
	for _, q := range []bill.Inquiry{added, saved} {
		var status string
		require.NoError(t,
			db.Admin.QueryRow(t.Context(), "SELECT status FROM inquiries WHERE id = $1", uuid.UUID(q.ID)).Scan(&status))
		require.Equal(t, "FAILED", status)
		got, err := store.Get(t.Context(), q.ID)
		require.NoError(t, err)
		require.Equal(t, bill.Timeout, got.Status)
	}
}

package postgres_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/spool"
	"phonebill/adapters/vault"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/operations"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// TestWhatWasToldIsRecordedThoughTheDatabaseStalled: the unfinished row is given up after a while but stored in the end; the answer that
// the customer got from the last good copy ends it.
func TestWhatWasToldIsRecordedThoughTheDatabaseStalled(t *testing.T) {
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
	told := asked.Complete(portstest.BillCopies()[0], freshness.FromStale, noon)
	require.NoError(t, spooled.Add(t.Context(), told))
	require.NoError(t, stall.Rollback(t.Context()))
	require.Eventually(t, func() bool { _, err := store.Get(t.Context(), asked.ID); return err == nil }, 30*time.Second, 10*time.Millisecond)

	n, err := spooled.Replay(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	got, err := spooled.Get(t.Context(), asked.ID)
	require.NoError(t, err)
	require.Equal(t, bill.Completed, got.Status)
	require.Equal(t, freshness.FromStale, got.Source)
	require.Equal(t, told.Version, got.Version)
}

func TestDeliveredInquiries(t *testing.T) {
	t.Parallel()
	portstest.DeliveredInquiries(t, func(t *testing.T) (ports.Inquiries, ports.InquiryBatches, ports.Outbox[ports.BillResult]) {
		t.Helper()
		pool, keys := pgtest.New(t, migrations.Bill).Pool, keyring(t)
		s := postgres.NewInquiries(pool, keys)
		return s, s, postgres.NewBillOutbox(pool, keys, vault.Bills(keys))
	})
}

// TestAPersonHearsOfAnAnswerThatTheCustomerNeverSaw: the AP was told the worker's answer before the customer's was in the database. What is
// the same, and what is still changed, is no news.
func TestAPersonHearsOfAnAnswerThatTheCustomerNeverSaw(t *testing.T) {
	t.Parallel()
	db, keys, heard := pgtest.New(t, migrations.Bill), keyring(t), &memory.Alerts{}
	store := postgres.OpenInquiries(db.Pool, keys, postgres.InquiryOptions{Alerts: heard})
	t.Cleanup(store.Close)
	outbox := postgres.NewBillOutbox(db.Pool, keys, vault.Bills(keys))
	q := inquiry(1)
	q.Status, q.NextAttemptAt = bill.Processing, noon
	require.NoError(t, store.Add(t.Context(), q))
	worked := q.Fail(fault.BillNotFound, noon.Add(time.Second+123)) // finer than the database keeps it
	require.NoError(t, store.Save(t.Context(), worked))
	late := answered()
	require.NoError(t, store.Add(t.Context(), late))
	_, err := outbox.Claim(t.Context(), noon.Add(time.Hour), time.Minute, 5, 5)
	require.NoError(t, err)
	require.NoError(t, store.AddAll(t.Context(), []bill.Inquiry{worked, late}))
	require.NoError(t, store.Add(t.Context(), q))
	require.Empty(t, heard.Raised())

	told := q.Complete(portstest.BillCopies()[0], freshness.FromStale, noon)
	require.NoError(t, store.AddAll(t.Context(), []bill.Inquiry{told, late}))
	require.Len(t, heard.Raised(), 1)
	require.Equal(t, operations.HistoryDiffers, heard.Raised()[0].Kind)
	require.Equal(t, q.ID.String(), heard.Raised()[0].Subject)
	require.NoError(t, postgres.NewInquiries(db.Pool, keys).Add(t.Context(), told), "nobody listens")
}

// TestATimeoutIsFailedInTheRow: the release before reads and delivers such rows, and knows no other failure (ADR 30).
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
		require.NoError(t, db.Admin.QueryRow(t.Context(), "SELECT status FROM inquiries WHERE id = $1", uuid.UUID(q.ID)).Scan(&status))
		require.Equal(t, "FAILED", status)
		got, err := store.Get(t.Context(), q.ID)
		require.NoError(t, err)
		require.Equal(t, bill.Timeout, got.Status)
	}
}

package postgres_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// traced is a pool on the database that records its statements.
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

// answered is an inquiry with a new id that is final.
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

// TestInquiriesOfManyShareStatements: a cached answer costs the database no read and far less than a statement (S8).
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

// TestABadInquiryHurtsNobodyElse: PostgreSQL refuses the whole statement for the text that it cannot store.
func TestABadInquiryHurtsNobodyElse(t *testing.T) {
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

// TestAnInquiryWaitsNoLongerThanItsCaller: the database holds the table, the caller goes.
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

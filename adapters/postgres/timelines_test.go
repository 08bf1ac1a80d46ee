package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/vault"
	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/core/timeline"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// databases are those that a timeline is read from.
type databases struct {
	db, kos *pgtest.DB
	keys    *vault.Vault
}

func openDatabases(t *testing.T, service migrations.Database) databases {
	t.Helper()
	return databases{pgtest.New(t, service), pgtest.New(t, migrations.KOS), keyring(t)}
}

func (b databases) call(t *testing.T, request id.ID, operation, result string, asked time.Time) {
	t.Helper()
	require.NoError(t, postgres.NewCallLog(b.kos.Pool, b.keys).Append(t.Context(), audit.Call{
		ID: id.ID{9, byte(asked.Second())}, Operation: operation, RequestID: request, AskedAt: asked,
		AnsweredAt: asked.Add(time.Second), Waited: 300 * time.Millisecond, Attempt: 1, Breaker: "CLOSED", Result: result,
		HTTPStatus: 200, Request: []byte("01012345678"), Answer: []byte("01012345678"),
	}))
}

// parkedAndEnded returns an order that got no response, was parked, and was ended by two persons.
func parkedAndEnded(t *testing.T, b databases) product.Order {
	t.Helper()
	rows, o := postgres.NewOrders(b.db.Pool, b.keys), order(1)
	require.NoError(t, rows.Add(t.Context(), o, request.KeyUse{}))
	at := noon
	save := func(state product.State, held bool) {
		var err error
		at = at.Add(time.Minute)
		o.State, o.WaitingForKOS, o.Sends, o.Note = state, held, 1, ""
		if held {
			o.Sends, o.Note = 0, "QUOTA"
		}
		o, err = rows.Save(t.Context(), o, at)
		require.NoError(t, err)
	}
	save(product.Requested, true)
	save(product.Dispatched, false)
	save(product.Unknown, false)
	save(product.Parked, false)
	b.call(t, o.ID, "customer.get", "0000", noon.Add(time.Second))
	b.call(t, id.ID{7}, "customer.get", "0000", noon.Add(2*time.Second))
	for _, who := range []auth.UserID{"kim", "lee"} {
		_, err := postgres.NewParkedOrders(b.db.Pool, b.keys).Resolve(t.Context(), o.ID, product.Resolution{
			Outcome: product.OutcomeCompleted, Reason: "KOS 화면에서 확인", By: who, At: time.Now(),
		}, func(context.Context, product.Order) error { return nil })
		require.NoError(t, err)
	}
	notices := postgres.NewNotices(b.db.Pool, b.keys)
	claimed, err := notices.Claim(t.Context(), time.Now().Add(time.Minute), time.Minute, 1)
	require.NoError(t, err)
	require.NoError(t, notices.Notified(t.Context(), claimed[0], time.Now()))
	outbox := postgres.NewChangeOutbox(b.db.Pool, b.keys)
	items, err := outbox.Claim(t.Context(), time.Now().Add(time.Minute), time.Minute, 1, 1)
	require.NoError(t, err)
	require.NoError(t, outbox.Settle(t.Context(), time.Now(), delivery.AttemptResult{
		ID: o.ID, Fence: items[0][0].Fence, State: delivery.Delivered, Attempt: delivery.Attempt{Note: "HTTP 200"},
	}))
	return o
}

var endedTimeline = []timeline.EventType{
	timeline.Requested, timeline.WaitedForQuota, timeline.CalledKOS, timeline.Waiting, timeline.CheckPassed,
	timeline.Dispatched, timeline.Unknown, timeline.Parked, timeline.Proposed, timeline.Resolved, timeline.Completed,
	timeline.CustomerNotified, timeline.Delivered,
}

func TestTimelinesOfChanges(t *testing.T) {
	t.Parallel()
	portstest.Timelines(t, func(t *testing.T) (ports.Timelines, id.ID, []timeline.EventType) {
		t.Helper()
		b := openDatabases(t, migrations.Product)
		return postgres.NewChangeTimelines(b.db.Pool, b.kos.Pool, b.keys), parkedAndEnded(t, b).ID, endedTimeline
	})
}

func answeredStale(t *testing.T, b databases) id.ID {
	t.Helper()
	rows, q := postgres.NewInquiries(b.db.Pool, b.keys), inquiry(1)
	require.NoError(t, rows.Add(t.Context(), q))
	q = q.Complete(portstest.BillCopies()[0], freshness.FromStale, noon.Add(3*time.Second))
	q.Attempts = 1
	require.NoError(t, rows.Save(t.Context(), q))
	b.call(t, q.ID, "bill.inquiry", "TIMEOUT", noon.Add(time.Second))
	outbox := postgres.NewBillOutbox(b.db.Pool, b.keys, vault.Bills(b.keys))
	items, err := outbox.Claim(t.Context(), noon.Add(time.Minute), time.Minute, 1, 1)
	require.NoError(t, err)
	require.NoError(t, outbox.Settle(t.Context(), noon.Add(time.Minute), delivery.AttemptResult{
		ID: q.ID, Fence: items[0][0].Fence, State: delivery.Parked,
		Attempt: delivery.Attempt{Outcome: delivery.Rejected, Note: "HTTP 422"},
	}))
	require.NoError(t, outbox.Replay(t.Context(), q.ID, noon.Add(time.Hour)))
	return q.ID
}

var staleTimeline = []timeline.EventType{
	timeline.Requested, timeline.WaitedForQuota, timeline.CalledKOS, timeline.Stale, timeline.DeliveryParked,
	timeline.DeliveryReplayed,
}

func TestTimelinesOfInquiries(t *testing.T) {
	t.Parallel()
	portstest.Timelines(t, func(t *testing.T) (ports.Timelines, id.ID, []timeline.EventType) {
		t.Helper()
		b := openDatabases(t, migrations.Bill)
		return postgres.NewBillTimelines(b.db.Pool, b.kos.Pool, b.keys), answeredStale(t, b), staleTimeline
	})
}

// TestATimelineOutlivesTheCallLog, and the line; it says what is missing.
func TestATimelineOutlivesTheCallLog(t *testing.T) {
	t.Parallel()
	b := openDatabases(t, migrations.Product)
	o := parkedAndEnded(t, b)
	of := postgres.NewChangeTimelines(b.db.Pool, b.kos.Pool, b.keys)
	whole, err := of.ByRequest(t.Context(), o.ID)
	require.NoError(t, err)
	require.Equal(t, o.Line.String(), whole.Line)
	require.Empty(t, whole.Missing)
	require.Equal(t, "300", whole.Events[2].Facts["waitedMs"])
	require.Equal(t, "QUOTA", whole.Events[3].Facts["why"])
	require.NotContains(t, fmt.Sprint(whole), o.Line.Digits())
	exec(t, b.db.Admin, "UPDATE change_orders SET line_sealed = 'damaged'")
	b.kos.Pool.Close()
	story, err := of.ByRequest(t.Context(), o.ID)
	require.NoError(t, err)
	require.Empty(t, story.Line)
	require.Equal(t, []timeline.Gap{timeline.CallsUnavailable}, story.Missing)
	require.Len(t, story.Events, len(endedTimeline)-2)
	b.db.Pool.Close()
	_, err = of.ByRequest(t.Context(), o.ID)
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
}

func TestALongTimelineHasTheNewest(t *testing.T) {
	t.Parallel()
	b := openDatabases(t, migrations.Bill)
	inquiry := answeredStale(t, b)
	exec(t, b.db.Admin, `INSERT INTO delivery_attempts (event_id, fence, at, state, note)
		SELECT $1, 100 + i, now() + i * interval '1 s', 'PENDING', i::text FROM generate_series(1, 6000) i`, inquiry.String())
	exec(t, b.kos.Admin, `INSERT INTO kos_calls (id, operation, request_id, asked_at, answered_at, result, http_status)
		SELECT gen_random_uuid(), 'bill.inquiry', $1, now() + i * interval '1 s', now(), '0000', 200
		FROM generate_series(1, 6000) i`,
		inquiry.String())
	of := postgres.NewBillTimelines(b.db.Pool, b.kos.Pool, b.keys)
	story, err := of.ByRequest(t.Context(), inquiry)
	require.NoError(t, err)
	require.Equal(t, []timeline.Gap{timeline.Truncated}, story.Missing, "said once")
	require.Len(t, story.Events, timeline.MaxEvents)
	notes := map[string]bool{}
	for _, e := range story.Events {
		notes[e.Facts["note"]] = true
	}
	require.True(t, notes["6000"])
	require.False(t, notes["1000"], "the newest ones")
	require.Equal(t, timeline.Requested, story.Events[0].Type)
	b.db.Pool.Close()
	_, err = of.ByRequest(t.Context(), inquiry)
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
}

// TestATimelineUsesIndexes, in the same few queries however long it is.
func TestATimelineUsesIndexes(t *testing.T) {
	t.Parallel()
	b := openDatabases(t, migrations.Product)
	o := parkedAndEnded(t, b)
	exec(t, b.db.Admin, orders)
	exec(t, b.db.Admin,
		"INSERT INTO order_steps (order_id, state, result_code, sends) SELECT id, state, '', 0 FROM change_orders")
	exec(t, b.db.Admin, `INSERT INTO delivery_attempts (event_id, fence, at, state, note)
		SELECT id, 9, now(), 'DELIVERED', '' FROM change_orders`)
	exec(t, b.db.Admin, `INSERT INTO order_resolutions (order_id, at, by_user, outcome, reason, applied)
		SELECT id, now(), 'kim', 'FAILED', '', true FROM change_orders`)
	exec(t, b.kos.Admin, `INSERT INTO kos_calls (id, operation, request_id, asked_at, answered_at, result, http_status)
		SELECT gen_random_uuid(), 'bill.inquiry', gen_random_uuid(), now(), now(), '0000', 200
		FROM generate_series(1, 20000) i`)
	exec(t, b.db.Admin, "ANALYZE")
	exec(t, b.kos.Admin, "ANALYZE")
	watched := func(url string) (*pgxpool.Pool, *statements) {
		seen := &statements{}
		config, err := pgxpool.ParseConfig(url)
		require.NoError(t, err)
		config.ConnConfig.Tracer = seen
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		return pool, seen
	}
	db, asked := watched(b.db.URL)
	kos, called := watched(b.kos.URL)
	_, err := postgres.NewChangeTimelines(db, kos, b.keys).ByRequest(t.Context(), o.ID)
	require.NoError(t, err)
	queries := 0
	for _, s := range append(asked.all, called.all...) {
		if strings.Contains(s.SQL, "SELECT") {
			queries++
		}
	}
	require.Equal(t, 5, queries)
	plan := explain(t, b.db.Admin, asked, "_") + explain(t, b.kos.Admin, called, "kos_calls")
	require.NotContains(t, plan, "Seq Scan")
	for _, index := range []string{
		"change_orders_pkey", "order_steps_pkey", "order_resolutions_pkey", "delivery_attempts_pkey", "kos_calls_request",
	} {
		require.Contains(t, plan, index)
	}
}

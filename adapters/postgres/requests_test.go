package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/core/staff"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

const aTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

// found returns the ids of the requests that match.
func found(t *testing.T, of ports.RequestList, f staff.Filter) []id.ID {
	t.Helper()
	f.Page, f.Size = max(f.Page, 1), max(f.Size, 20)
	page, total, err := of.List(t.Context(), f)
	require.NoError(t, err)
	require.Equal(t, total, len(page))
	all := []id.ID{}
	for _, r := range page {
		all = append(all, r.ID)
	}
	return all
}

func newID() id.ID { return id.ID(uuid.Must(uuid.NewV7())) }

func TestStaffFindInquiries(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Bill), keyring(t)
	rows, of := postgres.NewInquiries(db.Pool, keys), postgres.NewInquiryRequests(db.Pool, keys)
	t.Cleanup(rows.Close)
	store := func(n int, line int, user string, status bill.Status, trace string) id.ID {
		q := inquiry(byte(n))
		q.ID, q.UserID, q.Line, q.TraceID = newID(), auth.UserID(user), portstest.Line(line), trace
		q.RequestedAt = noon.Add(time.Duration(n) * time.Second)
		if status != bill.Processing {
			q = q.Fail(fault.ServiceUnavailable, noon.Add(time.Minute))
			q.Status = status
		}
		require.NoError(t, rows.Add(t.Context(), q))
		return q.ID
	}
	live := store(1, 1, "hong1234", bill.Processing, aTrace)
	failed := store(2, 1, "hong1234", bill.Failed, "")
	timeout := store(3, 2, "hong1234", bill.Timeout, "")
	others := store(4, 3, "kim12345", bill.Failed, "")
	for name, c := range map[string]struct {
		f    staff.Filter
		want []id.ID
	}{
		"all":             {staff.Filter{}, []id.ID{others, timeout, failed, live}},
		"line":            {staff.Filter{Line: portstest.Line(1)}, []id.ID{failed, live}},
		"user":            {staff.Filter{UserID: "hong1234"}, []id.ID{timeout, failed, live}},
		"failed":          {staff.Filter{State: "FAILED"}, []id.ID{others, failed}},
		"timeout":         {staff.Filter{State: "TIMEOUT"}, []id.ID{timeout}},
		"processing":      {staff.Filter{State: "PROCESSING"}, []id.ID{live}},
		"completed":       {staff.Filter{State: "COMPLETED"}, []id.ID{}},
		"user's failed":   {staff.Filter{UserID: "hong1234", State: "FAILED"}, []id.ID{failed}},
		"line of another": {staff.Filter{Line: portstest.Line(1), UserID: "kim12345"}, []id.ID{}},
		"trace":           {staff.Filter{TraceID: aTrace}, []id.ID{live}},
		"unknown trace":   {staff.Filter{TraceID: strings.Repeat("0", 32)}, []id.ID{}},
	} {
		require.Equal(t, c.want, found(t, of, c.f), name)
	}
	page, total, err := of.List(t.Context(), staff.Filter{Page: 2, Size: 3})
	require.NoError(t, err)
	require.Equal(t, 4, total)
	require.Len(t, page, 1)
	require.Equal(t, staff.Request{
		ID: live, Kind: staff.Inquiry, UserID: "hong1234", Line: portstest.Line(1).String(), State: "PROCESSING",
		Subject: inquiry(1).Month.String(), RequestedAt: noon.Add(time.Second), NextAt: page[0].NextAt, TraceID: aTrace,
	}, page[0])
	require.ErrorIs(t, of.Cancel(t.Context(), live), fault.New(fault.StateConflict))
	require.ErrorIs(t, of.Cancel(t.Context(), id.ID{9}), fault.New(fault.ResourceNotFound))
	exec(t, db.Admin, "UPDATE inquiries SET line_sealed = 'damaged'")
	page, _, err = of.List(t.Context(), staff.Filter{Page: 1, Size: 1})
	require.NoError(t, err)
	require.Empty(t, page[0].Line, "what cannot be opened is shown without its line")
	db.Pool.Close()
	_, _, err = of.List(t.Context(), staff.Filter{Page: 1, Size: 1})
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
}

func TestStaffFindOrders(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Product), keyring(t)
	rows, of := postgres.NewOrders(db.Pool, keys), postgres.NewOrderList(db.Pool, keys)
	store := func(n int, user string, state product.State, trace string) id.ID {
		o := order(byte(n))
		o.ID, o.TransactionID, o.UserID, o.TraceID = newID(), newID(), auth.UserID(user), trace
		o.RequestedAt = noon.Add(time.Duration(n) * time.Second)
		require.NoError(t, rows.Add(t.Context(), o, request.KeyUse{}))
		if state != product.Requested {
			o.State, o.Sends = state, 1
			_, err := rows.Save(t.Context(), o, noon)
			require.NoError(t, err)
		}
		return o.ID
	}
	fresh := store(1, "hong1234", product.Requested, aTrace)
	unknown := store(2, "hong1234", product.Unknown, "")
	done := store(3, "kim12345", product.Completed, "")
	for name, c := range map[string]struct {
		f    staff.Filter
		want []id.ID
	}{
		"all":       {staff.Filter{}, []id.ID{done, unknown, fresh}},
		"line":      {staff.Filter{Line: portstest.Line(2)}, []id.ID{unknown}},
		"user":      {staff.Filter{UserID: "hong1234"}, []id.ID{unknown, fresh}},
		"unknown":   {staff.Filter{State: "UNKNOWN"}, []id.ID{unknown}},
		"completed": {staff.Filter{State: "COMPLETED"}, []id.ID{done}},
		"trace":     {staff.Filter{TraceID: aTrace}, []id.ID{fresh}},
		"cancelled": {staff.Filter{State: "CANCELLED"}, []id.ID{}},
	} {
		require.Equal(t, c.want, found(t, of, c.f), name)
	}
	page, _, err := of.List(t.Context(), staff.Filter{UserID: "hong1234", Page: 1, Size: 20})
	require.NoError(t, err)
	require.False(t, page[0].Cancellable)
	require.True(t, page[1].Cancellable)
	require.Equal(t, aTrace, page[1].TraceID)
	db.Pool.Close()
	_, _, err = of.List(t.Context(), staff.Filter{Page: 1, Size: 1})
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
}

// TestStaffFindRequestsAlongIndexes: the cost of a search depends on what it shows, not on the number of requests.
func TestStaffFindRequestsAlongIndexes(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Product), keyring(t)
	exec(t, db.Admin, orders)
	exec(t, db.Admin, "UPDATE change_orders SET trace_id = md5(id::text)")
	exec(t, db.Admin, "ANALYZE change_orders")
	pool, seen := traced(t, db.URL)
	of := postgres.NewOrderList(pool, keys)
	for name, c := range map[string]struct {
		f     staff.Filter
		index string
	}{
		"trace":  {staff.Filter{TraceID: aTrace}, "change_orders_trace"},
		"line":   {staff.Filter{Line: portstest.Line(1)}, "change_orders_of_line"},
		"user":   {staff.Filter{UserID: "nobody12"}, "change_orders_history_states"},
		"failed": {staff.Filter{State: "FAILED"}, "change_orders_ended"},
	} {
		seen.all, c.f.Page, c.f.Size = nil, 1, 20
		_, _, err := of.List(t.Context(), c.f)
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(seen.all), 2, name)
		for i, s := range seen.all {
			plan := analyzed(t, db.Admin, s)
			require.NotContains(t, plan, "Seq Scan", name)
			if i < 2 { // the count and the ids; the rows are found by their ids
				require.Regexp(t, c.index, plan, name)
			}
		}
	}
}

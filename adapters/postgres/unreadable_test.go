package postgres_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/bill"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/migrations"
	"phonebill/ports/portstest"
)

// TestOneUnreadableRowDelaysNoInquiry: the others are handed out, it is put off with an alert, and history shows it
// with its line.
func TestOneUnreadableRowDelaysNoInquiry(t *testing.T) {
	t.Parallel()
	db, keys, alerts := pgtest.New(t, migrations.Bill), keyring(t), &memory.Alerts{}
	rows := postgres.OpenInquiries(db.Pool, keys, postgres.InquiryOptions{Alerts: alerts})
	t.Cleanup(rows.Close)
	var lines []line.Number
	for n := range byte(4) {
		require.NoError(t, rows.Add(t.Context(), inquiry(n)))
		lines = append(lines, inquiry(n).Line)
	}
	exec(t, db.Admin, "UPDATE inquiries SET line_sealed = 'damaged' WHERE id = $1", id.ID{1}.String())
	claimed, err := rows.Claim(t.Context(), noon, time.Minute, 4)
	require.NoError(t, err)
	var got []id.ID
	for _, q := range claimed {
		got = append(got, q.ID)
	}
	require.ElementsMatch(t, []id.ID{{0}, {2}, {3}}, got)
	require.Len(t, alerts.Raised(), 1)
	require.Equal(t, operations.RowUnreadable, alerts.Raised()[0].Kind)
	require.Equal(t, id.ID{1}.String(), alerts.Raised()[0].Subject)

	again, err := rows.Claim(t.Context(), noon.Add(2*time.Minute), time.Minute, 4)
	require.NoError(t, err)
	require.Len(t, again, 3, "their leases are over")
	require.Len(t, alerts.Raised(), 1, "it is left alone")
	_, err = rows.Claim(t.Context(), noon.Add(61*time.Minute), time.Minute, 4)
	require.NoError(t, err)
	require.Len(t, alerts.Raised(), 2, "and looked at again")
	var attempts int
	require.NoError(t,
		db.Admin.QueryRow(t.Context(), "SELECT attempts FROM inquiries WHERE id = $1", id.ID{1}.String()).Scan(&attempts))
	require.Zero(t, attempts, "KOS was not asked for it")

	page, total, err := rows.History(t.Context(), bill.HistoryFilter{UserID: "hong1234", Lines: lines, Page: 1, Size: 10})
	require.NoError(t, err)
	require.Equal(t, 4, total)
	require.Len(t, page, 4)
	at := slices.IndexFunc(page, func(q bill.Inquiry) bool { return q.ID == id.ID{1} })
	require.Equal(t, inquiry(1).Line, page[at].Line, "known by its index")
	require.Equal(t, portstest.Month(), page[at].Month)
	require.Equal(t, bill.Processing, page[at].Status)
}

func TestOneUnreadableRowDelaysNoOrder(t *testing.T) {
	t.Parallel()
	db, keys, alerts := pgtest.New(t, migrations.Product), keyring(t), &memory.Alerts{}
	rows := postgres.OpenOrders(db.Pool, keys, alerts)
	var lines []line.Number
	for n := range byte(6) {
		o := order(n)
		require.NoError(t, rows.Add(t.Context(), o, request.KeyUse{}))
		lines = append(lines, o.Line)
		if n >= 3 {
			o.State, o.Sends = product.Dispatched, 1
			_, err := rows.Save(t.Context(), o, noon)
			require.NoError(t, err)
		}
	}
	exec(t, db.Admin, "UPDATE change_orders SET line_sealed = 'damaged' WHERE id IN ($1, $2)", id.ID{1}.String(),
		id.ID{4}.String())
	for queue, want := range map[product.Queue][]id.ID{product.New: {{0}, {2}}, product.Begun: {{3}, {5}}} {
		claimed, err := rows.Claim(t.Context(), queue, noon, time.Minute, 3)
		require.NoError(t, err)
		var got []id.ID
		for _, o := range claimed {
			got = append(got, o.ID)
			_, err := rows.Save(t.Context(), o, noon)
			require.NoError(t, err, "those handed out can be worked on")
		}
		require.ElementsMatch(t, want, got)
		again, err := rows.Claim(t.Context(), queue, noon.Add(2*time.Minute), time.Minute, 3)
		require.NoError(t, err)
		require.Len(t, again, 2)
	}
	require.Len(t, alerts.Raised(), 2)
	require.Equal(t, operations.RowUnreadable, alerts.Raised()[0].Kind)

	page, total, err := rows.History(t.Context(),
		product.HistoryFilter{UserID: "hong1234", Lines: lines, Page: 1, Size: 10})
	require.NoError(t, err)
	require.Equal(t, 6, total)
	at := slices.IndexFunc(page, func(o product.Order) bool { return o.ID == id.ID{4} })
	require.Equal(t, order(4).Line, page[at].Line)
	require.Equal(t, product.Dispatched, page[at].State)
}

package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/bill"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/ports"
)

// DeliveredInquiries is the suite of what ports.Inquiries and ports.Outbox owe each other, two faces of the same rows.
func DeliveredInquiries(
	t *testing.T, open func(t *testing.T) (ports.Inquiries, ports.InquiryBatches, ports.Outbox[ports.BillResult]),
) {
	t.Helper()
	for name, end := range map[string]func(t *testing.T, outbox ports.Outbox[ports.BillResult]){
		"handed out": func(t *testing.T, outbox ports.Outbox[ports.BillResult]) { t.Helper(); handedOut(t, outbox) },
		"delivered": func(t *testing.T, outbox ports.Outbox[ports.BillResult]) {
			t.Helper()
			require.NoError(t, outbox.Settle(t.Context(), after(80), delivered(handedOut(t, outbox)...)...))
		},
	} {
		t.Run("an answer that was "+name+" stays, whatever is added", func(t *testing.T) {
			t.Parallel()
			inquiries, batches, outbox := open(t)
			q := inquiry(1, Line(1))
			require.NoError(t, inquiries.Add(t.Context(), q))
			worked := q.Fail(fault.BillNotFound, after(70))
			require.NoError(t, inquiries.Save(t.Context(), worked))
			end(t, outbox)
			received := q.Complete(bill.Copy{Version: numbered(9), Bill: Bill(Line(1)), AsOf: after(3)}, freshness.FromStale,
				after(4))
			require.NoError(t, batches.AddAll(t.Context(), []bill.Inquiry{received}))
			require.NoError(t, inquiries.Add(t.Context(), received))
			got, err := inquiries.Get(t.Context(), q.ID)
			require.NoError(t, err)
			require.Equal(t, worked, got)
		})
	}
	t.Run("an undelivered result is replaced, and the new one is delivered", func(t *testing.T) {
		t.Parallel()
		inquiries, _, outbox := open(t)
		q := inquiry(1, Line(1))
		require.NoError(t, inquiries.Add(t.Context(), q))
		require.NoError(t, inquiries.Save(t.Context(), q.Fail(fault.BillNotFound, after(70))))
		received := q.Fail(fault.ServiceUnavailable, after(4))
		require.NoError(t, inquiries.Add(t.Context(), received))
		require.Equal(t, fault.ServiceUnavailable, handedOut(t, outbox)[0].Body.Inquiry.FailureCode)
	})
}

// handedOut claims what is pending of one line.
func handedOut(t *testing.T, outbox ports.Outbox[ports.BillResult]) []delivery.Item[ports.BillResult] {
	t.Helper()
	lines, err := outbox.Claim(t.Context(), after(75), time.Minute, 10, 10)
	require.NoError(t, err)
	require.Len(t, lines, 1)
	return lines[0]
}

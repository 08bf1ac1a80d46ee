package portstest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// InquiryBatches is the suite of ports.InquiryBatches; open returns the two faces of one store.
func InquiryBatches(t *testing.T, open func(t *testing.T) (ports.Inquiries, ports.InquiryBatches)) {
	t.Helper()
	t.Run("all are stored as they are, again as well", func(t *testing.T) {
		t.Parallel()
		inquiries, batches := open(t)
		all := []bill.Inquiry{completed(1, Line(1)), inquiry(2, Line(2)), completed(3, Line(1))}
		require.NoError(t, inquiries.Add(t.Context(), all[2]))
		require.NoError(t, batches.AddAll(t.Context(), all))
		require.NoError(t, batches.AddAll(t.Context(), all))
		for _, want := range all {
			got, err := inquiries.Get(t.Context(), want.ID)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		page, total, err := inquiries.History(t.Context(), bill.HistoryFilter{UserID: Owner().UserID, Lines: Owner().Lines,
			Page: 1, Size: 10})
		require.NoError(t, err)
		require.Equal(t, len(page), total)
		require.Subset(t, []id.ID{numbered(1), numbered(2), numbered(3)}, ids(page, inquiryID))
	})
	t.Run("another one under an id that is taken is refused", func(t *testing.T) {
		t.Parallel()
		inquiries, batches := open(t)
		require.NoError(t, inquiries.Add(t.Context(), completed(1, Line(1))))
		requireFault(t, fault.StateConflict, batches.AddAll(t.Context(),
			[]bill.Inquiry{completed(2, Line(1)), completed(1, Line(2))}))
		require.NoError(t, batches.AddAll(t.Context(), nil))
	})
}

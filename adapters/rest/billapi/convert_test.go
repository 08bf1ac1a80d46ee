package billapi

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/money"
)

// TestWhatKOSDoesNotTellIsAbsent: neither 0, nor a date, nor an empty object takes its place.
func TestWhatKOSDoesNotTellIsAbsent(t *testing.T) {
	t.Parallel()
	m, err := calendar.ParseMonth("2026-11")
	require.NoError(t, err)
	won := func(n money.Won) *money.Won { return &n }
	bare := bill.Bill{Month: m, ProductCode: "P", ProductName: "N", Total: 1}
	for name, c := range map[string]struct {
		change func(*bill.Bill)
		want   string
	}{
		"nothing but the total": {func(*bill.Bill) {}, ``},
		"a contract without an end": {
			func(b *bill.Bill) { b.Contract = &bill.Contract{Start: m.First()} }, `,"contract":{"startDate":"2026-11-01"}`,
		},
		"a term without dates": {func(b *bill.Bill) {
			b.Contract = &bill.Contract{
				Months: new(24),
			}
		}, `,"contract":{"months":24}`},
		"a charge without an amount": {
			func(b *bill.Bill) { b.Charges = []bill.Item{{Name: "월정액"}, {Amount: won(5)}, {}} },
			`,"charges":[{"name":"월정액"},{"amount":5},{}]`,
		},
		"no discounts, it says": {func(b *bill.Bill) { b.Discounts = []bill.Item{} }, `,"discountInfo":[]`},
		"0 won, it says": {
			func(b *bill.Bill) { b.TerminationFee, b.DeviceInstallment = won(0), won(0) },
			`,"terminationFee":0,"deviceInstallment":0`,
		},
		"voice alone": {
			func(b *bill.Bill) { b.Usage = bill.Usage{Voice: "무제한", VoiceUnlimited: true} },
			`,"usage":{"voice":"무제한","voiceUnlimited":true}`,
		},
		"a due date alone": {func(b *bill.Bill) { b.Payment.DueDate = m.First() }, `,"paymentInfo":{"dueDate":"2026-11-01"}`},
		"a total that is another": {
			func(b *bill.Bill) {
				b.Charges, b.Discounts = []bill.Item{{Name: "월정액", Amount: won(5)}}, []bill.Item{}
			},
			`,"charges":[{"name":"월정액","amount":5}],"discountInfo":[],"amountMismatch":true`,
		},
	} {
		b := bare
		c.change(&b)
		got, err := json.Marshal(toBill(b))
		require.NoError(t, err)
		require.JSONEq(
			t, `{"productCode":"P","productName":"N","billingMonth":"2026-11","totalAmount":1`+c.want+`}`, string(got), name,
		)
	}
}

package kossim_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos/internal/kosgen"
	"phonebill/adapters/kos/kossim"
)

func TestBillsAddUpInEveryMonth(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	c := connect(t, sim)
	lines, err := sim.AddCustomers(kossim.Generate{Count: 12, Seed: 7})
	require.NoError(t, err)
	texts, lists, withoutSMS, withoutDevice := 0, 0, 0, 0
	for _, line := range append(lines, "01012345678", "01012345682", "01087654321") {
		months, err := c.ListBillMonthsWithResponse(t.Context(), line)
		require.NoError(t, err)
		require.Len(t, months.JSON200.Data.AvailableMonths, 12)
		require.Equal(t, "202611", months.JSON200.Data.AvailableMonths[0])
		require.Equal(t, "202512", months.JSON200.Data.AvailableMonths[11])
		for _, month := range months.JSON200.Data.AvailableMonths {
			res := bill(t, c, line, month)
			require.Equal(t, kossim.OK, code(t, res.Body))
			b := res.JSON200.Data
			total := int64(0)
			for _, a := range *b.Charges {
				total += a.Amount
			}
			if discounts, err := b.DiscountInfo.AsDiscountInfo0(); err == nil {
				lists++
				for _, d := range discounts {
					total -= d.Amount
				}
				require.Equal(t, total, *b.Charge)
			} else {
				texts++
				text, err := b.DiscountInfo.AsDiscountInfo1()
				require.NoError(t, err)
				require.Contains(t, text, "할인 ")
				require.Less(t, *b.Charge, total)
			}
			if b.Usage.Sms == nil {
				withoutSMS++
			}
			if b.DeviceInstallmentMonthly == nil {
				withoutDevice++
				require.Zero(t, *b.DeviceInstallment)
			}
			require.Equal(t, month, b.BillingMonth)
			require.Equal(t, "LTE-PREMIUM-001", b.ProductCode)
			require.LessOrEqual(t, (*b.ContractStart)[:6], month)
			require.GreaterOrEqual(t, (*b.ContractEnd)[:6], month)
			status := "완료"
			if month == "202611" {
				status = "미납"
			}
			require.Equal(t, status, *b.BillingPaymentInfo.PaymentStatus)
			require.Equal(t, b, bill(t, c, line, month).JSON200.Data, "the same bill every time")
		}
	}
	require.Positive(t, texts)
	require.Positive(t, lists)
	require.Positive(t, withoutSMS)
	require.Positive(t, withoutDevice)
}

func TestUnlimitedPlanBillsUnlimitedUsage(t *testing.T) {
	t.Parallel()
	c := connect(t, open(t, options()))
	in := order("t-1")
	in.NewProductCode, in.EffectiveDate = "5G-PREMIUM-001", "20261121"
	require.Equal(t, kossim.OK, code(t, change(t, c, in).Body))
	now := bill(t, c, in.LineNumber, "202611").JSON200.Data
	require.Equal(t, "5G 프리미엄 플랜", now.ProductName)
	require.Equal(t, "무제한", *now.Usage.Data)
	require.Equal(t, int64(89_000), (*now.Charges)[0].Amount)
	require.Equal(t, "LTE-PREMIUM-001", bill(t, c, in.LineNumber, "202610").JSON200.Data.ProductCode, "past bills stay")
}

func TestFixedLines(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	c := connect(t, sim)
	for _, d := range kossim.DemoLines() {
		t.Run(string(d.Scenario)+" "+d.LineNumber, func(t *testing.T) {
			t.Parallel()
			wantBill, wantCustomer, wantStatus, wantMonths := kossim.OK, kossim.OK, http.StatusOK, 12
			if d.Scenario == kossim.NoBill {
				wantBill, wantMonths = kossim.NoSuchBill, 0
			}
			if d.Scenario == kossim.NewCustomer {
				wantMonths = 2
			}
			if d.Scenario == kossim.Failing {
				wantBill, wantCustomer, wantStatus = kossim.SystemError, kossim.SystemError, http.StatusInternalServerError
			}
			if d.Scenario == kossim.Unknown {
				wantBill, wantCustomer = kossim.UnknownLine, kossim.UnknownLine
			}
			res := bill(t, c, d.LineNumber, "202611")
			require.Equal(t, wantBill, code(t, res.Body))
			require.Equal(t, wantStatus, res.StatusCode())
			got, err := c.GetCustomerWithResponse(t.Context(), d.LineNumber)
			require.NoError(t, err)
			require.Equal(t, wantCustomer, code(t, got.Body))
			line, err := c.GetLineStatusWithResponse(t.Context(), d.LineNumber)
			require.NoError(t, err)
			require.Equal(t, wantCustomer, code(t, line.Body))
			if wantCustomer != kossim.OK {
				return
			}
			months, err := c.ListBillMonthsWithResponse(t.Context(), d.LineNumber)
			require.NoError(t, err)
			require.Len(t, months.JSON200.Data.AvailableMonths, wantMonths)
			status := "ACTIVE"
			if d.Scenario == kossim.Suspended {
				status = "SUSPENDED"
			}
			require.Equal(t, status, line.JSON200.Data.LineStatus)
			who := got.JSON200.Data
			require.Equal(t, status, who.LineStatus)
			require.Equal(t, "LTE-PREMIUM-001", who.CurrentProduct.ProductCode)
			require.Nil(t, who.ScheduledProduct)
			require.Equal(t, kossim.CustomerOf(d.LineNumber).CustomerID, who.CustomerId)
			require.Equal(t, kossim.CustomerOf(d.LineNumber).CustomerName, who.CustomerName)
			require.Equal(t, 24, *who.Contract.ContractMonths)
		})
	}
}

func TestUnpaidLineIsOverdue(t *testing.T) {
	t.Parallel()
	c := connect(t, open(t, options()))
	for month, want := range map[string]string{"202611": "미납", "202610": "연체", "202609": "연체", "202608": "완료"} {
		require.Equal(t, want, *bill(t, c, "01012345683", month).JSON200.Data.BillingPaymentInfo.PaymentStatus, month)
	}
}

func TestNoBillOutsideTheLastTwelveMonths(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	c := connect(t, sim)
	for _, month := range []string{"202612", "202511", "190001"} {
		require.Equal(t, kossim.NoSuchBill, code(t, bill(t, c, "01012345678", month).Body), month)
	}
	require.NoError(t, sim.Advance(31*24*60*60*1e9))
	require.Equal(t, kossim.OK, code(t, bill(t, c, "01012345678", "202612").Body), "the KOS clock moved on")
}

func TestANewCustomerHasBillsOfTwoMonths(t *testing.T) {
	t.Parallel()
	c := connect(t, open(t, options()))
	for month, want := range map[string]string{
		"202612": kossim.NoSuchBill, "202611": kossim.OK, "202610": kossim.OK, "202609": kossim.NoSuchBill,
	} {
		require.Equal(t, want, code(t, bill(t, c, "01012345684", month).Body), month)
	}
}

func TestCurrentMonthIsSeouls(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	require.NoError(t, sim.SetClock(noon.AddDate(0, 0, 9).Add(12*60*60*1e9))) // 30 November 15:00 UTC
	months, err := connect(t, sim).ListBillMonthsWithResponse(t.Context(), "01012345678")
	require.NoError(t, err)
	require.Equal(t, "202612", months.JSON200.Data.AvailableMonths[0])
}

func TestPlans(t *testing.T) {
	t.Parallel()
	c := connect(t, open(t, options()))
	res, err := c.ListProductsWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, res.JSON200.Data.Products, 6)
	fees := map[string]int64{}
	for _, p := range res.JSON200.Data.Products {
		fees[p.ProductCode] = p.MonthlyFee
		require.Equal(t, p.ProductCode == "3G-OLD-001", p.Status == "DISCONTINUED")
	}
	require.Equal(t, map[string]int64{
		"5G-PREMIUM-001": 89_000, "5G-STANDARD-001": 69_000, "LTE-PREMIUM-001": 59_000,
		"LTE-BASIC-001": 39_000, "3G-OLD-001": 29_000, "OTHER-LTE-001": 49_000,
	}, fees)
	ours := "MVNO-001"
	res, err = c.ListProductsWithResponse(t.Context(), &kosgen.ListProductsParams{OperatorCode: &ours})
	require.NoError(t, err)
	require.Len(t, res.JSON200.Data.Products, 5)
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	c := connect(t, sim)
	for name, body := range map[string]string{
		"not JSON": `{`, "two documents": `{}{}`, "wrong type": `{"requestId":1}`, "unknown field": `{"x":1}`, "empty": `{}`,
		"bad month":   `{"requestId":"r","lineNumber":"01012345678","inquiryMonth":"202613"}`,
		"short month": `{"requestId":"r","lineNumber":"01012345678","inquiryMonth":"2026"}`,
		"hyphens":     `{"requestId":"r","lineNumber":"010-1234-5678","inquiryMonth":"202611"}`,
		"no id":       `{"lineNumber":"01012345678","inquiryMonth":"202611"}`,
		"too long":    `{"requestId":"` + strings.Repeat("x", 70_000) + `"}`,
	} {
		res, err := c.InquireBillWithBodyWithResponse(t.Context(), "application/json", strings.NewReader(body))
		require.NoError(t, err, name)
		require.Equal(t, http.StatusBadRequest, res.StatusCode(), name)
		require.Equal(t, kossim.Malformed, code(t, res.Body), name)
	}
	for _, change := range []string{
		`{}`,
		`{"transactionId":"t","lineNumber":"01012345678","currentProductCode":"a","newProductCode":"b",
			"effectiveDate":"2026121"}`,
	} {
		res, err := c.ChangeProductWithBodyWithResponse(t.Context(), "application/json", strings.NewReader(change))
		require.NoError(t, err)
		require.Equal(t, kossim.Malformed, code(t, res.Body))
	}
	got, err := c.GetCustomerWithResponse(t.Context(), "12345")
	require.NoError(t, err)
	require.Equal(t, kossim.Malformed, code(t, got.Body))
	status, err := c.GetProductChangeWithResponse(t.Context(), strings.Repeat("x", 65))
	require.NoError(t, err)
	require.Equal(t, kossim.Malformed, code(t, status.Body))
	require.Empty(t, sim.Ledger())
}

package kos

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/line"
	"phonebill/core/money"
)

func TestUsageTexts(t *testing.T) {
	t.Parallel()
	n := func(i int) *int { return &i }
	for said, want := range map[string]*int{
		"250분": n(250), "1,250 분": n(1250), "4시간 10분": n(250), "2시간": n(120), "": nil, "분": nil,
		"무제한": nil, "약 10분": nil,
		"99999999999분": nil,
	} {
		require.Equal(t, want, minutes(said), said)
	}
	for said, want := range map[string]*int{"300건": n(300), "0건": n(0), "300": nil, "무제한": nil} {
		require.Equal(t, want, messages(said), said)
	}
	for said, want := range map[string]*int{
		"23.5GB": n(24064), "500MB": n(500), "1 gb": n(1024), "1TB": n(1 << 20), "2048KB": n(2), "GB": nil,
		"무제한": nil, "1.GB": nil,
	} {
		require.Equal(t, want, megabytes(said), said)
	}
}

const november = `"productCode":"P","productName":"N","billingMonth":"202611"`

func read(t *testing.T, data string) bill.Bill {
	t.Helper()
	n, err := line.Parse("01012345678")
	require.NoError(t, err)
	m, err := calendar.ParseMonth("2026-11")
	require.NoError(t, err)
	b, err := readBill([]byte(`{"resultCode":"0000","data":{`+november+`,`+data+`}}`), n, m)
	require.NoError(t, err)
	return b
}

func TestEveryFieldOfABill(t *testing.T) {
	t.Parallel()
	b := read(t,
		`"charge":74000,"contractInfo":" 24개월 약정 ","contractMonths":24,"contractStart":"20250301",
		"contractEnd":"20270228","discountInfo":"가족할인 10000원",
		"charges":[{"name":"월정액","amount":59000},{"name":"단말기 할부금","amount":25000}],
		"usage":{"voice":"무제한","data":"23.5GB"},"estimatedCancellationFee":48000,"deviceInstallment":100000,
		"deviceInstallmentMonthly":25000,
		"billingPaymentInfo":{"billingDate":"20261130","dueDate":"20261225","paymentStatus":"완료","paymentMethod":"카드"}`)
	megabytes, monthly := 24064, money.Won(25_000)
	date := func(s string) calendar.Date {
		d, err := calendar.ParseDate("", s)
		require.NoError(t, err)
		return d
	}
	require.Equal(t, bill.Bill{
		Line:         b.Line,
		Month:        b.Month,
		ProductCode:  "P",
		ProductName:  "N",
		ContractInfo: "24개월 약정",
		Contract:     &bill.Contract{Months: new(24), Start: date("2025-03-01"), End: date("2027-02-28")},
		Total:        74_000,
		Charges: []bill.Item{
			{Name: "월정액", Amount: new(money.Won(59_000))},
			{Name: "단말기 할부금", Amount: new(money.Won(25_000))},
		},
		Discounts: []bill.Item{{Name: "가족할인", Amount: new(money.Won(10_000))}},
		Usage: bill.Usage{
			Voice: "무제한", VoiceUnlimited: true, Data: "23.5GB", DataMegabytes: &megabytes,
		},
		TerminationFee:           new(money.Won(48_000)),
		DeviceInstallment:        new(money.Won(100_000)),
		DeviceInstallmentMonthly: &monthly,
		Payment: bill.Payment{
			BillingDate: date("2026-11-30"),
			DueDate:     date("2026-12-25"),
			Status:      bill.Paid,
			Method:      "카드",
		},
	}, b)
	require.True(t, b.AddsUp())
}

func TestMissingAndOddFields(t *testing.T) {
	t.Parallel()
	bare := read(t, `"charge":1`)
	require.Equal(t, bill.Bill{Line: bare.Line, Month: bare.Month, ProductCode: "P", ProductName: "N", Total: 1}, bare)

	b := read(t, `"charges":[{"name":"월정액","amount":5}],"discountInfo":[{"name":"할인","amount":2}],"usage":{}`)
	require.Equal(t, money.Won(3), b.Total, "as kos.yaml says how a charge comes about")

	b = read(t, `"charge":1,"contractMonths":24,"contractStart":"2025-03-01","contractEnd":"20271399",
		"billingPaymentInfo":{"billingDate":"00000000","paymentStatus":"환불"}`)
	require.Equal(t, &bill.Contract{Months: new(24)}, b.Contract, "odd dates are none")
	require.Equal(t, bill.Payment{}, b.Payment)

	b = read(t, `"charge":1,"contractStart":"20250301","billingPaymentInfo":{"paymentStatus":"연체"}`)
	require.Nil(t, b.Contract.Months)
	require.True(t, b.Contract.End.IsZero())
	require.Equal(t, bill.Overdue, b.Payment.Status)
}

// TestEveryVerdictHasItsPlace guards the tables: no verdict may fall through to a default.
func TestEveryVerdictHasItsPlace(t *testing.T) {
	t.Parallel()
	for v := answered; v <= breakerOpen; v++ {
		require.NotEmpty(t, v.result())
		if v != answered {
			require.Error(t, outcome{verdict: v}.readError())
		}
		require.False(t, v.notAsked() && v.effect() == succeeds)
	}
	require.Equal(t, "BROKEN", (breakerOpen + 1).result())
	require.Equal(t, fails, (breakerOpen + 1).effect())
	require.Error(t, outcome{verdict: breakerOpen + 1}.readError())
}

// grown are answers that fuzzing starts from: one of each reader, and what is wrong with others.
func grown(f *testing.F) {
	f.Helper()
	for _, seed := range []string{
		`{"resultCode":"0000","data":{` + november + `,"charge":1}}`,
		`{"resultCode":"0000","data":{` + november +
			`,"charges":[{"name":"월정액","amount":59000}],"discountInfo":"가족할인 10000원",
			"usage":{"voice":"4시간 10분","sms":"3건","data":"23.5GB"},
			"billingPaymentInfo":{"paymentStatus":"연체","dueDate":"20261225"}}}`,
		`{"resultCode":"0000","data":{` + november +
			`,"charges":[{"name":"a","amount":-9223372036854775808}],"discountInfo":[]}}`,
		`{"resultCode":"0000","data":{"customerId":"C","customerName":"홍","operatorCode":"O","lineStatus":"ACTIVE",
			"currentProduct":{"productCode":"P"},"scheduledProduct":{"productCode":"Q","effectiveDate":"20261201"},
			"contract":{"contractEnd":"20270228"}}}`,
		`{"resultCode":"0000","data":{"products":[{"productCode":"P","productName":"N","operatorCode":"O",
			"monthlyFee":1,"status":"ACTIVE"}]}}`,
		`{"resultCode":"0000","data":{"products":[{"productCode":"P","productName":"N","operatorCode":"O",
			"monthlyFee":null},null]}}`,
		`{"resultCode":"0000","data":{"transactionId":"T","newProductCode":"P","kosOrderNumber":"K","processResult":"정상"}}`,
		`{"resultCode":"0000","data":{"transactionId":"T","state":"REFUSED","resultCode":"E103"}}`,
		`{"resultCode":"0000"}`, `{}`, `[]`, `null`, ``, "\xb0\xa1", `{"data":{"data":{"data":[[[[[]]]]]}}}`,
	} {
		f.Add([]byte(seed))
	}
}

// FuzzReadBill: whatever KOS answers, a bill that is read is of the month asked for, has a plan, and its amounts can be
// summed.
func FuzzReadBill(f *testing.F) {
	grown(f)
	n, _ := line.Parse("01012345678")
	m, _ := calendar.ParseMonth("2026-11")
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := readBill(body, n, m)
		if err != nil {
			require.ErrorIs(t, err, errAnswer)
			require.Zero(t, b)
			return
		}
		require.Equal(t, n, b.Line)
		require.Equal(t, m, b.Month)
		require.NotEmpty(t, b.ProductCode)
		require.NotEmpty(t, b.ProductName)
		require.False(t, implausible(b.TerminationFee) || implausible(b.DeviceInstallment))
		for _, d := range b.Discounts {
			require.False(t, implausible(d.Amount))
		}
		b.AddsUp()
	})
}

func FuzzReadCustomer(f *testing.F) {
	grown(f)
	n, _ := line.Parse("01012345678")
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := readCustomer(body, n)
		if err != nil {
			require.ErrorIs(t, err, errAnswer)
			require.Zero(t, c)
			return
		}
		require.NotEmpty(t, c.CustomerID)
		require.NotEmpty(t, c.PlanCode)
		require.NotEmpty(t, c.LineStatus)
		require.False(t, implausible(c.Contract.EarlyTerminationFee))
	})
}

func FuzzReadPlans(f *testing.F) {
	grown(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		plans, err := readPlans(body)
		if err != nil {
			require.ErrorIs(t, err, errAnswer)
			require.Nil(t, plans)
			return
		}
		require.NotEmpty(t, plans)
		for _, p := range plans {
			require.NotEmpty(t, p.Code)
			require.False(t, implausible(p.MonthlyFee))
		}
	})
}

// FuzzReadChange: what is read as the answer to a change or to a question about one is of that very transaction.
func FuzzReadChange(f *testing.F) {
	grown(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		if order, err := readChange(body, "T", "P"); err != nil {
			require.ErrorIs(t, err, errAnswer)
			require.Empty(t, order)
		} else {
			require.True(t, json.Valid(body))
		}
		answer, err := readChangeStatus(body, "T")
		if err != nil {
			require.ErrorIs(t, err, errAnswer)
			require.Zero(t, answer)
		}
	})
}

func FuzzJudge(f *testing.F) {
	f.Add(200, []byte(`{"resultCode":"0000","data":{`+november+`,"charge":1}}`))
	f.Add(400, []byte(`{"resultCode":"E002"}`))
	f.Add(500, []byte("<html>"))
	n, _ := line.Parse("01012345678")
	m, _ := calendar.ParseMonth("2026-11")
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		var parsed bill.Bill
		out := judge(exchange{status: status, body: body}, &billInquiry.traits, func(body []byte) (err error) {
			parsed, err = readBill(body, n, m)
			return err
		})
		if out.verdict == answered {
			require.Equal(t, 200, status)
			require.Equal(t, m, parsed.Month)
			require.True(t, json.Valid(body))
		}
		_, err := readCustomer(body, n)
		_, again := readPlans(body)
		require.False(t, err == nil && again == nil, "nothing is a customer and a plan list")
	})
}

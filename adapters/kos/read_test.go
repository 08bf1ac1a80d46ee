package kos_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/adapters/kos/kossim"
	"phonebill/adapters/memory"
	"phonebill/core/audit"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/money"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

var request = id.ID{0: 5, 15: 5}

// The calls that most tests make.
var (
	read   = ports.Call{Lane: quota.Read}
	billed = ports.Call{Lane: quota.Read, RequestID: request}
	change = ports.Call{Lane: quota.Change}
)

// ask asks for a bill of November 2026 and returns the fault, nil for none.
func (l *link) ask(ctx context.Context, t *testing.T, lineNumber string) (bill.Bill, *fault.Error) {
	t.Helper()
	b, err := l.Bill(ctx, billed, number(t, lineNumber), month(t, "2026-11"))
	return b, fault.From(err)
}

func TestEveryFixedLine(t *testing.T) {
	t.Parallel()
	for lineNumber, want := range map[string]struct {
		bill, customer fault.Code
		result         string
		status         product.LineStatus
	}{
		"01012345678": {"", "", "0000", product.LineActive},
		"01012345679": {fault.BillNotFound, "", "E002", product.LineActive},
		"01012345680": {fault.ServiceUnavailable, fault.ServiceUnavailable, "E999", ""},
		"01012345681": {"", "", "0000", product.LineActive}, // slow, but delays are off
		"01012345682": {"", "", "0000", product.LineSuspended},
		"01012345683": {"", "", "0000", product.LineActive},
		"01012340000": {fault.LineNotFound, fault.LineNotFound, "E001", ""},
		"01087654321": {"", "", "0000", product.LineActive},
	} {
		t.Run(lineNumber, func(t *testing.T) {
			t.Parallel()
			l, _ := simulate(t)
			b, f := l.ask(t.Context(), t, lineNumber)
			if want.bill == "" {
				require.Nil(t, f)
				require.Equal(t, number(t, lineNumber), b.Line)
				require.Equal(t, "2026-11", b.Month.String())
				require.True(t, b.AddsUp())
				require.Equal(t, bill.Unpaid, b.Payment.Status)
				require.NotNil(t, b.Contract)
				require.Equal(t, new(24), b.Contract.Months)
			} else {
				require.Equal(t, want.bill, f.Code())
				require.NotErrorIs(t, f, ports.ErrNotAsked)
				require.NotErrorIs(t, f, ports.ErrNoAnswer)
			}
			c, err := l.Customer(t.Context(), read, number(t, lineNumber))
			if want.customer == "" {
				require.NoError(t, err)
				require.Equal(t, kossim.CustomerOf(lineNumber).CustomerID, c.CustomerID)
				require.Equal(t, kossim.CustomerOf(lineNumber).CustomerName, c.Name.Reveal())
				require.Equal(t, number(t, lineNumber), c.Line)
				require.Equal(t, want.status, c.LineStatus)
				require.Equal(t, "LTE-PREMIUM-001", c.PlanCode)
				require.Nil(t, c.Scheduled)
				require.False(t, c.Contract.TermEnd.IsZero())
			} else {
				require.Equal(t, want.customer, fault.From(err).Code())
			}
			require.Equal(t, "bill.inquiry "+want.result, l.results()[0])
		})
	}
}

func TestAllMonthsOfAllLinesReadWell(t *testing.T) {
	t.Parallel()
	l, sim := simulate(t)
	lines, err := sim.AddCustomers(kossim.Generate{Count: 8, Seed: 1})
	require.NoError(t, err)
	texts := 0
	for _, n := range lines {
		for back := range 12 {
			m := month(t, "2026-11").Add(-back)
			b, err := l.Bill(t.Context(), billed, number(t, n), m)
			require.NoError(t, err)
			require.True(t, b.AddsUp(), "%s %+v", m, b)
			require.Equal(t, m, b.Month)
			require.NotNil(t, b.Usage.VoiceMinutes)
			require.NotNil(t, b.Usage.DataMegabytes)
			require.Equal(t, b.Usage.SMS == "", b.Usage.SMSCount == nil)
			if back > 0 {
				require.Equal(t, bill.Paid, b.Payment.Status)
			}
			texts += len(b.Discounts)
		}
	}
	require.Positive(t, texts)
	require.Zero(t, l.metric(t, "kos_bill_mismatch_total"))
}

func TestPlansIncludeThoseOffSale(t *testing.T) {
	t.Parallel()
	l, _ := simulate(t)
	plans, err := l.Plans(t.Context(), read)
	require.NoError(t, err)
	held := product.PlansCopy{Plans: plans}
	premium, ok := held.Find("5G-PREMIUM-001")
	require.True(t, ok)
	require.Equal(t, []string{"5G 프리미엄 플랜", "89,000원", "무제한", "5G"},
		[]string{premium.Name, premium.MonthlyFee.String(), premium.DataAllowance, premium.NetworkType})
	require.True(t, premium.OnSale)
	old, ok := held.Find("3G-OLD-001")
	require.True(t, ok)
	require.False(t, old.OnSale)
	operators := map[string]bool{}
	for _, p := range plans {
		operators[p.OperatorCode] = true
	}
	require.Len(t, operators, 2)
}

func TestScheduledChangeIsShown(t *testing.T) {
	t.Parallel()
	l, _ := simulate(t)
	o := order(t, "01012345678", "LTE-PREMIUM-001", "5G-STANDARD-001")
	require.Equal(t, product.AnswerAccepted, l.Change(t.Context(), change, o).Kind)
	c, err := l.Customer(t.Context(), read, o.Line)
	require.NoError(t, err)
	require.Equal(t, "LTE-PREMIUM-001", c.PlanCode)
	require.Equal(t, &product.Scheduled{
		PlanCode: "5G-STANDARD-001", EffectiveDate: month(t, "2026-12").First(), TransactionID: o.TransactionID,
	}, c.Scheduled)
}

// TestCodes runs every result code, known or not, as HTTP 200 and as 400, through the three readers.
func TestCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]struct {
		bill   fault.Code
		result string
	}{
		"E001": {fault.LineNotFound, "E001"}, "E002": {fault.BillNotFound, "E002"}, "E003": {fault.BillNotFound, "E003"},
		"E101": {fault.ServiceUnavailable, "E101"}, "E110": {fault.ServiceUnavailable, "E110"},
		"E400": {fault.ServiceUnavailable, "E400"}, "E429": {fault.ServiceUnavailable, "E429"},
		"E999": {fault.ServiceUnavailable, "E999"}, "E777": {fault.ServiceUnavailable, "UNKNOWN_CODE"},
	} {
		for _, status := range []int{http.StatusOK, http.StatusBadRequest} {
			l := serve(t, says(status, envelope(t, code, nil)))
			_, f := l.ask(t.Context(), t, "01012345678")
			require.Equal(t, want.bill, f.Code(), "%s %d", code, status)
			require.Equal(t, []string{"bill.inquiry " + want.result}, l.results())
			require.InDelta(t, 1, l.metric(t, "kos_calls_total", "bill.inquiry", want.result), 0)
			require.Equal(t, code == "E400", strings.Contains(l.log.String(), "level=ERROR"), l.log.String())
			require.NotErrorIs(t, f, ports.ErrNotAsked)
			_, err := l.Plans(t.Context(), read)
			require.Error(t, err)
		}
	}
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{"7": 7 * time.Second, "": 0, "x": 0, "-1": 0, "999999": 0} {
		l := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", header)
			says(http.StatusTooManyRequests, "slow down")(w, r)
		})
		_, f := l.ask(t.Context(), t, "01012345678")
		require.Equal(t, fault.ServiceUnavailable, f.Code())
		require.Equal(t, want, f.RetryAfter(), header)
	}
}

func TestWrongCredentialIsOurFault(t *testing.T) {
	t.Parallel()
	revoked, _ := simulate(t, func(c *kos.Config, _ *kos.Deps) { c.Keys = keys(t, "revoked") })
	for _, l := range []*link{revoked, serve(t, says(http.StatusUnauthorized, "<html>who are you?</html>"))} {
		_, f := l.ask(t.Context(), t, "01012345678")
		require.Equal(t, fault.ServiceUnavailable, f.Code())
		require.Contains(t, l.log.String(), "level=ERROR")
		require.NotContains(t, l.log.String(), "revoked")
	}
}

// good is a bill that KOS might answer.
func good() map[string]any {
	return map[string]any{"productCode": "P", "productName": "N", "billingMonth": "202611", "charge": 1}
}

// with is good with one field changed.
func with(key string, value any) map[string]any {
	out := good()
	out[key] = value
	return out
}

// Broken JSON, no envelope and the answer to another question mean that KOS is ill.
func TestMalformedAnswers(t *testing.T) {
	t.Parallel()
	answers := map[string]struct {
		status int
		body   string
	}{
		"empty":            {200, ""},
		"html":             {200, "<html>maintenance</html>"},
		"half a document":  {200, envelope(t, "0000", good())[:40]},
		"two documents":    {200, strings.Repeat(envelope(t, "0000", good()), 2)},
		"array":            {200, "[]"},
		"no code":          {200, `{"data":{}}`},
		"number as code":   {200, `{"resultCode":0}`},
		"not UTF-8":        {200, strings.Replace(envelope(t, "0000", good()), `"N"`, "\"\xff\"", 1)},
		"other month":      {200, envelope(t, "0000", with("billingMonth", "202610"))},
		"too long":         {200, envelope(t, "0000", with("contractInfo", strings.Repeat("가", 400_000)))},
		"success as 201":   {201, envelope(t, "0000", good())},
		"success as 400":   {400, envelope(t, "0000", good())},
		"redirect":         {302, envelope(t, "0000", good())},
		"10 MB":            {200, envelope(t, "0000", with("contractInfo", strings.Repeat("x", 10<<20)))},
		"10 MB, zipped":    {200, zipped(t, envelope(t, "0000", with("contractInfo", strings.Repeat("x", 10<<20))))},
		"EUC-KR":           {200, strings.Replace(envelope(t, "0000", good()), `"N"`, "\"\xbf\xe4\xb1\xdd\xc1\xa6\"", 1)},
		"UTF-16":           {200, "\xff\xfe{\x00}\x00"},
		"gzip of nothing":  {200, "\x1f\x8b\x08\x00\x00\x00\x00\x00"},
		"half a gzip":      {200, zipped(t, envelope(t, "0000", good()))[:60]},
		"gzip of nonsense": {200, zipped(t, "<html>")},
		"two marks":        {200, "\xef\xbb\xbf\xef\xbb\xbf" + envelope(t, "0000", good())},
		"null":             {200, "null"},
		"trailing garbage": {200, envelope(t, "0000", good()) + "}"},
		"deep nesting":     {200, `{"resultCode":"0000","data":` + strings.Repeat("[", 1e5) + strings.Repeat("]", 1e5) + `}`},
	}
	for name, a := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := refusesToRead(t, a.status, a.body)
			require.Equal(t, []string{"bill.inquiry MALFORMED"}, l.results())
			require.InDelta(t, 1, l.metric(t, "kos_calls_total", "bill.inquiry", "MALFORMED"), 0)
			for range 4 { // of another line, so that it is not the line
				_, _ = l.ask(t.Context(), t, "01087654321")
			}
			_, f := l.ask(t.Context(), t, "01012345678")
			require.ErrorIs(t, f, ports.ErrNotAsked, "the breaker is open")
		})
	}
	_, f := serve(t, says(200, envelope(t, "0000", good()))).ask(t.Context(), t, "01012345678")
	require.Nil(t, f, "what the others are spoilt from is good")
	b, f := serve(t, says(200, envelope(t, "0000", with("charge", -5_000)))).ask(t.Context(), t, "01012345678")
	require.Nil(t, f)
	require.Equal(t, money.Won(-5_000), b.Total, "a credit")
}

// refusesToRead asks for a bill of a KOS that answers so, which must not be shown.
func refusesToRead(t *testing.T, status int, body string) *link {
	t.Helper()
	l := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		says(status, body)(w, r)
	})
	b, f := l.ask(t.Context(), t, "01012345678")
	require.NotNil(t, f)
	require.Equal(t, fault.ServiceUnavailable, f.Code())
	require.Zero(t, b)
	require.EqualValues(t, 1, l.requests.Load())
	require.Contains(t, l.log.String(), "kos sent an unusable answer")
	require.LessOrEqual(t, len(l.calls.Calls()[0].Answer), 1<<20+1, "the call log keeps no more than was read")
	require.NotContains(t, f.Error()+l.log.String(), "01012345678")
	return l
}

// A good envelope around data that cannot be used means that this bill cannot be shown, not that KOS is ill: however
// often it happens and of however many lines, the breaker stays closed.
func TestUnreadableAnswers(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"no data":              envelope(t, "0000", nil),
		"null data":            `{"resultCode":"0000","data":null}`,
		"data of another type": `{"resultCode":"0000","data":["bill"]}`,
		"no month":             envelope(t, "0000", with("billingMonth", nil)),
		"no plan":              envelope(t, "0000", with("productCode", "")),
		"no amount":            envelope(t, "0000", with("charge", nil)),
		"amount as words":      envelope(t, "0000", with("charge", "칠만원")),
		"amount as text":       envelope(t, "0000", with("charge", "1원")),
		"ten, or ten thousand": envelope(t, "0000", with("charge", "10.000")),
		"half a won":           envelope(t, "0000", with("charge", 0.5)),
		"huge number":          strings.Replace(envelope(t, "0000", good()), `"charge":1`, `"charge":1e400`, 1),
		"number past int64": strings.Replace(envelope(t, "0000", good()), `"charge":1`,
			`"charge":9223372036854775808`, 1),
		"amount beyond all measure": envelope(t, "0000", with("charge", int64(1)<<60)),
		"sum that overflows": `{"resultCode":"0000","data":{"productCode":"P","productName":"N","discountInfo":[],
			"billingMonth":"202611","charges":[{"name":"a","amount":9223372036854775807},
			{"name":"b","amount":9223372036854775807}]}}`,
		"a charge without an amount": `{"resultCode":"0000","data":{
			"productCode":"P","productName":"N","billingMonth":"202611",
			"charges":[{"name":"월정액"},{"name":"단말기 할부금","amount":25000}],
			"discountInfo":[{"name":"가족할인","amount":10000}]}}`,
		"a charge that is none": `{"resultCode":"0000","data":{
			"productCode":"P","productName":"N","billingMonth":"202611",
			"charges":["월정액",{"name":"단말기 할부금","amount":25000}],"discountInfo":[]}}`,
		"a discount that is not understood": `{"resultCode":"0000","data":{
			"productCode":"P","productName":"N","billingMonth":"202611",
			"charges":[{"name":"월정액","amount":59000}],"discountInfo":"가족할인 1만원"}}`,
		"nothing about discounts": `{"resultCode":"0000","data":{
			"productCode":"P","productName":"N","billingMonth":"202611",
			"charges":[{"name":"월정액","amount":59000}]}}`,
		"negative fee":        envelope(t, "0000", with("estimatedCancellationFee", -1)),
		"negative instalment": envelope(t, "0000", with("deviceInstallmentMonthly", -1)),
		"negative discount":   envelope(t, "0000", with("discountInfo", []any{map[string]any{"name": "할인", "amount": -1}})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := refusesToRead(t, 200, body)
			require.Equal(t, []string{"bill.inquiry UNREADABLE"}, l.results())
			require.InDelta(t, 1, l.metric(t, "kos_calls_total", "bill.inquiry", "UNREADABLE"), 0)
			for range 5 {
				for _, n := range []string{"01012345678", "01087654321"} {
					_, f := l.ask(t.Context(), t, n)
					require.Equal(t, fault.ServiceUnavailable, f.Code())
					require.NotErrorIs(t, f, ports.ErrNotAsked)
				}
			}
			require.Empty(t, l.raised(), "no alert is raised")
		})
	}
}

// What has one meaning is read, however it is written, and an odd field costs no more than itself.
func TestOddButUnambiguousAnswers(t *testing.T) {
	t.Parallel()
	of := func(fields string) string {
		return `{"resultCode":"0000","data":{"productCode":"P","productName":"N","billingMonth":"202611",` + fields + `}}`
	}
	for name, c := range map[string]struct {
		body string
		want money.Won
	}{
		"a fraction of zero":      {of(`"charge":74000.0`), 74_000},
		"an exponent":             {of(`"charge":7.4e4`), 74_000},
		"text":                    {of(`"charge":"74000"`), 74_000},
		"text with a fraction":    {of(`"charge":" 74000.00 "`), 74_000},
		"text, thousands grouped": {of(`"charge":"74,000"`), 74_000},
		"a credit as text":        {of(`"charge":"-5000"`), -5_000},
		"month as a number":       {strings.Replace(of(`"charge":74000`), `"202611"`, `202611`, 1), 74_000},
		"byte-order mark":         {"\xef\xbb\xbf" + of(`"charge":74000`), 74_000},
		"gzip":                    {zipped(t, of(`"charge":74000`)), 74_000},
		"mark within gzip":        {zipped(t, "\xef\xbb\xbf"+of(`"charge":74000`)), 74_000},
		"parts as text": {of(`"charges":[{"name":"월정액","amount":"59000"},{"name":"단말기 할부금","amount":25000.0}],
			"discountInfo":"가족할인 10,000원(2회선)"`), 74_000},
		"total unreadable, parts complete": {
			of(`"charge":"?","charges":[{"name":"월정액","amount":74000}],"discountInfo":[]`), 74_000},
		"discounts as number": {of(`"charge":74000,"discountInfo":7`), 74_000},
		"everything else of another type": {
			of(`"charge":74000,"contractInfo":7,"contractMonths":"?","contractStart":true,"charges":{},
			"usage":"무제한","estimatedCancellationFee":[],"deviceInstallment":"?","billingPaymentInfo":"완료"`), 74_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan string, 1)
			l := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked <- r.Header.Get("Accept-Encoding")
				if strings.HasPrefix(c.body, "\x1f") {
					w.Header().Set("Content-Encoding", "gzip")
				}
				for half := range slices.Chunk([]byte(c.body), len(c.body)/2+1) { // it comes in chunks as well
					_, _ = w.Write(half)
					_ = http.NewResponseController(w).Flush()
				}
			})
			b, f := l.ask(t.Context(), t, "01012345678")
			require.Nil(t, f)
			require.Equal(t, c.want, b.Total)
			require.Nil(t, b.TerminationFee)
			require.Nil(t, b.DeviceInstallment)
			require.Nil(t, b.Contract)
			require.Zero(t, b.Payment)
			require.Equal(t, "identity", <-asked)
			require.Equal(t, []string{"bill.inquiry 0000"}, l.results())
			require.Contains(t, string(l.calls.Calls()[0].Answer), `"resultCode"`, "the call log holds it in the clear")
		})
	}
}

// zipped is the text as gzip.
func zipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.String()
}

func TestUnreadableCustomersAndPlans(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"<html>": "MALFORMED", "": "MALFORMED", "[]": "MALFORMED", "\xbf\xe4": "MALFORMED",
		envelope(t, "0000", nil): "UNREADABLE", envelope(t, "0000", "text"): "UNREADABLE",
		envelope(t, "0000", []any{}):                             "UNREADABLE",
		envelope(t, "0000", map[string]any{"customerId": "C"}):   "UNREADABLE",
		envelope(t, "0000", map[string]any{"products": []any{}}): "UNREADABLE",
		envelope(t, "0000", map[string]any{
			"products": []any{map[string]any{"productName": "N", "operatorCode": "O"}},
		}): "UNREADABLE",
	} {
		l := serve(t, says(200, body))
		_, err := l.Customer(t.Context(), read, number(t, "01012345678"))
		require.Equal(t, fault.ServiceUnavailable, fault.From(err).Code(), body)
		_, err = l.Plans(t.Context(), read)
		require.Equal(t, fault.ServiceUnavailable, fault.From(err).Code(), body)
		require.Equal(t, []string{"customer.get " + want, "products.list " + want}, l.results())
	}
}

// TestAnOddFeeCostsItsPlanAlone: the list keeps its other plans.
func TestAnOddFeeCostsItsPlanAlone(t *testing.T) {
	t.Parallel()
	plans, err := serve(t, says(200, envelope(t, "0000", map[string]any{"products": []any{
		map[string]any{"productCode": "P", "productName": "N", "operatorCode": "O", "monthlyFee": -1},
		map[string]any{"productCode": "Q", "productName": "M", "operatorCode": "O", "monthlyFee": 39000},
	}}))).Plans(t.Context(), read)
	require.NoError(t, err)
	require.Len(t, plans, 2)
	require.Nil(t, plans[0].MonthlyFee)
	require.EqualValues(t, 39_000, *plans[1].MonthlyFee)
}

// TestAScheduleThatCannotBeReadIsNotNone: a change must not be decided as if nothing was scheduled.
func TestAScheduleThatCannotBeReadIsNotNone(t *testing.T) {
	t.Parallel()
	for schedule, readable := range map[any]bool{"5G-PREMIUM-001": false, 7: false, nil: true, "": true} {
		c, err := serve(t, says(200, envelope(t, "0000", map[string]any{
			"customerId":       "C",
			"operatorCode":     "O",
			"currentProduct":   map[string]any{"productCode": "P"},
			"scheduledProduct": schedule,
		}))).Customer(t.Context(), read, number(t, "01012345678"))
		if readable {
			require.NoError(t, err)
			require.Nil(t, c.Scheduled)
			continue
		}
		require.Equal(t, fault.ServiceUnavailable, fault.From(err).Code(), schedule)
	}
	_, err := serve(t, says(200, envelope(t, "0000", map[string]any{
		"customerId": "C", "operatorCode": "O", "currentProduct": map[string]any{"productCode": "P"},
		"scheduledProduct": map[string]any{"effectiveDate": "20260401"},
	}))).Customer(t.Context(), read, number(t, "01012345678"))
	require.Equal(t, fault.ServiceUnavailable, fault.From(err).Code())
}

// What KOS leaves out of a customer or a plan is nothing, and what it states of a plan with the customer is kept.
func TestCustomersAndPlansWithoutEverything(t *testing.T) {
	t.Parallel()
	bare := map[string]any{
		"customerId": "C", "operatorCode": "O", "currentProduct": map[string]any{"productCode": "P"},
		"scheduledProduct": map[string]any{"productCode": "Q"}, "contract": map[string]any{"contractStart": 20250301},
	}
	c, err := serve(t, says(200, envelope(t, "0000", bare))).Customer(t.Context(), read, number(t, "01012345678"))
	require.NoError(t, err)
	require.Equal(t, product.Customer{
		CustomerID: "C", Line: number(t, "01012345678"), OperatorCode: "O", PlanCode: "P",
		Scheduled: &product.Scheduled{PlanCode: "Q"}, Contract: product.Contract{Date: c.Contract.Date},
	}, c)
	require.Equal(t, "2025-03-01", c.Contract.Date.String())

	bare["currentProduct"] = map[string]any{
		"productCode": "P",
		"productName": "N",
		"monthlyFee":  "45000",
		"status":      "DISCONTINUED",
	}
	bare["scheduledProduct"] = map[string]any{
		"productCode":   "Q",
		"productName":   "M",
		"monthlyFee":    0,
		"effectiveDate": 20261201,
	}
	c, err = serve(t, says(200, envelope(t, "0000", bare))).Customer(t.Context(), read, number(t, "01012345678"))
	require.NoError(t, err)
	require.Equal(t, product.Plan{Code: "P", Name: "N", MonthlyFee: new(money.Won(45_000))}, c.Plan)
	require.Equal(
		t,
		product.Plan{Code: "Q", Name: "M", MonthlyFee: new(money.Won(0)), SaleUnknown: true},
		c.Scheduled.Plan,
	)
	require.Equal(t, month(t, "2026-12").First(), c.Scheduled.EffectiveDate)

	plans, err := serve(t, says(200, envelope(t, "0000", map[string]any{"products": []any{
		map[string]any{"productCode": "P"}, map[string]any{"productName": "no code"}, "no plan",
		map[string]any{"productCode": "Q", "monthlyFee": "?", "status": "ACTIVE"},
	}}))).Plans(t.Context(), read)
	require.NoError(t, err)
	require.Equal(t, []product.Plan{{Code: "P", SaleUnknown: true}, {Code: "Q", OnSale: true}}, plans)
}

func TestServerErrorsAreBroken(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "<html>", envelope(t, "0000", nil), envelope(t, "E002", nil)} {
		l := serve(t, says(http.StatusBadGateway, body))
		_, f := l.ask(t.Context(), t, "01012345678")
		require.Equal(t, fault.ServiceUnavailable, f.Code(), body)
	}
}

func TestNoConnectionIsNotAsked(t *testing.T) {
	t.Parallel()
	l := connect(t, deadPort(t))
	_, f := l.ask(t.Context(), t, "01012345678")
	require.Equal(t, fault.ServiceUnavailable, f.Code())
	require.ErrorIs(t, f, ports.ErrNotAsked)
	require.Equal(t, []string{"bill.inquiry NOT_SENT"}, l.results())
	require.Equal(t, product.Answer{Kind: product.AnswerNotSent, Why: "NOT_SENT"},
		l.Change(t.Context(), change, order(t, "01012345678", "LTE-PREMIUM-001", "5G-STANDARD-001")))
}

func TestFaultsOfTheWire(t *testing.T) {
	t.Parallel()
	for mode, want := range map[kossim.Mode]string{
		kossim.Hang: "TIMEOUT", kossim.Refuse: "BROKEN", kossim.Error: "E999", kossim.MalformedBody: "MALFORMED",
		kossim.AnswerTwice: "MALFORMED",
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			l, sim := simulate(t)
			require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.AnyOperation, Mode: mode}))
			_, f := l.ask(soon(t), t, "01012345678")
			require.Equal(t, fault.ServiceUnavailable, f.Code())
			require.Equal(t, mode == kossim.Hang, errors.Is(f, ports.ErrNoAnswer))
			require.NotErrorIs(t, f, ports.ErrNotAsked)
			require.Equal(t, []string{"bill.inquiry " + want}, l.results())
			require.Len(t, sim.Calls(), 1, "one call, one request")
		})
	}
}

func TestACallerThatLeavesCountsAsNoFailure(t *testing.T) {
	t.Parallel()
	l, sim := simulate(t)
	require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.AnyOperation, Mode: kossim.Hang}))
	for range 8 {
		ctx, cancel := context.WithCancel(t.Context())
		before := len(sim.Calls())
		done := make(chan *fault.Error, 1)
		go func() {
			_, err := l.Bill(ctx, billed, number(t, "01012345678"), month(t, "2026-11"))
			done <- fault.From(err)
		}()
		require.Eventually(t, func() bool { return len(sim.Calls()) > before }, 5*time.Second, time.Millisecond)
		cancel()
		require.ErrorIs(t, <-done, ports.ErrNoAnswer)
	}
	require.Equal(t, "bill.inquiry CANCELED", l.results()[7], "the breaker is still closed")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, f := l.ask(ctx, t, "01012345678")
	require.ErrorIs(t, f, ports.ErrNotAsked)
	require.Len(t, sim.Calls(), 8)
}

func TestAQuotaRefusalCountsAsNoFailure(t *testing.T) {
	t.Parallel()
	spent := &memory.Quota{Window: quota.Window{Budget: 1, Per: time.Minute}, Now: now}
	l, sim := simulate(t, func(_ *kos.Config, d *kos.Deps) { d.Quota = spent })
	_, f := l.ask(t.Context(), t, "01012345678")
	require.Nil(t, f)
	for range 10 {
		_, f = l.ask(t.Context(), t, "01012345678")
		require.ErrorIs(t, f, ports.ErrNotAsked)
		require.Equal(t, "QUOTA", ports.NotAskedReason(f))
		require.InDelta(t, time.Minute, f.RetryAfter(), float64(10*time.Second))
	}
	a := l.Change(t.Context(), change, order(t, "01012345678", "LTE-PREMIUM-001", "5G-STANDARD-001"))
	require.InDelta(t, time.Minute, a.RetryAfter, float64(5*time.Second))
	a.RetryAfter = 0
	require.Equal(t, product.Answer{Kind: product.AnswerNotSent, Why: "QUOTA"}, a)
	require.Len(t, sim.Calls(), 1)
	require.Len(t, l.calls.Calls(), 1, "nothing left us, so there is no call to log")
	require.InDelta(t, 10, l.metric(t, "kos_calls_total", "bill.inquiry", "QUOTA"), 0)
	require.Zero(t, l.metric(t, "kos_breaker_state", "bill.inquiry"))
}

func TestTheCallLogHasTheWholeCall(t *testing.T) {
	t.Parallel()
	l, _ := simulate(t)
	_, f := l.ask(t.Context(), t, "01012345678")
	require.Nil(t, f)
	_, err := l.Customer(t.Context(), read, number(t, "01012345678"))
	require.NoError(t, err)
	calls := l.calls.Calls()
	require.Len(t, calls, 2)
	first := calls[0]
	require.Contains(t, string(first.Answer), `"billingMonth":"202611"`)
	require.JSONEq(
		t,
		`{"requestId":"`+request.String()+`","lineNumber":"01012345678","inquiryMonth":"202611"}`,
		string(first.Request),
	)
	require.Less(t, first.Waited, time.Minute)
	first.Answer, first.Request, first.Waited = nil, nil, 0
	require.Equal(t, audit.Call{
		ID:         first.ID,
		Operation:  "bill.inquiry",
		Line:       number(t, "01012345678"),
		RequestID:  request,
		AskedAt:    noon,
		AnsweredAt: noon,
		Attempt:    1,
		Breaker:    "CLOSED",
		Result:     "0000",
		HTTPStatus: 200,
	}, first)
	require.False(t, first.ID.IsZero())
	require.Equal(t, "/kos/customer/01012345678", string(calls[1].Request))
	require.True(t, calls[1].RequestID.IsZero())
	_, err = l.Customer(t.Context(), billed, number(t, "01012345678"))
	require.NoError(t, err)
	require.Equal(t, request, l.calls.Calls()[2].RequestID, "the caller says for which request")
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 2)
	l := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Clone()
		says(200, envelope(t, "E001", nil))(w, r)
	})
	traced := ports.WithTrace(t.Context(), ports.Trace{
		RequestID: "edge-1", TraceID: strings.Repeat("ab", 16), SpanID: strings.Repeat("cd", 8),
	})
	_, _ = l.ask(traced, t, "01012345678")
	h := <-seen
	require.Equal(t, "Bearer "+token, h.Get("Authorization"))
	require.Equal(t, "edge-1", h.Get("X-Request-ID"))
	require.Equal(t, "00-"+strings.Repeat("ab", 16)+"-"+strings.Repeat("cd", 8)+"-01", h.Get("Traceparent"))
	require.Empty(t, h.Values("Idempotency-Key"))
	_, _ = l.ask(t.Context(), t, "01012345678")
	h = <-seen
	require.Empty(t, h.Values("X-Request-ID"))
	require.Empty(t, h.Values("Traceparent"))
}

func TestMismatchIsCountedWithoutPersonalData(t *testing.T) {
	t.Parallel()
	l := serve(t, says(200, envelope(t, "0000", map[string]any{
		"productCode": "P", "productName": "N", "billingMonth": "202611", "charge": 2,
		"charges": []any{map[string]any{"name": "월정액", "amount": 1}},
	})))
	b, f := l.ask(t.Context(), t, "01012345678")
	require.Nil(t, f)
	require.False(t, b.AddsUp())
	require.InDelta(t, 1, l.metric(t, "kos_bill_mismatch_total"), 0)
	require.NotContains(t, l.log.String(), "5678")
}

func TestNewRefusesWhatIsNoOrigin(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "kos", "ftp://kos", "http://", "://"} {
		_, err := kos.New(kos.Config{URL: url, Keys: keys(t, token)}, kos.Deps{})
		require.Error(t, err, url)
	}
	c, err := kos.New(kos.Config{URL: "https://kos.test", Keys: keys(t, token)}, kos.Deps{})
	require.NoError(t, err, "metrics are optional")
	require.NotNil(t, c)
}

// TestAFeeThatCannotBeMeantIsAbsent, and what KOS states beside it is read: of a customer as of the plan list.
func TestAFeeThatCannotBeMeantIsAbsent(t *testing.T) {
	t.Parallel()
	n := number(t, "01012345678")
	for _, fee := range []any{-1, "-45000", 1_000_000_000_001} {
		plan := map[string]any{"productCode": "P", "productName": "N", "monthlyFee": fee, "status": "ACTIVE"}
		c, err := serve(t, says(200, envelope(t, "0000", map[string]any{
			"customerId": "C", "operatorCode": "O", "currentProduct": plan, "scheduledProduct": plan,
			"contract": map[string]any{"contractStart": 20250301, "earlyTerminationFee": fee},
		}))).Customer(t.Context(), read, n)
		require.NoError(t, err, fee)
		require.Equal(t, "C", c.CustomerID)
		require.Nil(t, c.Contract.EarlyTerminationFee)
		require.NotNil(t, c.Contract.Date)
		want := product.Plan{Code: "P", Name: "N", OnSale: true}
		require.Equal(t, want, c.Plan)
		require.Equal(t, want, c.Scheduled.Plan)
		plans, err := serve(t, says(200, envelope(t, "0000", map[string]any{"products": []any{plan}}))).Plans(
			t.Context(), read)
		require.NoError(t, err, fee)
		require.Equal(t, []product.Plan{want}, plans)
	}
}

// TestACustomerWhoseIDAloneIsReadable: the error names the customer, for callers that need the id alone. Without an id
// it names none.
func TestACustomerWhoseIDAloneIsReadable(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]map[string]any{
		"no plan":       {"customerId": "C", "operatorCode": "O"},
		"no operator":   {"customerId": "C", "currentProduct": map[string]any{"productCode": "P"}},
		"the id alone":  {"customerId": "C"},
		"nothing":       {},
		"all but an id": {"operatorCode": "O", "currentProduct": map[string]any{"productCode": "P"}},
	} {
		l := serve(t, says(200, envelope(t, "0000", data)))
		c, err := l.Customer(t.Context(), read, number(t, "01012345678"))
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), name)
		require.Zero(t, c, name)
		var named ports.NamedError
		require.Equal(t, data["customerId"] != nil, errors.As(err, &named), name)
		require.Equal(t, data["customerId"] != nil, named.Customer == "C", name)
	}
}

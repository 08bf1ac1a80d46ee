package allinone_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos/kossim"
	"phonebill/core/line"
)

// shape gives KOS's answers about the line a shape.
func shape(t *testing.T, lineNumber string, operation kossim.Operation, form kossim.Shape) {
	t.Helper()
	n, err := line.Parse(lineNumber)
	require.NoError(t, err)
	var all []kossim.Answer
	steer(t, "/control/answers", kossim.Answer{Operation: operation, LineNumber: n.Digits(), Shape: form}, &all)
}

// notified waits until the MVNO AP server has the result of the request, and returns it.
func notified(t *testing.T, request string) (payload map[string]any) {
	t.Helper()
	require.Eventually(t, func() bool {
		var events []struct{ Payload json.RawMessage }
		getJSON(t, running.MVNOAP.Control+"/control/received", &events)
		for _, e := range events {
			var body map[string]any
			if json.Unmarshal(e.Payload, &body) == nil && body["requestId"] == request {
				payload = body
				return true
			}
		}
		return false
	}, 20*time.Second, 50*time.Millisecond)
	return payload
}

// TestWhatKOSLeavesOutIsLeftOut from KOS's answer to the customer's, to its copy, and to the MVNO AP server.
func TestWhatKOSLeavesOutIsLeftOut(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := owner(t, "leftout01", 81_001)
	token := login(t, who)
	shape(t, who.LineNumber, kossim.AnyOperation, kossim.MissingFields)
	shape(t, who.LineNumber, kossim.AnyOperation, kossim.Gzip)
	shape(t, who.LineNumber, kossim.AnyOperation, kossim.ByteOrderMark)
	var first map[string]any
	for _, source := range []string{"KOS", "CACHE"} {
		r := call(t, http.MethodPost, "/bills/inquiry", token, fields{"lineNumber": who.LineNumber})
		require.Equal(t, http.StatusOK, r.status, r.raw)
		require.Equal(t, source, r.text("source"))
		info, _ := r.data("billInfo").(map[string]any)
		require.NotNil(t, info["totalAmount"])
		require.NotContains(t, info, "amountMismatch")
		for _, key := range []string{"terminationFee", "deviceInstallment", "deviceInstallmentMonthly", "usage"} {
			require.NotContains(t, info, key)
		}
		require.NotContains(t, info["contract"], "endDate")
		require.NotContains(t, info["contract"], "months")
		require.Contains(t, info["contract"], "startDate")
		charges, _ := info["charges"].([]any)
		require.Equal(t, map[string]any{"name": "월정액"}, charges[0])
		require.NotContains(t, r.raw, "0000-00-00")
		if first == nil {
			first = info
		}
		require.Equal(t, first, info)
		request, _ := r.data("requestId").(string)
		require.Equal(t, info, notified(t, request)["billInfo"])
	}
	r := call(t, http.MethodGet, "/products/customer/"+who.LineNumber, token, nil)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.Nil(t, r.data("customerName"))
	contract, _ := r.data("contractInfo").(map[string]any)
	require.Equal(t, []string{"contractDate"}, keysOf(contract))
}

func keysOf(m map[string]any) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}

// TestDiscountTextIsReadWhole: what KOS writes with commas inside amounts reaches customer and AP as the amounts it
// means.
func TestDiscountTextIsReadWhole(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := owner(t, "torntext01", 81_002)
	token := login(t, who)
	for _, form := range []kossim.Shape{kossim.TornDiscounts, kossim.TextAmounts} {
		shape(t, who.LineNumber, kossim.BillInquiry, form)
	}
	r := call(t, http.MethodPost, "/bills/inquiry", token, fields{"lineNumber": who.LineNumber})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	want := []any{fields{"name": "가족할인", "amount": 10_000.}, fields{"name": "복지할인", "amount": 5_000.}}
	require.EqualValues(t, want, r.data("billInfo", "discountInfo"))
	require.Nil(t, r.data("billInfo", "amountMismatch"))
	request, _ := r.data("requestId").(string)
	info, _ := notified(t, request)["billInfo"].(map[string]any)
	require.EqualValues(t, want, info["discountInfo"])
}

// TestAPlanThatIsNoLongerSoldHasItsName on the screens, as the current plan of an offer, and in the history of the
// change away from it.
func TestAPlanThatIsNoLongerSoldHasItsName(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := owner(t, "oldplan01", 81_003)
	token := login(t, who)
	shape(t, who.LineNumber, kossim.CustomerGet, kossim.UnknownPlan)
	shape(t, who.LineNumber, kossim.CustomerGet, kossim.Decimals)
	for _, page := range []string{"/products/menu", "/products/customer/" + who.LineNumber} {
		r := call(t, http.MethodGet, page, token, nil)
		require.Equal(t, http.StatusOK, r.status, r.raw)
		require.Equal(t, "LTE 지난 플랜", r.text("currentProduct", "productName"))
		require.InDelta(t, 45_000, r.data("currentProduct", "monthlyFee"), 0)
		require.Equal(t, false, r.data("currentProduct", "isAvailable"))
		require.Nil(t, r.data("currentProduct", "smsAllowance"))
	}
	r := call(t, http.MethodGet, "/products/available?lineNumber="+who.LineNumber, token, nil)
	plans, _ := r.data("products").([]any)
	require.Len(t, plans, 4)
	for _, p := range plans {
		plan, _ := p.(map[string]any)
		fee, _ := plan["monthlyFee"].(float64)
		require.InDelta(t, fee-45_000, plan["priceDifference"], 0)
	}
	wish := planChange(who.LineNumber, "LTE-WITHDRAWN-001", "5G-STANDARD-001")
	r = call(t, http.MethodPost, "/products/change", token, wish)
	require.Contains(t, []int{http.StatusOK, http.StatusAccepted}, r.status, r.raw)
	r = call(t, http.MethodGet, "/products/history", token, nil)
	items, _ := r.data("items").([]any)
	require.Len(t, items, 1)
	row, _ := items[0].(map[string]any)
	require.Equal(t, "LTE 지난 플랜", row["currentProductName"])
	require.Equal(t, "5G 스탠다드 플랜", row["targetProductName"])
}

// TestALineThatKOSNamesAnotherCustomerFor shows its account nothing of that customer, on any path, and the MVNO AP
// server is sent no bill.
func TestALineThatKOSNamesAnotherCustomerFor(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := owner(t, "recycled1", 81_005)
	token := login(t, who)
	shape(t, who.LineNumber, kossim.CustomerGet, kossim.OtherCustomer)
	wish := planChange(who.LineNumber, "LTE-PREMIUM-001", "5G-PREMIUM-001")
	r := call(t, http.MethodPost, "/bills/inquiry", token, fields{"lineNumber": who.LineNumber})
	require.Equal(t, http.StatusNotFound, r.status, r.raw)
	require.Equal(t, "LINE_NOT_FOUND", r.body.Error.Code)
	require.NotContains(t, notified(t, r.body.Error.Details["requestId"]), "billInfo")
	for _, ask := range []struct {
		method, path string
		body         fields
	}{
		{http.MethodPost, "/bills/inquiry", fields{"lineNumber": who.LineNumber}},
		{http.MethodGet, "/products/menu", nil},
		{http.MethodGet, "/products/customer/" + who.LineNumber, nil},
		{http.MethodGet, "/products/available?lineNumber=" + who.LineNumber, nil},
		{http.MethodPost, "/products/change/validation", wish},
		{http.MethodPost, "/products/change", wish},
	} {
		r := call(t, ask.method, ask.path, token, ask.body)
		require.Equal(t, http.StatusNotFound, r.status, ask.path+r.raw)
		require.Equal(t, "LINE_NOT_FOUND", r.body.Error.Code, ask.path)
	}
}

// TestTheScreensOfASlowLineLoad at the next try: KOS takes longer than a customer waits, and is asked once.
func TestTheScreensOfASlowLineLoad(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := owner(t, "slowline1", 81_006)
	token := login(t, who)
	n, err := line.Parse(who.LineNumber)
	require.NoError(t, err)
	var all []any
	steer(t, "/control/faults",
		fields{"operation": "customer.get", "lineNumber": n.Digits(), "mode": "latency", "latencyMs": 5000, "rate": 1}, &all)
	first := call(t, http.MethodGet, "/products/customer/"+who.LineNumber, token, nil)
	require.Equal(t, http.StatusServiceUnavailable, first.status, first.raw)
	again, err := strconv.Atoi(first.header.Get("Retry-After"))
	require.NoError(t, err)
	require.Positive(t, again)
	require.LessOrEqual(t, again, 5)
	for _, path := range []string{"/products/customer/" + who.LineNumber, "/products/menu", "/products/available"} {
		require.Eventually(t, func() bool {
			return call(t, http.MethodGet, path, token, nil).status == http.StatusOK
		}, 20*time.Second, 200*time.Millisecond, path)
	}
	asked := 0
	var calls []struct{ Operation, LineNumber string }
	getJSON(t, running.KOS.Control+"/control/calls", &calls)
	for _, c := range calls {
		if c.Operation == "customer.get" && c.LineNumber == n.Digits() {
			asked++
		}
	}
	require.Equal(t, 1, asked)
}

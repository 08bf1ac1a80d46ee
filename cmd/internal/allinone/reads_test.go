package allinone_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestABillIsReadByGet: what the POST does, with 404 for a bill that is not there and for nothing else.
func TestABillIsReadByGet(t *testing.T) {
	t.Parallel()
	needSystem(t)
	for _, c := range []struct {
		scenario, code string
		status         int
	}{
		{"normal", "", http.StatusOK}, {"unpaid", "", http.StatusOK}, {"no_bill", "BILL_NOT_FOUND", http.StatusNotFound},
		{"unknown", "CONFLICT", http.StatusConflict}, {"error", "SERVICE_UNAVAILABLE", http.StatusServiceUnavailable},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			who := customer(t, c.scenario, 0)
			token := login(t, who)
			month := call(t, http.MethodGet, "/bills/menu", token, nil).text("currentMonth")
			r := call(t, http.MethodGet, "/bills/"+month+"?lineNumber="+who.LineNumber, token, nil)
			require.Equal(t, c.status, r.status, r.raw)
			require.Equal(t, c.code, r.body.Error.Code)
			require.Equal(t, "no-store", r.header.Get("Cache-Control"))
			if c.code == "CONFLICT" {
				require.Equal(t, "LINE_NOT_FOUND", r.body.Error.Details["reason"])
			}
			if c.status != http.StatusOK {
				return
			}
			again := call(t, http.MethodGet, "/bills/"+month+"?lineNumber="+who.LineNumber, token, nil)
			require.Equal(t, "phonebill; hit", again.header.Get("Cache-Status"), again.raw)
			history := call(t, http.MethodGet, "/bills/history?size=100", token, nil)
			require.Contains(t, history.raw, r.text("requestId"), "each read is in the history")
			require.Contains(t, history.raw, again.text("requestId"))
		})
	}
}

// TestASlowBillIsPolledAfterAGet: 202 and Location, as after the POST.
func TestASlowBillIsPolledAfterAGet(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := customer(t, "slow", 0)
	token := login(t, who)
	months, ok := call(t, http.MethodGet, "/bills/menu", token, nil).data("availableMonths").([]any)
	require.True(t, ok)
	month, ok := months[4].(string)
	require.True(t, ok)
	r := call(t, http.MethodGet, "/bills/"+month+"?lineNumber="+who.LineNumber, token, nil)
	require.Equal(t, http.StatusAccepted, r.status, r.raw)
	require.Equal(t, "/api/v1/bills/inquiry/"+r.text("requestId"), r.header.Get("Location"))
	require.NotEmpty(t, r.header.Get("Retry-After"))
	done := call(t, http.MethodGet, "/bills/inquiry/"+r.text("requestId")+"?wait=20", token, nil)
	require.Equal(t, "COMPLETED", done.text("status"), done.raw)
}

// TestTheMainScreenNeedsOneCall: lines, menus and rights whatever the permissions, and the plan as soon as something
// else has asked KOS for it.
func TestTheMainScreenNeedsOneCall(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := customer(t, "normal", 3)
	token := login(t, who)
	home := func() (reply, map[string]any) {
		r := call(t, http.MethodGet, "/home", token, nil)
		require.Equal(t, http.StatusOK, r.status, r.raw)
		lines, ok := r.data("lines").([]any)
		require.True(t, ok)
		require.Len(t, lines, 1)
		line, ok := lines[0].(map[string]any)
		require.True(t, ok)
		return r, line
	}
	r, line := home()
	require.Equal(t, []any{
		map[string]any{"menuId": "BILL_INQUIRY", "menuName": "요금 조회", "available": true},
		map[string]any{"menuId": "PRODUCT_CHANGE", "menuName": "상품 변경", "available": true},
	}, r.data("menus"))
	require.NotEmpty(t, line["lineNumber"])
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, "/products/customer/"+who.LineNumber, token, nil).status)
	_, line = home()
	require.Equal(t, "ACTIVE", line["lineStatus"])
	require.Equal(t, "CACHE", line["source"])
	require.Contains(t, line["currentProduct"], "productName")

	staff := call(t, http.MethodGet, "/home", login(t, running.Operator), nil)
	require.Equal(t, http.StatusOK, staff.status)
	require.Equal(t, []any{}, staff.data("lines"))
	require.NotContains(t, staff.raw, `"available":true`)
}

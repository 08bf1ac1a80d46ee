package allinone_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/line"
)

// TestTheMenuOffersTheMonthsThatKOSHas: computed ones first, marked as provisional; then KOS's own, for a new customer
// and for one without a bill. What is not offered may be asked for all the same.
func TestTheMenuOffersTheMonthsThatKOSHas(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := customer(t, "new_customer", 0)
	token := login(t, who)
	computed := call(t, http.MethodGet, "/bills/menu", token, nil)
	require.Equal(t, http.StatusOK, computed.status, computed.raw)
	require.Equal(t, true, computed.data("provisional"))
	all, ok := computed.data("availableMonths").([]any)
	require.True(t, ok)
	require.Len(t, all, 6)
	known := settledMenu(t, token)
	require.Equal(t, all[:2], known.data("availableMonths"))
	require.NotEqual(t, computed.header.Get("ETag"), known.header.Get("ETag"))
	for range 5 {
		same := callWith(t, http.MethodGet, "/bills/menu", token, nil, http.Header{
			"If-None-Match": {known.header.Get("ETag")},
		})
		require.Equal(t, http.StatusNotModified, same.status)
	}
	oldest, ok := all[5].(string)
	require.True(t, ok)
	gone := call(t, http.MethodGet, "/bills/"+oldest+"?lineNumber="+who.LineNumber, token, nil)
	require.Equal(t, "BILL_NOT_FOUND", gone.body.Error.Code, gone.raw)

	n, err := line.Parse(who.LineNumber)
	require.NoError(t, err)
	asked := 0
	var calls []struct{ Operation, LineNumber string }
	getJSON(t, running.KOS.Control+"/control/calls", &calls)
	for _, c := range calls {
		if c.Operation == "bill.months" && c.LineNumber == n.Digits() {
			asked++
		}
	}
	require.Equal(t, 1, asked, "once for all menus")

	none := settledMenu(t, login(t, customer(t, "no_bill", 0)))
	require.Equal(t, []any{}, none.data("availableMonths"))
}

// TestMenusOfLinesThatKOSCannotAnswerFor show all months that can be asked for.
func TestMenusOfLinesThatKOSCannotAnswerFor(t *testing.T) {
	t.Parallel()
	needSystem(t)
	for _, scenario := range []string{"unknown", "error"} {
		token := login(t, customer(t, scenario, 0))
		for range 3 {
			menu := call(t, http.MethodGet, "/bills/menu", token, nil)
			require.Equal(t, http.StatusOK, menu.status, menu.raw)
			require.Equal(t, true, menu.data("provisional"), scenario)
			require.Len(t, menu.data("availableMonths"), 6)
		}
	}
}

// settledMenu reads the menu until KOS's months are there.
func settledMenu(t *testing.T, token string) (menu reply) {
	t.Helper()
	require.Eventually(t, func() bool {
		menu = call(t, http.MethodGet, "/bills/menu", token, nil)
		return menu.data("provisional") == nil
	}, 60*time.Second, 100*time.Millisecond)
	return menu
}

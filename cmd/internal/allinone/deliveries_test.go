package allinone_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestStaffLookAtDeliveriesAndReplay: a result is delivered, listed, and delivered again under its number.
func TestStaffLookAtDeliveriesAndReplay(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := customer(t, "normal", 1)
	asked := call(t, http.MethodPost, "/bills/inquiry", login(t, who), map[string]string{"lineNumber": who.LineNumber})
	require.Equal(t, http.StatusOK, asked.status, asked.raw)
	event, _ := asked.data("requestId").(string)
	staff := login(t, running.Operator)
	find := func() map[string]any {
		r := call(t, http.MethodGet, "/ops/deliveries?kind=bill&size=100", staff, nil)
		require.Equal(t, http.StatusOK, r.status, r.raw)
		require.NotContains(t, r.raw, who.LineNumber)
		items, _ := r.data("items").([]any)
		for _, i := range items {
			if row, _ := i.(map[string]any); row["eventId"] == event {
				return row
			}
		}
		return nil
	}
	delivered := func() bool { row := find(); return row != nil && row["state"] == "DELIVERED" }
	require.Eventually(t, delivered, 10*time.Second, 50*time.Millisecond)
	number := find()["sequence"]
	page := "/ops/deliveries/" + event + "/replay"
	require.Equal(t, http.StatusBadRequest, call(t, http.MethodPost, page, staff, map[string]string{"reason": ""}).status)
	r := call(t, http.MethodPost, page, staff, map[string]string{"reason": "수신 확인"})
	require.Equal(t, http.StatusAccepted, r.status, r.raw)
	require.Eventually(t, func() bool {
		row := find()
		return row["replayedAt"] != nil && row["state"] == "DELIVERED"
	}, 10*time.Second, 50*time.Millisecond)
	require.Equal(t, number, find()["sequence"])
	require.Len(t, find()["lastAttempts"], 2)
	nobody := "/ops/deliveries/00000000-0000-7000-8000-000000000000/replay"
	require.Equal(t, http.StatusNotFound,
		call(t, http.MethodPost, nobody, staff, map[string]string{"reason": "수신 확인"}).status)
	require.Equal(t, http.StatusForbidden, call(t, http.MethodGet, "/ops/deliveries", login(t, who), nil).status)
	for _, query := range []string{"?kind=x", "?state=NONE", "?since=gestern", "?page=0", "?size=101",
		"?page=5000&size=3"} {
		require.Equal(t, http.StatusBadRequest, call(t, http.MethodGet, "/ops/deliveries"+query, staff, nil).status, query)
	}
}

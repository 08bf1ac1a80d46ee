package allinone_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// requestRow is the request among those that the page of staff shows.
func requestRow(t *testing.T, token, request string, query url.Values) map[string]any {
	t.Helper()
	r := call(t, http.MethodGet, "/ops/requests?"+query.Encode(), token, nil)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	items, _ := r.data("items").([]any)
	for _, i := range items {
		if row, _ := i.(map[string]any); row["requestId"] == request {
			return row
		}
	}
	return nil
}

// TestStaffComeFromACustomerToTheRequest: by line, account, state and the trace id that the customer quotes, at the
// gateway and at the console alike.
func TestStaffComeFromACustomerToTheRequest(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := customer(t, "normal", 1)
	const trace = "0af7651916cd43dd8448eb211c80319c"
	asked := callWith(t, http.MethodPost, "/bills/inquiry", login(t, who), map[string]string{"lineNumber": who.LineNumber},
		http.Header{"Traceparent": {"00-" + trace + "-b7ad6b7169203331-01"}})
	require.Equal(t, http.StatusOK, asked.status, asked.raw)
	request, _ := asked.data("requestId").(string)
	staff := login(t, running.Operator)
	for _, query := range []url.Values{
		{"kind": {"INQUIRY"}, "lineNumber": {who.LineNumber}, "size": {"100"}},
		{"kind": {"INQUIRY"}, "userId": {who.UserID}, "size": {"100"}},
		{"kind": {"INQUIRY"}, "state": {"COMPLETED"}, "userId": {who.UserID}, "size": {"100"}}, {"traceId": {trace}},
	} {
		row := requestRow(t, staff, request, query)
		require.NotNil(t, row, query)
		require.Equal(t, trace, row["traceId"])
		require.Equal(t, "COMPLETED", row["state"])
		require.Equal(t, false, row["cancellable"])
		require.Equal(t, who.LineNumber[:3]+"-****-"+who.LineNumber[len(who.LineNumber)-4:], row["lineNumber"])
	}
	require.Nil(t, requestRow(t, staff, request, url.Values{"kind": {"CHANGE"}, "userId": {who.UserID}}))
	for _, query := range []string{
		"", "?kind=BOGUS", "?kind=INQUIRY&state=PARKED", "?kind=CHANGE&state=FOO",
		"?kind=CHANGE&line=" + who.LineNumber, "?traceId=x",
		"?traceId=" + trace + "&kind=CHANGE", "?kind=CHANGE&lineNumber=x",
	} {
		r := call(t, http.MethodGet, "/ops/requests"+query, staff, nil)
		require.Equal(t, http.StatusBadRequest, r.status, "%s: %s", query, r.raw)
		require.Len(t, r.body.Error.Fields, 1, query)
	}
	require.Equal(t, http.StatusForbidden, call(t, http.MethodGet, "/ops/requests?kind=CHANGE", login(t, who), nil).status)

	cancel, why := "/ops/requests/"+request+"/cancel", map[string]string{"reason": "취소"}
	require.Equal(t, http.StatusConflict, call(t, http.MethodPost, cancel, staff, why).status,
		"its customer could not either")
	require.Equal(t, http.StatusForbidden, call(t, http.MethodPost, cancel, login(t, who), why).status)
	nobody := "/ops/requests/00000000-0000-7000-8000-000000000000/cancel"
	require.Equal(t, http.StatusNotFound, call(t, http.MethodPost, nobody, staff, why).status)

	out, _, err := command(t, "", "requests", "find", trace)
	require.NoError(t, err)
	require.Contains(t, out, request)
	out, _, err = command(t, "", "requests", "list", "--kind", "inquiry", "--user", who.UserID, "--line", who.LineNumber)
	require.NoError(t, err)
	require.Contains(t, out, request)
	require.NotContains(t, out, who.LineNumber)
	_, _, err = command(t, "", "requests", "cancel", request, "--reason", "취소")
	require.ErrorContains(t, err, "A bill inquiry cannot be taken back")
	out, _, err = command(t, "", "audit", "show", "--action", "REQUEST_CANCELLED", "--subject", request)
	require.NoError(t, err)
	require.Contains(t, out, "INTENDED")
	require.Contains(t, out, "CONFLICT")
	require.Contains(t, out, running.Operator.UserID)
	out, _, err = command(t, "", "audit", "show", "--action", "REQUESTS_SEARCHED", "--actor", running.Operator.UserID,
		"--size", "100")
	require.NoError(t, err)
	require.Contains(t, out, "lineIndex")
	require.NotContains(t, out, who.LineNumber)
}

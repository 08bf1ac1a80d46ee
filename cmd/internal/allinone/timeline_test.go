package allinone_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos/kossim"
	"phonebill/adapters/postgres"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/devstack"
	"phonebill/core/calendar"
	"phonebill/core/line"
	"phonebill/ports/portstest"
)

// steer sends a command to the KOS simulator, and returns its response.
func steer(t *testing.T, path string, body, into any) {
	t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, running.KOS.Control+path, bytes.NewReader(raw))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Less(t, res.StatusCode, http.StatusBadRequest)
	require.NoError(t, json.NewDecoder(res.Body).Decode(into))
	require.NoError(t, res.Body.Close())
}

// owner is a customer of the test's own, with a line that KOS knows.
func owner(t *testing.T, user string, seed int) devstack.Login {
	t.Helper()
	var numbers []string
	steer(t, "/control/customers", fields{"count": 1, "seed": seed}, &numbers)
	number, err := line.Parse(numbers[0])
	require.NoError(t, err)
	r := call(t, http.MethodPost, "/admin/users", login(t, running.Admin), fields{
		"userId": user, "password": initialPassword, "userName": "홍길동", "lines": numbers,
		"customerId": kossim.CustomerOf(number.Digits()).CustomerID,
		"roles":      []string{"CUSTOMER"}, "permissions": []string{"BILL_INQUIRY", "PRODUCT_CHANGE"}, "reason": "시험 계정",
	})
	require.Equal(t, http.StatusCreated, r.status, r.raw)
	return own(t, devstack.Login{UserID: user, Password: initialPassword, LineNumber: number.Hyphenated()})
}

// storyOf is what staff see of a request; whats are its codes.
func storyOf(t *testing.T, token, request string) (r reply, whats []string) {
	t.Helper()
	page := "/ops/requests/" + request + "/timeline"
	r = call(t, http.MethodGet, page, token, nil)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	events, _ := r.data("events").([]any)
	last := ""
	for _, e := range events {
		row, _ := e.(map[string]any)
		what, _ := row["what"].(string)
		at, _ := row["at"].(string)
		whats = append(whats, what)
		moment, err := time.Parse(time.RFC3339, at)
		require.NoError(t, err)
		sortable := moment.UTC().Format("2006-01-02T15:04:05.000000")
		require.LessOrEqual(t, last, sortable, r.raw)
		last = sortable
	}
	return r, whats
}

// inOrder reports whether all of want happened in this order, whatever happened between.
func inOrder(whats []string, want ...string) bool {
	for _, w := range want {
		i := slices.Index(whats, w)
		if i < 0 {
			return false
		}
		whats = whats[i+1:]
	}
	return true
}

func masked(who devstack.Login) string {
	return who.LineNumber[:3] + "-****-" + who.LineNumber[len(who.LineNumber)-4:]
}

// TestTheStoryOfAChangeThatTimedOut: KOS does it without a reply; the operator sees wait, query and end.
func TestTheStoryOfAChangeThatTimedOut(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who, operator := owner(t, "story-change", 901), login(t, running.Operator)
	digits := strings.ReplaceAll(who.LineNumber, "-", "")
	var faults any
	steer(t, "/control/faults", fields{
		"operation": "product.change", "lineNumber": digits, "mode": "apply_then_hang", "times": 1,
	}, &faults)
	token := login(t, who)
	screen := call(t, http.MethodGet, "/products/customer/"+who.LineNumber, token, nil)
	current := screen.text("currentProduct", "productCode")
	require.NotEmpty(t, current, screen.raw)
	target := "5G-STANDARD-001"
	r := call(t, http.MethodPost, "/products/change", token,
		planChange(who.LineNumber, current, target))
	require.Equal(t, http.StatusAccepted, r.status, r.raw)
	request := r.text("requestId")

	story, whats := storyOf(t, operator, request)
	require.Equal(t, []string{"CHANGE", masked(who)}, []string{story.text("kind"), story.text("lineNumber")})
	require.True(t, inOrder(whats, "REQUESTED", "CALLED_KOS", "CHECK_PASSED", "DISPATCHED"), whats)
	require.NotContains(t, whats, "COMPLETED")

	require.Eventually(t, func() bool {
		story, whats = storyOf(t, operator, request)
		return slices.Contains(whats, "CUSTOMER_TOLD") &&
			inOrder(whats, "REQUESTED", "CALLED_KOS", "CHECK_PASSED", "DISPATCHED",
				"CALLED_KOS", "UNKNOWN", "CALLED_KOS", "COMPLETED", "DELIVERED")
	}, 60*time.Second, 300*time.Millisecond, &whats)
	for _, has := range []string{
		`"operation":"customer.get"`, `"result":"TIMEOUT"`, `"operation":"product.change.status"`,
		`"breaker":"CLOSED"`, `"waitedMs":`,
	} {
		require.Contains(t, story.raw, has)
	}
	require.Equal(t, "COMPLETED", story.text("status"))
	require.Equal(t, []any{}, story.data("missing"))
	require.Equal(t, []any{}, story.data("unreachable"))
	require.NotContains(t, story.raw, digits)
	require.NotContains(t, story.raw, who.LineNumber)

	page := "/ops/requests/" + request + "/timeline"
	require.Equal(t, http.StatusForbidden, call(t, http.MethodGet, page, token, nil).status)
	require.Equal(t, http.StatusUnauthorized, call(t, http.MethodGet, page, "", nil).status)
	require.Equal(t, "TIMELINE_SHOWN DONE", audited(t, request)[0])
	require.NotContains(t, audited(t, request), "TIMELINE_SHOWN FORBIDDEN", "the gate has refused it before")
}

// TestTheStoryOfAnInquiry: what KOS said first, what memory said after, and an old bill where KOS was in trouble.
func TestTheStoryOfAnInquiry(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who, operator := owner(t, "story-bill", 902), login(t, running.Operator)
	digits := strings.ReplaceAll(who.LineNumber, "-", "")
	oldBill(t, digits)
	var faults any
	steer(t, "/control/faults", fields{
		"operation": "bill.inquiry", "lineNumber": digits, "mode": "error", "times": 1,
	}, &faults)
	token := login(t, who)
	ask := func(source string) string {
		var r reply
		require.Eventually(t, func() bool { // KOS is left alone for a moment after its error
			r = call(t, http.MethodPost, "/bills/inquiry", token, map[string]string{"lineNumber": who.LineNumber})
			return r.text("source") == source
		}, 30*time.Second, 200*time.Millisecond)
		return r.text("requestId")
	}
	stale, fresh, cached := ask("STALE"), ask("KOS"), ask("CACHE")
	story, whats := storyOf(t, operator, stale)
	require.True(t, inOrder(whats, "REQUESTED", "CALLED_KOS", "ANSWERED_STALE"), whats)
	require.Contains(t, story.raw, `"result":"E999"`)
	require.Equal(t, []string{"INQUIRY", masked(who), "COMPLETED"},
		[]string{story.text("kind"), story.text("lineNumber"), story.text("status")})
	_, whats = storyOf(t, operator, fresh)
	require.True(t, inOrder(whats, "REQUESTED", "CALLED_KOS", "ANSWERED_FROM_KOS"), whats)
	require.Eventually(t, func() bool {
		_, whats = storyOf(t, operator, cached)
		return inOrder(whats, "REQUESTED", "ANSWERED_FROM_CACHE", "DELIVERED")
	}, 30*time.Second, 200*time.Millisecond)
	require.NotContains(t, whats, "CALLED_KOS")

	out, _, err := command(t, "", "timeline", stale)
	require.NoError(t, err)
	require.Contains(t, out, "ANSWERED_STALE")
	require.Contains(t, out, masked(who))
	const nobody = "00000000-0000-7000-8000-00000000abcd"
	r := call(t, http.MethodGet, "/ops/requests/"+nobody+"/timeline", operator, nil)
	require.Equal(t, http.StatusNotFound, r.status, r.raw)
	require.Equal(t, []string{"TIMELINE_SHOWN NOT_FOUND"}, audited(t, nobody))
	_, _, err = command(t, "", "timeline", nobody)
	require.ErrorContains(t, err, "NOT_FOUND")
}

// oldBill stores a bill of two hours ago.
func oldBill(t *testing.T, digits string) {
	t.Helper()
	keyring, err := vault.Open(filepath.Join(running.dir, "keyring.json"))
	require.NoError(t, err)
	pool, err := postgres.Pool(t.Context(), running.Databases["bill"], postgres.PoolConfig{})
	require.NoError(t, err)
	defer pool.Close()
	number, err := line.Parse(digits)
	require.NoError(t, err)
	held := portstest.BillCopies()[0]
	held.Bill.Line, held.Bill.Month, held.AsOf = number, calendar.MonthOf(time.Now()), time.Now().UTC().Add(-2*time.Hour)
	require.NoError(t, postgres.NewBills(pool, keyring, vault.Bills(keyring), nil).Put(t.Context(), held))
}

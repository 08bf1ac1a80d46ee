package allinone_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/devstack"
	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/request"
)

// park stores an order of which KOS cannot tell, as a day of asking in vain leaves it.
func park(t *testing.T, who devstack.Login) (requestID string) {
	t.Helper()
	keyring, err := vault.Open(filepath.Join(running.dir, "keyring.json"))
	require.NoError(t, err)
	pool, err := postgres.Pool(t.Context(), running.Databases["product"], postgres.PoolConfig{})
	require.NoError(t, err)
	defer pool.Close()
	number, err := line.Parse(who.LineNumber)
	require.NoError(t, err)
	now := time.Now().UTC()
	o := product.Order{
		ID: id.ID(uuid.Must(uuid.NewV7())), TransactionID: id.ID(uuid.Must(uuid.NewV7())), UserID: auth.UserID(who.UserID),
		CustomerID: "C",
		Line:       number, From: "LTE_BASIC", To: "5GX_PREMIUM", EffectiveDate: calendar.MonthOf(now).Add(1).First(),
		Rule: product.FirstOfNextMonth, State: product.Requested, RequestedAt: now, NextAttemptAt: now.Add(time.Hour),
	}
	orders := postgres.NewOrders(pool, keyring)
	require.NoError(t, orders.Add(t.Context(), o, request.KeyUse{}))
	o.State, o.Sends, o.Silences = product.Parked, 1, 9
	_, err = orders.Save(t.Context(), o, now)
	require.NoError(t, err)
	return o.ID.String()
}

func parkedChange(t *testing.T, token, requestID string) map[string]any {
	t.Helper()
	r := call(t, http.MethodGet, "/ops/parked-changes?size=100", token, nil)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	items, _ := r.data("items").([]any)
	for _, i := range items {
		if row, _ := i.(map[string]any); row["requestId"] == requestID {
			return row
		}
	}
	return nil
}

// TestTwoPersonsEndAParkedChange: the operator proposes, the administrator confirms, the customer sees it and is
// notified, and so is the AP server.
func TestTwoPersonsEndAParkedChange(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := owner(t, "two-persons", 903)
	operator, admin, owner := login(t, running.Operator), login(t, running.Admin), login(t, who)
	request := park(t, who)
	row := parkedChange(t, operator, request)
	require.NotNil(t, row)
	require.Nil(t, row["proposal"])
	require.Equal(t, who.LineNumber[:3]+"-****-"+who.LineNumber[len(who.LineNumber)-4:], row["lineNumber"])
	shown := func() reply { return call(t, http.MethodGet, "/products/change/"+request, owner, nil) }
	require.Equal(t, "PROCESSING", shown().text("processStatus"))
	again := call(t, http.MethodPost, "/products/change", owner, map[string]string{
		"lineNumber": who.LineNumber, "currentProductCode": "LTE_BASIC", "targetProductCode": "5GX_PREMIUM",
		"changeEffectiveDate": calendar.DateOf(time.Now()).String(),
	})
	require.Equal(t, http.StatusAccepted, again.status, again.raw)
	require.Equal(t, []string{request, calendar.MonthOf(time.Now()).Add(1).First().String()},
		[]string{again.text("requestId"), again.text("effectiveDate")}, "the order that there is, with the day that it has")

	page := "/ops/parked-changes/" + request + "/resolve"
	word := map[string]string{"outcome": "FAILED", "reason": "KOS 화면에 변경 내역 없음"}
	for token, status := range map[string]int{"": http.StatusUnauthorized, owner: http.StatusForbidden} {
		require.Equal(t, status, call(t, http.MethodGet, "/ops/parked-changes", token, nil).status)
		require.Equal(t, status, call(t, http.MethodPost, page, token, word).status)
	}
	short := map[string]string{"outcome": "FAILED", "reason": "음"}
	require.Equal(t, http.StatusBadRequest, call(t, http.MethodPost, page, operator, short).status)
	nobody := "/ops/parked-changes/00000000-0000-7000-8000-000000000000/resolve"
	require.Equal(t, http.StatusNotFound, call(t, http.MethodPost, nobody, operator, word).status)

	r := call(t, http.MethodPost, page, operator, word)
	require.Equal(t, http.StatusAccepted, r.status, r.raw)
	require.Equal(t, []string{"PROPOSED", "ANOTHER_PERSON"}, []string{r.text("result"), r.text("waitsFor")})
	r = call(t, http.MethodPost, page, operator, word)
	require.Equal(t, http.StatusConflict, r.status, r.raw)
	require.Equal(t, "다른 담당자의 확인이 필요합니다", r.body.Error.Message)
	proposal, _ := parkedChange(t, admin, request)["proposal"].(map[string]any)
	require.Equal(t, running.Operator.UserID, proposal["by"])
	require.Equal(t, "PROCESSING", shown().text("processStatus"), "nothing has changed")

	r = call(t, http.MethodPost, page, admin, word)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.Equal(t, "RESOLVED", r.text("result"))
	require.Nil(t, parkedChange(t, admin, request))
	r = call(t, http.MethodPost, page, operator, word)
	require.Equal(t, http.StatusConflict, r.status, r.raw)
	require.Equal(t, "FAILED", r.body.Error.Details["state"])

	after := shown()
	require.Equal(t, "FAILED", after.text("processStatus"), after.raw)
	require.Contains(t, after.raw, product.ResolvedAsFailed)
	require.NotContains(t, after.raw, word["reason"], "what staff write is not for the customer")
	awaitDelivery(t, request)
	require.Eventually(t, func() bool {
		return strings.Contains(running.logs.String(), `"msg":"customer notice"`) &&
			strings.Contains(running.logs.String(), `"requestId":"`+request+`","state":"FAILED"`)
	}, 15*time.Second, 100*time.Millisecond)

	const what = "CHANGE_RESOLUTION "
	require.Equal(t, []string{
		what + "INTENDED", what + "DONE", what + "INTENDED", what + "CONFLICT",
		what + "INTENDED", what + "DONE", what + "INTENDED", what + "CONFLICT",
	}, audited(t, request))
}

// TestTheConsoleProposesToo: a word from the console is one person's word, but no user of the gateway is known to be
// another person.
func TestTheConsoleProposesToo(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := owner(t, "console-word", 904)
	request, operator := park(t, who), login(t, running.Operator)
	resolve := []string{"parked", "resolve", request, "--outcome", "RECONCILE", "--reason", "KOS is well again"}
	out, _, err := command(t, "", resolve...)
	require.NoError(t, err)
	require.Contains(t, out, "another person")
	_, _, err = command(t, "", resolve...)
	require.ErrorContains(t, err, "CONFLICT")
	out, _, err = command(t, "", "parked")
	require.NoError(t, err)
	require.Contains(t, out, request)
	require.Contains(t, out, "RECONCILE by cli:")
	page, word := "/ops/parked-changes/"+request+"/resolve", map[string]string{
		"outcome": "RECONCILE", "reason": "KOS 복구 확인",
	}
	r := call(t, http.MethodPost, page, operator, word)
	require.Equal(t, http.StatusAccepted, r.status, "the operator may be who was at the console: %s", r.raw)
	r = call(t, http.MethodPost, page, login(t, running.Admin), word)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.Nil(t, parkedChange(t, operator, request))
}

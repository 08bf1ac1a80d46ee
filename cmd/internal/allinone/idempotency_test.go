package allinone_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// under sends a POST with an Idempotency-Key.
func under(t *testing.T, key, path, token string, body any) reply {
	t.Helper()
	return callWith(t, http.MethodPost, path, token, body, http.Header{"Idempotency-Key": []string{key}})
}

// answers are the parts of two replies that a repeated request must not change: all but the time and trace of errors.
func requireSameAnswer(t *testing.T, want, got reply) {
	t.Helper()
	require.Equal(t, want.status, got.status, got.raw)
	require.Equal(t, want.body.Message, got.body.Message)
	require.Equal(t, want.body.Data, got.body.Data)
	require.Equal(t, want.body.Error.Code, got.body.Error.Code)
	require.Equal(t, want.body.Error.Message, got.body.Error.Message)
	require.Equal(t, want.body.Error.Details, got.body.Error.Details)
}

func TestARepeatedBillInquiryIsTheSame(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := customer(t, "normal", 0)
	token := login(t, who)
	wish := map[string]string{"lineNumber": who.LineNumber}
	first := under(t, "bill-1", "/bills/inquiry", token, wish)
	require.Equal(t, http.StatusOK, first.status, first.raw)
	again := under(t, `"bill-1"`, "/bills/inquiry", token, map[string]string{
		"lineNumber": strings.ReplaceAll(who.LineNumber, "-", ""),
	})
	require.Equal(t, first.raw, again.raw, "to the byte")
	reused := under(t, "bill-1", "/bills/inquiry", token, map[string]string{
		"lineNumber": who.LineNumber, "inquiryMonth": lastMonth(t, token),
	})
	require.Equal(t, http.StatusUnprocessableEntity, reused.status)
	require.Equal(t, "IDEMPOTENCY_KEY_REUSED", reused.body.Error.Code)
	other := under(t, "bill-2", "/bills/inquiry", token, wish)
	require.NotEqual(t, first.text("requestId"), other.text("requestId"))

	none := customer(t, "no_bill", 0)
	token = login(t, none)
	wish = map[string]string{"lineNumber": none.LineNumber}
	refused := under(t, "bill-1", "/bills/inquiry", token, wish)
	require.Equal(t, http.StatusNotFound, refused.status, refused.raw)
	requireSameAnswer(t, refused, under(t, "bill-1", "/bills/inquiry", token, wish))
}

func lastMonth(t *testing.T, token string) string {
	t.Helper()
	months, ok := call(t, http.MethodGet, "/bills/menu", token, nil).data("availableMonths").([]any)
	require.True(t, ok)
	month, ok := months[1].(string)
	require.True(t, ok)
	return month
}

func TestARepeatedChangeIsTheSame(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := customer(t, "no_bill", 0) // its change is refused inside the contract term
	token := login(t, who)
	wish := planChange(who.LineNumber, "LTE-PREMIUM-001", "5G-PREMIUM-001")
	refused := under(t, "change-1", "/products/change", token, wish)
	require.Equal(t, http.StatusConflict, refused.status, refused.raw)
	require.Equal(t, "CHANGE_DENIED", refused.body.Error.Code)
	requireSameAnswer(t, refused, under(t, "change-1", "/products/change", token, wish))
	wish["targetProductCode"] = "LTE-BASIC-001"
	require.Equal(t, http.StatusUnprocessableEntity, under(t, "change-1", "/products/change", token, wish).status)

	who = owner(t, "change-twice", 905)
	token = login(t, who)
	current := call(t, http.MethodGet, "/products/customer/"+who.LineNumber, token, nil).text(
		"currentProduct", "productCode")
	wish = planChange(who.LineNumber, current, "5G-STANDARD-001")
	done := under(t, "change-1", "/products/change", token, wish)
	require.Equal(t, http.StatusOK, done.status, done.raw)
	again := under(t, "change-1", "/products/change", token, wish)
	require.Equal(t, done.raw, again.raw, "to the byte")
	gone := call(t, http.MethodDelete, "/products/change/"+done.text("requestId"), token, nil)
	require.Equal(t, http.StatusConflict, gone.status)
	require.Equal(t, "CONFLICT", gone.body.Error.Code)
	stranger := call(t, http.MethodDelete, "/products/change/"+done.text("requestId"),
		login(t, customer(t, "normal", 0)), nil)
	require.Equal(t, http.StatusNotFound, stranger.status)
}

func TestAKeyMustBeOne(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := customer(t, "normal", 0)
	token := login(t, who)
	for _, path := range []string{"/bills/inquiry", "/products/change"} {
		for name, keys := range map[string][]string{
			"empty": {""}, "empty string": {`""`}, "spaces": {"a b"}, "too long": {strings.Repeat("k", 300)}, "two": {"a", "b"},
			"Korean": {"열쇠"},
		} {
			body, err := json.Marshal(planChange(who.LineNumber, "LTE-PREMIUM-001", "LTE-PREMIUM-001"))
			require.NoError(t, err)
			if path == "/bills/inquiry" {
				body = []byte(`{"lineNumber":"` + who.LineNumber + `"}`)
			}
			r := callWith(t, http.MethodPost, path, token, string(body), http.Header{"Idempotency-Key": keys})
			require.Equal(t, http.StatusBadRequest, r.status, "%s %s: %s", path, name, r.raw)
			require.Equal(t, "VALIDATION_ERROR", r.body.Error.Code)
			require.Len(t, r.body.Error.Fields, 1, r.raw)
			require.Equal(t, "Idempotency-Key", r.body.Error.Fields[0].Field)
		}
	}
}

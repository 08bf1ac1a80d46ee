package kos_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos/kossim"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

const premium, standard = "LTE-PREMIUM-001", "5G-STANDARD-001"

func TestChangeIsAcceptedOnceHoweverOftenItIsSent(t *testing.T) {
	t.Parallel()
	l, sim := simulate(t)
	o := order(t, "01012345678", premium, standard)
	ordered := ports.Call{Lane: quota.Change, RequestID: o.ID}
	first := l.Change(t.Context(), ordered, o)
	require.Equal(t, product.Answer{Kind: product.AnswerAccepted, Code: "0000", KOSOrder: first.KOSOrder}, first)
	require.NotEmpty(t, first.KOSOrder)
	require.Equal(t, first, l.Change(t.Context(), ordered, o))
	require.Len(t, sim.Ledger(), 1)
	require.Equal(t, o.TransactionID.String(), sim.Ledger()[0].TransactionID)
	require.Equal(t, "20261201", sim.Ledger()[0].EffectiveDate)
	require.Equal(t, product.Answer{Kind: product.AnswerAccepted, Code: "0000"}, l.AskStatus(t.Context(), ordered, o))
	require.Equal(t, []string{"product.change 0000", "product.change 0000", "product.change.status 0000"}, l.results())
	require.Equal(t, o.ID, l.calls.Calls()[0].RequestID)
	require.Equal(t, o.ID, l.calls.Calls()[2].RequestID)
}

func TestRefusalsAreValues(t *testing.T) {
	t.Parallel()
	l, sim := simulate(t)
	old, err := sim.AddCustomers(kossim.Generate{Count: 1, Seed: 3, Scenario: kossim.OldDevice})
	require.NoError(t, err)
	for _, c := range []struct {
		line, from, to, code string
		refusal              product.Refusal
	}{
		{"01012340000", premium, standard, "E001", product.RefusedLine},
		{"01012345682", premium, standard, "E003", product.RefusedLine},
		{"01012345679", premium, standard, "E101", product.RefusedContractTerm},
		{old[0], premium, standard, "E102", product.RefusedIncompatible},
		{"01012345683", premium, standard, "E103", product.RefusedUnpaid},
		{"01012345678", premium, "3G-OLD-001", "E104", product.RefusedNotOnSale},
		{"01012345678", standard, premium, "E106", product.RefusedNotCurrent},
	} {
		o := order(t, c.line, c.from, c.to)
		o.TransactionID[1] = c.code[3]
		o.TransactionID[2] = c.code[1]
		want := product.Answer{Kind: product.AnswerRefused, Code: c.code, Refusal: c.refusal}
		require.Equal(t, want, l.Change(t.Context(), change, o), c.code)
		require.Equal(t, want, l.AskStatus(t.Context(), change, o), "asked later: %s", c.code)
	}
	require.Empty(t, sim.Ledger())
	require.Zero(t, l.metric(t, "kos_breaker_state", "product.change"), "a no is an answer")
}

// TestOnlyAVerdictIsAVerdict runs every answer that is none through Change and Ask.
func TestOnlyAVerdictIsAVerdict(t *testing.T) {
	t.Parallel()
	o := order(t, "01012345678", premium, standard)
	data := func(transaction, plan, result string) map[string]any {
		return map[string]any{
			"transactionId": transaction, "kosOrderNumber": "K", "newProductCode": plan, "processResult": result,
			"effectiveDate": "20261201", "state": "APPLIED",
		}
	}
	mine := o.TransactionID.String()
	for name, c := range map[string]struct {
		status      int
		body        string
		change, ask product.AnswerKind
	}{
		"mine": {200, envelope(t, "0000", data(mine, standard, "정상")), product.AnswerAccepted,
			product.AnswerAccepted},
		"another transaction": {200, envelope(t, "0000", data("other", standard, "정상")), product.AnswerUnknown,
			product.AnswerUnknown},
		"another plan": {200, envelope(t, "0000", data(mine, premium, "정상")), product.AnswerUnknown,
			product.AnswerAccepted},
		"contradiction": {200, envelope(t, "0000", data(mine, standard, "실패")), product.AnswerUnknown,
			product.AnswerAccepted},
		"no data":          {200, envelope(t, "0000", nil), product.AnswerUnknown, product.AnswerAbsent},
		"text as data":     {200, envelope(t, "0000", "x"), product.AnswerUnknown, product.AnswerUnknown},
		"refused":          {400, envelope(t, "E105", nil), product.AnswerRefused, product.AnswerUnknown},
		"id in progress":   {200, envelope(t, "E110", nil), product.AnswerUnknown, product.AnswerUnknown},
		"our bug":          {400, envelope(t, "E400", nil), product.AnswerUnknown, product.AnswerUnknown},
		"over quota":       {429, envelope(t, "E429", nil), product.AnswerNotSent, product.AnswerNotSent},
		"system":           {500, envelope(t, "E999", nil), product.AnswerUnknown, product.AnswerUnknown},
		"refusal in a 500": {500, envelope(t, "E103", nil), product.AnswerUnknown, product.AnswerUnknown},
		"new code":         {200, envelope(t, "E777", nil), product.AnswerUnknown, product.AnswerUnknown},
		"nothing there":    {404, "<html>", product.AnswerUnknown, product.AnswerNoQuery},
		"half": {200, `{"resultCode":"0000","data":{"transactionId"`, product.AnswerUnknown,
			product.AnswerUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := serve(t, says(c.status, c.body))
			require.Equal(t, c.change, l.Change(t.Context(), change, o).Kind)
			require.Equal(t, c.ask, l.AskStatus(t.Context(), change, o).Kind)
			require.EqualValues(t, 2, l.requests.Load())
		})
	}
}

func TestAskReturnsWhatKOSKnows(t *testing.T) {
	t.Parallel()
	l, sim := simulate(t)
	o := order(t, "01012345678", premium, standard)
	require.Equal(t, product.AnswerAbsent, l.AskStatus(t.Context(), change, o).Kind)

	require.NoError(
		t,
		sim.AddFault(kossim.Fault{Operation: kossim.ProductChange, Mode: kossim.ApplyLate, LateMs: 3_600_000}),
	)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // less is too little for a change to set out
	defer cancel()
	require.Equal(t, product.AnswerNotSent, l.Change(soon(t), change, o).Kind)
	require.Equal(t, product.AnswerUnknown, l.Change(ctx, change, o).Kind)
	require.Equal(t, product.AnswerUnknown, l.AskStatus(t.Context(), change, o).Kind, "received, not decided")
	sim.ClearFaults()
	require.Equal(
		t,
		product.Answer{Kind: product.AnswerUnknown, Code: "E110"},
		l.Change(t.Context(), change, o),
		"still in progress",
	)

	o.TransactionID[1] = 1
	require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.ProductChange, Mode: kossim.ApplyThenHang}))
	leaving, leave := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, leave)
	require.Equal(t, product.AnswerUnknown, l.Change(leaving, change, o).Kind)
	require.Equal(t, product.AnswerAccepted, l.AskStatus(t.Context(), change, o).Kind)

	sim.SetStatusQuery(false)
	require.Equal(t, product.AnswerNoQuery, l.AskStatus(t.Context(), change, o).Kind)
	require.Len(t, sim.Ledger(), 1)
}

func TestRefusedForAReasonWeDoNotKnow(t *testing.T) {
	t.Parallel()
	o := order(t, "01012345678", premium, standard)
	l := serve(t, says(200, envelope(t, "0000", map[string]any{
		"transactionId": o.TransactionID.String(), "state": "REFUSED", "resultCode": "E777",
	})))
	require.Equal(t, product.Answer{Kind: product.AnswerRefused, Code: "E777"}, l.AskStatus(t.Context(), change, o))
}

// TestOneCallIsOneRequest breaks a kept connection under the second call: net/http would repeat a GET by itself.
func TestOneCallIsOneRequest(t *testing.T) {
	t.Parallel()
	o := order(t, "01012345678", premium, standard)
	for name, call := range map[string]func(l *link) bool{
		"bill":   func(l *link) bool { _, f := l.ask(t.Context(), t, "01012345678"); return f == nil },
		"get":    func(l *link) bool { _, err := l.Customer(t.Context(), read, o.Line); return err == nil },
		"plans":  func(l *link) bool { _, err := l.Plans(t.Context(), read); return err == nil },
		"change": func(l *link) bool { return l.Change(t.Context(), change, o).Kind == product.AnswerAccepted },
		"ask":    func(l *link) bool { return l.AskStatus(t.Context(), change, o).Kind == product.AnswerAbsent },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l *link
			l = serve(t, func(w http.ResponseWriter, r *http.Request) {
				if l.requests.Load() > 1 {
					panic(http.ErrAbortHandler)
				}
				require.Empty(t, r.TransferEncoding, "no body where none belongs")
				says(200, envelope(t, "E001", nil))(w, r)
			})
			call(l)
			require.EqualValues(t, 1, l.requests.Load())
			require.False(t, call(l))
			require.EqualValues(t, 2, l.requests.Load(), "the second call is one request too")
			require.Len(t, l.calls.Calls(), 2)
		})
	}
}

func TestCallLogKeepsTheTimes(t *testing.T) {
	t.Parallel()
	l, _ := simulate(t)
	l.Change(t.Context(), change, order(t, "01012345678", premium, standard))
	c := l.calls.Calls()[0]
	require.Equal(t, time.Duration(0), c.AnsweredAt.Sub(c.AskedAt))
	require.Contains(t, string(c.Request), `"changeReason":"고객 요청"`)
}

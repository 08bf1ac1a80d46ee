package opsapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/opsapi"
	"phonebill/adapters/rest/resttest"
	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/staff/cases"
)

// undecided are the parked orders of a service.
type undecided struct {
	asked   [2]int
	page    []product.ParkedOrder
	verdict product.Judgement
	err     error
	heard   product.Resolution
}

func (u *undecided) List(_ context.Context, page, size int) ([]product.ParkedOrder, int, error) {
	u.asked = [2]int{page, size}
	return u.page, 41, u.err
}

func (u *undecided) Resolve(_ context.Context, _ id.ID, r product.Resolution) (product.Judgement, error) {
	u.heard = r
	return u.verdict, u.err
}

func openParked(t *testing.T, u *undecided) face {
	t.Helper()
	f := face{tokens: &memory.AccessTokens{}}
	revoked := access.NewRevoked(&memory.Revocations{}, nil, clock, time.Hour)
	require.NoError(t, revoked.Pull(t.Context()))
	handlers := &opsapi.Handlers{Parked: &cases.ParkedChanges{Changes: u, Log: trail.Log{
		Audit: &fakeDeliveries{}, Now: clock, NewID: func() id.ID { return id.ID{} }, Report: func(context.Context, error) {},
	}}}
	var err error
	f.Handler, err = rest.NewHandler(rest.Service{
		Spec: resttest.Operations(t), Mount: handlers.Mount,
		Authenticator: contract.AccessGuard{Guard: &access.Guard{Verifier: f.tokens, Revoked: revoked, Now: clock}},
		Log:           slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Clock: clock,
	})
	require.NoError(t, err)
	return f
}

func TestParkedChangesArePaged(t *testing.T) {
	t.Parallel()
	u := &undecided{page: []product.ParkedOrder{
		{
			ID: id.ID{1}, TransactionID: id.ID{2}, Line: "010-****-5678", From: "LTE", To: "5G",
			EffectiveDate: calendar.DateOf(at),
			RequestedAt:   at, ParkedAt: at.Add(time.Hour), Sends: 1, Reconciles: 9, KOSOrder: "KOS-7",
			Proposal: product.Resolution{Outcome: product.OutcomeFailed, Reason: "KOS에 없음", By: "kim", At: at},
		},
		{
			ID: id.ID{3}, TransactionID: id.ID{4}, From: "LTE", To: "5G", EffectiveDate: calendar.DateOf(at),
			RequestedAt: at, ParkedAt: at,
		},
	}}
	f := openParked(t, u)
	require.JSONEq(t, `{"items":[{"requestId":"01000000-0000-0000-0000-000000000000",
		"transactionId":"02000000-0000-0000-0000-000000000000",
		"lineNumber":"010-****-5678","fromProductCode":"LTE","toProductCode":"5G","effectiveDate":"2026-11-21",
		"requestedAt":"2026-11-21T03:00:00Z","parkedAt":"2026-11-21T04:00:00Z","sends":1,"reconciles":9,"kosOrder":"KOS-7",
		"proposal":{"outcome":"FAILED","reason":"KOS에 없음","by":"kim","at":"2026-11-21T03:00:00Z",
		"expiresAt":"2026-11-22T03:00:00Z"}},
		{"requestId":"03000000-0000-0000-0000-000000000000","transactionId":"04000000-0000-0000-0000-000000000000",
		"fromProductCode":"LTE",
		"toProductCode":"5G","effectiveDate":"2026-11-21","requestedAt":"2026-11-21T03:00:00Z",
		"parkedAt":"2026-11-21T03:00:00Z","sends":0,
		"reconciles":0}],"pagination":{"page":2,"size":20,"totalElements":41,"totalPages":3,"hasNext":true,
		"hasPrevious":true}}`,
		f.data(t, "/ops/parked-changes?page=2&size=20"))
	require.Equal(t, [2]int{2, 20}, u.asked)
	for path, want := range map[string]int{"": http.StatusForbidden, "?page=200&size=100": http.StatusBadRequest} {
		role := auth.Customer
		if want == http.StatusBadRequest {
			role = auth.Operator
		}
		res, raw := f.get(t, "/ops/parked-changes"+path, role, auth.Operations)
		require.Equal(t, want, res.StatusCode, raw)
	}
	u.err = fault.New(fault.ServiceUnavailable)
	res, raw := f.get(t, "/ops/parked-changes", auth.Operator, auth.Operations)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, raw)
}

func TestAnswersToAWord(t *testing.T) {
	t.Parallel()
	const good = `{"outcome":"COMPLETED","reason":"KOS 화면에서 확인"}`
	for name, c := range map[string]struct {
		u      undecided
		body   string
		status int
		has    string
	}{
		"proposed": {undecided{}, good, http.StatusAccepted, `"result":"PROPOSED","waitsFor":"ANOTHER_PERSON"`},
		"resolved": {undecided{verdict: product.Confirmed}, good, http.StatusOK, `"result":"RESOLVED"`},
		"again": {undecided{
			err: fault.New(fault.StateConflict).WithMessage("다른 담당자의 확인이 필요합니다"),
		}, good, http.StatusConflict, "다른 담당자"},
		"unknown": {undecided{err: fault.New(fault.ResourceNotFound)}, good, http.StatusNotFound, "NOT_FOUND"},
		"short":   {undecided{}, `{"outcome":"COMPLETED","reason":"네"}`, http.StatusBadRequest, "2자 이상, 500자 이내"},
		"blank":   {undecided{}, `{"outcome":"COMPLETED","reason":"         "}`, http.StatusBadRequest, `"field":"reason"`},
		"long": {
			undecided{}, `{"outcome":"COMPLETED","reason":"` + strings.Repeat("가", 501) + `"}`, http.StatusBadRequest,
			"500자 이내",
		},
		"no outcome":  {undecided{}, `{"reason":"KOS 화면에서 확인"}`, http.StatusBadRequest, "outcome"},
		"bad outcome": {undecided{}, `{"outcome":"PARKED","reason":"KOS 화면에서 확인"}`, http.StatusBadRequest, "outcome"},
		"somebody's own": {
			undecided{}, `{"outcome":"FAILED","reason":"KOS 화면에서 확인","by":"lee"}`, http.StatusBadRequest, "by",
		},
	} {
		f := openParked(t, &c.u)
		token, err := f.tokens.Issue(t.Context(), auth.Principal{
			UserID: "somebody", Roles: []auth.Role{auth.Operator}, Permissions: []auth.Permission{auth.Operations},
			ExpiresAt: at.Add(time.Hour),
		}, at)
		require.NoError(t, err)
		req := httptest.NewRequest(http.MethodPost,
			"/api/v1/ops/parked-changes/01936d6e-6b7a-7c3e-9a55-0f5f6f0a1b2c/resolve", strings.NewReader(c.body))
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		f.ServeHTTP(rec, req)
		require.Equal(t, c.status, rec.Code, "%s: %s", name, rec.Body)
		require.Contains(t, rec.Body.String(), c.has, name)
		resttest.Validate(t, resttest.Operations(t), req, rec.Result())
		if c.status < http.StatusBadRequest {
			require.Equal(t, product.Resolution{
				Outcome: product.OutcomeCompleted, Reason: "KOS 화면에서 확인", By: "somebody", At: at,
			}, c.u.heard)
		}
	}
}

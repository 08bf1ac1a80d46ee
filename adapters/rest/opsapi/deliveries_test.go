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
	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/staff/cases"
)

// fakeDeliveries are the deliveries of a service, and an audit trail that keeps nothing.
type fakeDeliveries struct {
	asked delivery.Filter
	page  []delivery.Listed
	err   error
}

func (d *fakeDeliveries) List(_ context.Context, f delivery.Filter) ([]delivery.Listed, int, error) {
	d.asked = f
	return d.page, 41, d.err
}
func (d *fakeDeliveries) Replay(context.Context, id.ID, time.Time) error { return d.err }

// Append implements ports.AuditLog.
func (*fakeDeliveries) Append(context.Context, audit.Entry) error { return nil }

func openDesk(t *testing.T, bills, changes *fakeDeliveries) face {
	t.Helper()
	f := face{tokens: &memory.AccessTokens{}}
	revoked := access.NewRevoked(&memory.Revocations{}, nil, clock, time.Hour)
	require.NoError(t, revoked.Pull(t.Context()))
	handlers := &opsapi.Handlers{Desk: &cases.Deliveries{
		Bills: bills, Changes: changes, Audit: bills, Now: clock, NewID: func() id.ID { return id.ID{} },
		Report: func(context.Context, error) {},
	}}
	var err error
	f.Handler, err = rest.NewHandler(rest.Service{
		Spec: resttest.Operations(t), Mount: handlers.Mount,
		Authenticator: contract.AccessGuard{Guard: &access.Guard{Verifier: f.tokens, Revoked: revoked, Now: clock}},
		Log:           slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Clock: clock,
	})
	require.NoError(t, err)
	return f
}

func TestDeliveriesArePagedByKind(t *testing.T) {
	t.Parallel()
	bills, changes := &fakeDeliveries{}, &fakeDeliveries{page: []delivery.Listed{
		{
			ID: id.ID{1}, Kind: delivery.ChangeResult, Line: "010-****-5678", State: delivery.Pending, Sequence: 3, Attempts: 1,
			FinalAt: at,
			NextAt:  at.Add(time.Second), ReplayedAt: at,
			Last: []delivery.AttemptRecord{{
				At: at, State: delivery.Pending, Note: "HTTP 503",
			}, {At: at, State: delivery.Delivered}},
		},
		{ID: id.ID{2}, Kind: delivery.ChangeResult, State: delivery.Delivered, FinalAt: at, DeliveredAt: at},
	}}
	f := openDesk(t, bills, changes)
	require.JSONEq(t, `{"items":[{"eventId":"01000000-0000-0000-0000-000000000000","kind":"CHANGE",
		"lineNumber":"010-****-5678",
		"state":"PENDING","sequence":3,"attempts":1,"finalAt":"2026-11-21T03:00:00Z","nextAt":"2026-11-21T03:00:01Z",
		"replayedAt":"2026-11-21T03:00:00Z","lastAttempts":[{"at":"2026-11-21T03:00:00Z","state":"PENDING","note":"HTTP 503"},
		{"at":"2026-11-21T03:00:00Z","state":"DELIVERED"}]},{"eventId":"02000000-0000-0000-0000-000000000000","kind":"CHANGE",
		"state":"DELIVERED","attempts":0,"finalAt":"2026-11-21T03:00:00Z","deliveredAt":"2026-11-21T03:00:00Z",
		"lastAttempts":[]}],
		"pagination":{"page":2,"size":20,"totalElements":41,"totalPages":3,"hasNext":true,"hasPrevious":true}}`,
		f.data(t, "/ops/deliveries?kind=change&state=PARKED&since=2026-11-20T00:00:00Z&page=2&size=20"))
	since := at.AddDate(0, 0, -1).Add(-3 * time.Hour)
	require.Equal(t, delivery.Filter{State: delivery.Parked, Since: since, Page: 2, Size: 20}, changes.asked)
	require.Contains(t, f.data(t, "/ops/deliveries"), `"items":[]`)
	require.Equal(t, delivery.Filter{Page: 1, Size: 20}, bills.asked, "bill results unless asked otherwise")
	bills.err = fault.New(fault.ServiceUnavailable)
	res, raw := f.get(t, "/ops/deliveries", auth.Operator, auth.Operations)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, raw)
	res, raw = f.get(t, "/ops/deliveries?page=200&size=100", auth.Operator, auth.Operations)
	require.Equal(t, http.StatusBadRequest, res.StatusCode, raw)
	res, raw = f.get(t, "/ops/deliveries", auth.Customer, auth.Operations)
	require.Equal(t, http.StatusForbidden, res.StatusCode, raw)
}

func TestReplayAnswers(t *testing.T) {
	t.Parallel()
	for status, c := range map[int]struct {
		err  error
		body string
	}{
		http.StatusAccepted:   {nil, `{"reason":"수신 오류 수정"}`},
		http.StatusNotFound:   {fault.New(fault.ResourceNotFound), `{"reason":"수신 오류 수정"}`},
		http.StatusConflict:   {fault.New(fault.StateConflict), `{"reason":"수신 오류 수정"}`},
		http.StatusBadRequest: {nil, `{"reason":"x"}`},
	} {
		f := openDesk(t, &fakeDeliveries{err: c.err}, &fakeDeliveries{err: c.err})
		token, err := f.tokens.Issue(t.Context(), auth.Principal{
			UserID: "somebody", Roles: []auth.Role{auth.Operator}, Permissions: []auth.Permission{auth.Operations},
			ExpiresAt: at.Add(time.Hour),
		}, at)
		require.NoError(t, err)
		req := httptest.NewRequest(http.MethodPost,
			"/api/v1/ops/deliveries/01936d6e-6b7a-7c3e-9a55-0f5f6f0a1b2c/replay", strings.NewReader(c.body))
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		f.ServeHTTP(rec, req)
		require.Equal(t, status, rec.Code, rec.Body.String())
		resttest.Validate(t, resttest.Operations(t), req, rec.Result())
	}
}

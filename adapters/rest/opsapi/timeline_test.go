package opsapi_test

import (
	"context"
	"log/slog"
	"net/http"
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
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/staff/cases"
	"phonebill/core/timeline"
)

// silent is a service that cannot be asked.
type silent struct{}

func (silent) ByRequest(context.Context, id.ID) (timeline.Timeline, error) {
	return timeline.Timeline{}, fault.New(fault.ServiceUnavailable)
}

func openTimelines(t *testing.T, books ...cases.TimelineSource) face {
	t.Helper()
	f := face{tokens: &memory.AccessTokens{}}
	revoked := access.NewRevoked(&memory.Revocations{}, nil, clock, time.Hour)
	require.NoError(t, revoked.Pull(t.Context()))
	handlers := &opsapi.Handlers{Timelines: &cases.Timelines{Sources: books, Log: trail.Log{
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

func timelinePage(of id.ID) string { return "/ops/requests/" + of.String() + "/timeline" }

func TestATimelineIsShown(t *testing.T) {
	t.Parallel()
	f := openTimelines(t, cases.TimelineSource{
		Service: "bill-inquiry", Timelines: silent{},
	}, cases.TimelineSource{Service: "product-change", Timelines: memory.Timelines{
		{1}: {
			Kind: timeline.Change, Line: "010-****-5678", Status: "UNKNOWN", NextAt: at.Add(time.Hour),
			Missing: []timeline.Gap{timeline.CallsUnavailable},
			Events: []timeline.Event{
				{At: at, Source: timeline.Request, Type: timeline.Requested, Text: "신청", Facts: map[string]string{"to": "5G"}},
				{At: at, Source: timeline.Check, Type: timeline.CheckPassed, Text: "통과", Facts: map[string]string{}},
			},
		},
		{2}: {Kind: timeline.Bill, Status: "PROCESSING"},
	}})
	require.JSONEq(t, `{"requestId":"01000000-0000-0000-0000-000000000000","kind":"CHANGE","lineNumber":"010-****-5678",
		"status":"UNKNOWN",
		"nextAt":"2026-11-21T04:00:00Z","events":[
			{"at":"2026-11-21T03:00:00Z","source":"request","what":"REQUESTED","text":"신청","facts":{"to":"5G"}},
			{"at":"2026-11-21T03:00:00Z","source":"check","what":"CHECK_PASSED","text":"통과","facts":{}}],
		"missing":["KOS_CALLS"],"unreachable":["bill-inquiry"]}`, f.data(t, timelinePage(id.ID{1})))
	require.JSONEq(t, `{"requestId":"02000000-0000-0000-0000-000000000000","kind":"INQUIRY","status":"PROCESSING",
		"events":[],"missing":[],
		"unreachable":["bill-inquiry"]}`, f.data(t, timelinePage(id.ID{2})))

	res, raw := f.get(t, timelinePage(id.ID{3}), auth.Operator, auth.Operations)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, raw)
	require.Contains(t, raw, `"unreachable":"bill-inquiry"`)
}

func TestWhoSeesNoTimeline(t *testing.T) {
	t.Parallel()
	f := openTimelines(t, cases.TimelineSource{Service: "bill-inquiry", Timelines: memory.Timelines{}})
	for _, c := range []struct {
		path   string
		role   auth.Role
		has    []auth.Permission
		status int
	}{
		{timelinePage(id.ID{1}), auth.Operator, []auth.Permission{auth.Operations}, http.StatusNotFound},
		{timelinePage(id.ID{1}), auth.Customer, []auth.Permission{auth.Operations}, http.StatusForbidden},
		{timelinePage(id.ID{1}), auth.Operator, nil, http.StatusForbidden},
		{"/ops/requests/x/timeline", auth.Operator, []auth.Permission{auth.Operations}, http.StatusBadRequest},
	} {
		res, raw := f.get(t, c.path, c.role, c.has...)
		require.Equal(t, c.status, res.StatusCode, raw)
	}
}

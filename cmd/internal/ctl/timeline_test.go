package ctl

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/rest/internalapi"
	"phonebill/core/audit"
	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/core/timeline"
)

// seen is an audit log.
type seen struct{ rows []audit.Entry }

func (s *seen) Append(_ context.Context, e audit.Entry) error {
	s.rows = append(s.rows, e)
	return nil
}

func TestATimelineIsPrinted(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	kept := memory.Timelines{{1}: {
		Kind: timeline.Change, Line: "010-****-5678", Status: "UNKNOWN", NextAt: at.Add(time.Hour),
		Missing: []timeline.Gap{timeline.CallsUnavailable},
		Events: []timeline.Event{
			{
				At: at, Source: timeline.Request, Type: timeline.Requested, Text: "신청",
				Facts: map[string]string{"to": "5G", "from": "LTE"},
			},
			{
				At: at, Source: timeline.Staff, Type: timeline.Proposed, Text: "제안",
				Facts: map[string]string{"reason": "one\ntwo\tthree"},
			},
			{At: at, Source: timeline.Check, Type: timeline.CheckPassed, Text: "통과"},
		},
	}}
	h := &internalapi.Handlers{
		Token: personal.NewSecret("s3cret"), Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Timelines: kept,
	}
	srv := httptest.NewServer(h.Handler())
	t.Cleanup(srv.Close)
	env := map[string]string{
		"PRODUCT_INTERNAL_URLS": srv.URL, "BILL_INTERNAL_URLS": "http://127.0.0.1:1", "INTERNAL_TOKEN": "s3cret",
	}
	var out bytes.Buffer
	c := Console{
		Env: func(key string) string { return env[key] }, Out: &out, Err: &out, Log: slog.New(slog.DiscardHandler),
	}
	log := &seen{}
	s, err := c.timelines(log)
	require.NoError(t, err)
	found, err := s.Timeline(t.Context(), trail.By{Name: "cli:kim", Roles: []auth.Role{auth.Operator}}, id.ID{1})
	require.NoError(t, err)
	require.NoError(t, c.printTimeline(found))
	for _, want := range []string{
		"010-****-5678", "UNKNOWN", "2026-11-21 04:00:00Z", "KOS_CALLS", "bill-inquiry", "REQUESTED", "from=LTE to=5G",
		"the customer requested it",
		"reason=one two three", "2026-11-21 03:00:00.000Z",
	} {
		require.Contains(t, out.String(), want)
	}
	require.Len(t, log.rows, 1)
	require.ErrorIs(t, Run(t.Context(), c, []string{"timeline", "not-an-id"}), fault.New(fault.ValidationError))
	require.ErrorContains(t, Run(t.Context(), c, []string{"timeline"}), "REQUEST_ID is missing")
	env["BILL_INTERNAL_URLS"] = "not an origin"
	_, err = c.timelines(log)
	require.Error(t, err)
}

package authlink_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/authlink"
	"phonebill/adapters/rest/feed"
	"phonebill/core/audit"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

type auditLog struct {
	entries []audit.Entry
	err     error
}

func (l *auditLog) Append(_ context.Context, e audit.Entry) error {
	l.entries = append(l.entries, e)
	return l.err
}

// TestWhatStaffDidElsewhereIsInTheAuditLog: the entry travels whole but for its time, which is the auth service's.
func TestWhatStaffDidElsewhereIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	kept := &auditLog{}
	mux := http.NewServeMux()
	mux.Handle("POST "+feed.AuditPath, feed.Protected(personal.NewSecret("s3cret"),
		feed.AuditHandler(kept, func() time.Time { return at }, slog.New(slog.DiscardHandler))))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	l := authlink.New(srv.URL, srv.URL, personal.NewSecret("s3cret"))
	e := audit.Entry{
		At: at, Actor: "operator-kim", Action: "DELIVERY_REPLAYED", Subject: "x", Reason: "because", Outcome: audit.Intended,
		Detail: `{"call":"1"}`, IP: "203.0.113.7",
	}
	sent := e
	sent.At = at.Add(time.Hour)
	require.NoError(t, l.Append(t.Context(), sent))
	require.Equal(t, []audit.Entry{e}, kept.entries)

	unavailable := fault.New(fault.ServiceUnavailable)
	bad := e
	bad.Actor = ""
	require.ErrorIs(t, l.Append(t.Context(), bad), unavailable)
	bad = e
	bad.Detail = "{"
	require.ErrorIs(t, l.Append(t.Context(), bad), unavailable)
	bad.Detail = `"` + strings.Repeat("x", 20<<10) + `"`
	require.ErrorIs(t, l.Append(t.Context(), bad), unavailable)
	require.ErrorIs(t, authlink.New(srv.URL, srv.URL, personal.NewSecret("another")).Append(t.Context(), e), unavailable)
	require.Len(t, kept.entries, 1)
	kept.err = errors.New("away")
	require.ErrorIs(t, l.Append(t.Context(), e), unavailable)
}

package feed_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/feed"
	"phonebill/core/auth"
	"phonebill/core/id"
)

type source struct {
	list   []auth.Revocation
	broken error
	since  time.Time
}

func (s *source) Since(_ context.Context, t time.Time) ([]auth.Revocation, error) {
	s.since = t
	return s.list, s.broken
}

func ask(t *testing.T, s *source, since string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	rec := httptest.NewRecorder()
	feed.Handler(s, slog.New(slog.NewTextHandler(&log, nil))).ServeHTTP(rec,
		httptest.NewRequest(http.MethodGet, feed.Path+"?since="+url.QueryEscape(since), nil))
	return rec, log.String()
}

func TestFeed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 123456789, time.UTC)
	s := &source{list: []auth.Revocation{{SessionID: id.ID{15: 1}, At: at}}}
	rec, _ := ask(t, s, at.Format(time.RFC3339Nano))
	require.Equal(t, http.StatusOK, rec.Code)
	require.Equal(t, "application/json", rec.Header().Get("Content-Type"))
	require.JSONEq(t, `[{"sid":"00000000-0000-0000-0000-000000000001","at":"2026-11-21T03:00:00.123456789Z"}]`, rec.Body.String())
	require.Equal(t, at, s.since, "to the nanosecond")
	rec, _ = ask(t, &source{}, at.Format(time.RFC3339))
	require.JSONEq(t, `[]`, rec.Body.String(), "never null")
	rec, _ = ask(t, s, "yesterday")
	require.Equal(t, http.StatusBadRequest, rec.Code)
	rec, log := ask(t, &source{broken: errors.New("no database")}, at.Format(time.RFC3339))
	require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	require.NotContains(t, rec.Body.String(), "database")
	require.Contains(t, log, "no database")
}

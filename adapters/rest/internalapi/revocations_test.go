package internalapi_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/internalapi"
	"phonebill/adapters/rest/resttest"
	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/personal"
)

type source struct {
	feed   auth.Feed
	broken error
	since  time.Time
}

func (s *source) Since(_ context.Context, t time.Time) (auth.Feed, error) {
	s.since = t
	return s.feed, s.broken
}

func ask(t *testing.T, s *source, query string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	rec := httptest.NewRecorder()
	h := &internalapi.Handlers{Revocations: s, Log: slog.New(slog.NewTextHandler(&log, nil))}
	resttest.Internal(t, h.Handler()).ServeHTTP(
		rec, httptest.NewRequest(http.MethodGet, internalapi.Base+"revocations"+query, nil),
	)
	return rec, log.String()
}

func TestFeed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 123456789, time.UTC)
	s := &source{feed: auth.Feed{AsOf: at, KeyIDs: []string{"k1"}, Revocations: []auth.Revocation{
		{SessionID: id.ID{15: 1}, At: at, Why: auth.EndedByLogout}, {UserID: "hong", Epoch: 3, At: at},
	}}}
	rec, _ := ask(t, s, "?since="+url.QueryEscape(at.Format(time.RFC3339Nano)))
	require.Equal(t, http.StatusOK, rec.Code)
	require.Equal(t, "application/json", rec.Header().Get("Content-Type"))
	require.JSONEq(t, `{"asOf":"2026-11-21T03:00:00.123456789Z","keys":["k1"],
		"sessions":[{"sid":"00000000-0000-0000-0000-000000000001","at":"2026-11-21T03:00:00.123456789Z","why":"LOGGED_OUT"}],
		"users":[{"userId":"hong","epoch":3,"at":"2026-11-21T03:00:00.123456789Z"}]}`, rec.Body.String())
	require.Equal(t, at, s.since, "to the nanosecond")
	s = &source{feed: auth.Feed{AsOf: at, KeyIDs: []string{}}}
	rec, _ = ask(t, s, "")
	require.JSONEq(
		t, `{"asOf":"2026-11-21T03:00:00.123456789Z","keys":[],"sessions":[],"users":[]}`, rec.Body.String(), "never null",
	)
	require.Zero(t, s.since, "everything")
	rec, _ = ask(t, s, "?since=yesterday")
	require.Equal(t, http.StatusBadRequest, rec.Code)
	rec, log := ask(t, &source{broken: errors.New("no database")}, "")
	require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	require.NotContains(t, rec.Body.String(), "database")
	require.Contains(t, log, "no database")
}

func TestTheTokenIsAskedFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		token, header string
		status        int
	}{
		"right":      {"s3cret", "Bearer s3cret", http.StatusNoContent},
		"wrong":      {"s3cret", "Bearer s3cre", http.StatusUnauthorized},
		"longer":     {"s3cret", "Bearer s3crets", http.StatusUnauthorized},
		"none":       {"s3cret", "", http.StatusUnauthorized},
		"empty":      {"s3cret", "Bearer ", http.StatusUnauthorized},
		"not needed": {"", "", http.StatusNoContent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &internalapi.Handlers{Token: personal.NewSecret(c.token), SessionUse: &use{}}
			req := httptest.NewRequest(http.MethodPost, internalapi.Base+"sessions/used", strings.NewReader("[]"))
			req.Header.Set("Authorization", c.header)
			rec := httptest.NewRecorder()
			resttest.Internal(t, h.Handler()).ServeHTTP(rec, req)
			require.Equal(t, c.status, rec.Code)
		})
	}
}

// systems are the keys of a test.
type systems []auth.ServiceKey

func (s systems) List(context.Context) ([]auth.ServiceKey, error) {
	if s == nil {
		return nil, errors.New("away")
	}
	return s, nil
}

func TestServiceKeysThatAreValidNow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	ask := func(keys systems) *httptest.ResponseRecorder {
		h := &internalapi.Handlers{
			ServiceKeys: keys, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
		}
		rec := httptest.NewRecorder()
		resttest.Internal(t, h.Handler()).ServeHTTP(
			rec, httptest.NewRequest(http.MethodGet, internalapi.Base+"service-keys", nil))
		return rec
	}
	rec := ask(systems{{Service: "mvno-ap"}, {Service: "old", RetiredAt: now}, {Service: "next", RetiredAt: now.Add(1)}})
	zero := strings.Repeat("A", 43) + "="
	require.JSONEq(t, `{"keys":[{"hash":"`+zero+`","service":"mvno-ap"},{"hash":"`+zero+`","service":"next"}]}`,
		rec.Body.String())
	require.JSONEq(t, `{"keys":[]}`, ask(systems{}).Body.String())
	require.Equal(t, http.StatusServiceUnavailable, ask(nil).Code)
}

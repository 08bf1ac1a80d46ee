package authlink_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/authlink"
	"phonebill/core/auth"
	"phonebill/core/id"
)

func link(t *testing.T, h http.HandlerFunc) *authlink.Link {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return authlink.New(srv.URL, srv.URL)
}

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	l := link(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/jwks.json" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(`{"keys":[]}`))
	})
	raw, err := l.Keys(t.Context())
	require.NoError(t, err)
	require.JSONEq(t, `{"keys":[]}`, string(raw))
}

func TestSince(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 12, 0, 0, 5, time.FixedZone("KST", 9*60*60))
	var since string
	l := link(t, func(w http.ResponseWriter, r *http.Request) {
		since = r.URL.Path + " " + r.URL.Query().Get("since")
		_, _ = w.Write([]byte(`[{"sid":"00000000-0000-0000-0000-000000000001","at":"2026-11-21T03:00:00Z"}]`))
	})
	list, err := l.Since(t.Context(), at)
	require.NoError(t, err)
	require.Equal(t, []auth.Revocation{{SessionID: id.ID{15: 1}, At: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)}}, list)
	require.Equal(t, "/internal/revocations 2026-11-21T03:00:00.000000005Z", since)
}

func TestTroubleIsAnError(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]*authlink.Link{
		"status":    link(t, answering(http.StatusServiceUnavailable, "[]")),
		"not JSON":  link(t, answering(http.StatusOK, "<html>")),
		"not an id": link(t, answering(http.StatusOK, `[{"sid":"1"}]`)),
		"cut off": link(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = w.Write([]byte("["))
		}),
		"nobody":     authlink.New("http://127.0.0.1:1", "http://127.0.0.1:1"),
		"no address": authlink.New("http://a b", "http://a b"),
	} {
		_, err := l.Since(t.Context(), time.Now())
		require.ErrorContains(t, err, "authlink: ", name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := link(t, answering(http.StatusOK, "[]")).Keys(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestUsed(t *testing.T) {
	t.Parallel()
	var got string
	l := link(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.Path + " " + string(raw)
		w.WriteHeader(http.StatusNoContent)
	})
	require.NoError(t, l.Used(t.Context(), []id.ID{{15: 1}}))
	require.Equal(t, `POST /internal/sessions/used ["00000000-0000-0000-0000-000000000001"]`, got)
	require.Error(t, link(t, answering(http.StatusServiceUnavailable, "")).Used(t.Context(), nil))
}

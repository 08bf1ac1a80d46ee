package internalclient_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internalclient"
	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/ports"
)

func link(t *testing.T, h http.HandlerFunc) *internalclient.Auth {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return internalclient.NewAuth(nil, []string{srv.URL}, []string{srv.URL}, personal.NewSecret("s3cret"))
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
	var asked string
	l := link(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path + " " + r.URL.Query().Get("since") + " " + r.Header.Get("Authorization")
		_, _ = w.Write([]byte(`{"asOf":"2026-11-21T03:00:01Z","keys":["k2","k1"],"new":"field",
			"sessions":[{"sid":"00000000-0000-0000-0000-000000000001","at":"2026-11-21T03:00:00Z","why":"NEWER_DEVICE"}],
			"users":[{"userId":"hong1234","epoch":4,"at":"2026-11-21T03:00:00Z"}]}`))
	})
	got, err := l.Since(t.Context(), at)
	require.NoError(t, err)
	noon := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	require.Equal(t, auth.Feed{AsOf: noon.Add(time.Second), KeyIDs: []string{"k2", "k1"}, Revocations: []auth.Revocation{
		{SessionID: id.ID{15: 1}, At: noon, Why: auth.EndedByNewerDevice}, {UserID: "hong1234", Epoch: 4, At: noon},
	}}, got)
	require.Equal(t, "/internal/v1/revocations 2026-11-21T03:00:00.000000005Z Bearer s3cret", asked)
	_, err = l.Since(t.Context(), time.Time{})
	require.NoError(t, err)
	require.Equal(t, "/internal/v1/revocations  Bearer s3cret", asked, "everything")
}

func TestServiceKeys(t *testing.T) {
	t.Parallel()
	key := auth.KeyHash{31: 7}
	hash := base64.StdEncoding.EncodeToString(key[:])
	good := `{"keys":[{"hash":"` + hash + `","service":"mvno-ap","new":1}]}`
	got, err := link(t, answering(http.StatusOK, good)).List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []auth.ServiceKey{{Hash: key, Service: "mvno-ap"}}, got)
	for _, bad := range []string{
		`{"keys":[{"hash":"AAAA","service":"mvno-ap"}]}`, `{"keys":[{"hash":"` + hash + `"}]}`, `{"keys":[{"hash":"?"}]}`,
		`[`,
	} {
		_, err = link(t, answering(http.StatusOK, bad)).List(t.Context())
		require.ErrorIs(t, err, ports.ErrBadAnswer, bad)
	}
	_, err = link(t, answering(http.StatusNotFound, "")).List(t.Context())
	require.Error(t, err, "an auth service of the release before")
}

func TestTheTokenGoesToTheInternalApiAlone(t *testing.T) {
	t.Parallel()
	var headers []string
	l := link(t, func(w http.ResponseWriter, r *http.Request) {
		headers = append(headers, r.Header.Get("Authorization"))
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
	})
	_, err := l.Keys(t.Context())
	require.ErrorContains(t, err, "302", "no redirect is followed")
	require.Equal(t, []string{""}, headers)
}

func TestTroubleIsAnError(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]*internalclient.Auth{
		"status":     link(t, answering(http.StatusServiceUnavailable, "[]")),
		"not JSON":   link(t, answering(http.StatusOK, "<html>")),
		"not an id":  link(t, answering(http.StatusOK, `{"asOf":"2026-11-21T03:00:01Z","sessions":[{"sid":"1"}]}`)),
		"not a user": link(t, answering(http.StatusOK, `{"asOf":"2026-11-21T03:00:01Z","users":[{"userId":"1 2"}]}`)),
		"no time":    link(t, answering(http.StatusOK, `{}`)),
		"a list":     link(t, answering(http.StatusOK, `[]`)),
		"cut off": link(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = w.Write([]byte("["))
		}),
		"nobody":     internalclient.NewAuth(nil, nil, []string{"http://127.0.0.1:1"}, personal.Secret{}),
		"no address": internalclient.NewAuth(nil, nil, []string{"http://a b"}, personal.Secret{}),
	} {
		_, err := l.Since(t.Context(), time.Now())
		require.ErrorContains(t, err, "internalclient: ", name)
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
	require.Equal(t, `POST /internal/v1/sessions/used ["00000000-0000-0000-0000-000000000001"]`, got)
	require.Error(t, link(t, answering(http.StatusServiceUnavailable, "")).Used(t.Context(), nil))
}

// findsItself is a transport that sends every request to one host.
type findsItself struct{ host string }

func (f findsItself) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host = f.host
	return http.DefaultTransport.RoundTrip(r)
}

func TestKeysThroughATransportThatFindsTheService(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	t.Cleanup(srv.Close)
	keys, err := internalclient.NewAuth(nil, []string{"dns+http://auth:1"}, nil, personal.Secret{}).
		WithKeysThrough(findsItself{srv.Listener.Addr().String()}).Keys(t.Context())
	require.NoError(t, err)
	require.Equal(t, "/.well-known/jwks.json", string(keys))
}

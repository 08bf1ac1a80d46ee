package internalclient_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internalclient"
	"phonebill/adapters/rest/internalapi"
	"phonebill/adapters/rest/resttest"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

const service = "bill-inquiry"

// internal is an instance's internal listener as compose builds it.
func internal(t *testing.T, token string, s operations.Status) string {
	t.Helper()
	h := &internalapi.Handlers{
		Token: personal.NewSecret(token), Log: slog.New(slog.DiscardHandler),
		Status: func(context.Context) operations.Status { return s },
	}
	return serve(t, resttest.Internal(t, h.Handler()))
}

// serveInternal serves what h has behind the token "s3cret", and holds each answer against the specification.
func serveInternal(t *testing.T, h *internalapi.Handlers) string {
	t.Helper()
	h.Token, h.Log, h.Now = personal.NewSecret("s3cret"), slog.New(slog.DiscardHandler), func() time.Time { return said }
	return serve(t, resttest.Internal(t, h.Handler()))
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestInstances(t *testing.T) {
	t.Parallel()
	portstest.Instances(t, func(t *testing.T, well operations.Status) ports.Instances {
		hangs := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		to := internalclient.Access{Token: personal.NewSecret("s3cret")}
		l, err := internalclient.NewServices(to, internalclient.Service{Name: well.Service, Origins: []string{
			internal(t, "s3cret", well), internal(t, "s3cret", operations.Status{Service: well.Service}),
			internal(t, "another", well), internal(t, "s3cret", operations.Status{Service: "product-change"}), hangs,
			"http://127.0.0.1:1",
		}})
		require.NoError(t, err)
		return l
	})
}

func TestWhatIsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"status":      answering(http.StatusNotFound, `{"service":"bill-inquiry"}`),
		"redirect":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"not JSON":    answering(http.StatusOK, "<html>"),
		"half":        answering(http.StatusOK, `{"service":"bill-inquiry"`),
		"wrong type":  answering(http.StatusOK, `{"service":"bill-inquiry","breakers":{}}`),
		"nobody's":    answering(http.StatusOK, `{}`),
		"a list":      answering(http.StatusOK, `[]`),
		"ten million": answering(http.StatusOK, `{"service":"bill-inquiry","x":"`+strings.Repeat("x", 10_000_000)+`"}`),
	} {
		l, err := internalclient.NewServices(internalclient.Access{}, internalclient.Service{
			Name: service, Origins: []string{serve(t, h)},
		})
		require.NoError(t, err)
		_, err = l.Status(t.Context(), l.All(t.Context())[0])
		require.ErrorIs(t, err, ports.ErrBadAnswer, name)
	}
}

func TestAConnectionThatBreaksIsNoAnswer(t *testing.T) {
	t.Parallel()
	l, err := internalclient.NewServices(internalclient.Access{}, internalclient.Service{Name: service, Origins: []string{
		serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			_, _ = io.WriteString(w, `{"service":`)
		})),
	}})
	require.NoError(t, err)
	_, err = l.Status(t.Context(), l.All(t.Context())[0])
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NotErrorIs(t, err, ports.ErrBadAnswer)
}

func TestWhatANewerReleaseAddsIsLeftOut(t *testing.T) {
	t.Parallel()
	newer := serve(t, answering(http.StatusOK,
		`{"service":"bill-inquiry","new":1,"quota":{"budget":9,"spent":{"read":4,"lane of tomorrow":5}}}`))
	instances := internalclient.Service{Name: service, Origins: []string{newer}}
	l, err := internalclient.NewServices(internalclient.Access{}, instances)
	require.NoError(t, err)
	got, err := l.Status(t.Context(), l.All(t.Context())[0])
	require.NoError(t, err)
	require.Equal(t, 9, got.Quota.Budget)
	require.Equal(t, 4, got.Quota.Used())
}

func TestInstancesAreNamedByTheirAddress(t *testing.T) {
	t.Parallel()
	l, err := internalclient.NewServices(internalclient.Access{},
		internalclient.Service{Name: "bill-inquiry", Origins: []string{"http://b:2", "http://a:1"}},
		internalclient.Service{Name: "product-change", Origins: []string{"https://a:1"}})
	require.NoError(t, err)
	require.Equal(t, []operations.Instance{
		{Service: "bill-inquiry", Name: "b:2"}, {Service: "bill-inquiry", Name: "a:1"},
		{Service: "product-change", Name: "a:1"},
	}, l.All(t.Context()))
	for _, origins := range [][]string{
		{"b:2"}, {"http://"}, {"http://a b"}, {"http://a:1/path"}, {"http://a:1", "http://a:1"},
	} {
		_, err := internalclient.NewServices(internalclient.Access{}, internalclient.Service{Name: service, Origins: origins})
		require.ErrorContains(t, err, "internalclient: ", origins)
	}
}

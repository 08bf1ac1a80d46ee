package contract

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const conditionalSpec = `
openapi: 3.0.3
info: {title: conditional, version: '1'}
servers: [{url: /base}]
paths:
  /thing:
    get:
      x-permission: ''
      x-conditional: true
      security: []
      responses: {'200': {description: ok}, '304': {description: the same}}
`

// asked returns the answer of a handler to a request with an If-None-Match, none when it is empty.
func asked(t *testing.T, h http.HandlerFunc, tag string) *http.Response {
	t.Helper()
	router, err := NewRouter(load(t, conditionalSpec), closed{}, nil)
	require.NoError(t, err)
	router.HandleFunc("GET /base/thing", h)
	require.NoError(t, router.Complete())
	req := httptest.NewRequest(http.MethodGet, "/base/thing", nil)
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	rec := httptest.NewRecorder()
	rec.Header().Set("Cache-Control", "no-store") // of the middleware
	router.ServeHTTP(rec, req)
	return rec.Result()
}

func TestTheSameAnswerIsNotSentAgain(t *testing.T) {
	t.Parallel()
	content := `{"plan":"5G"}`
	h := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, content[:3])
		_, _ = io.WriteString(w, content[3:])
	}
	first := asked(t, h, "")
	tag := first.Header.Get("ETag")
	require.Regexp(t, `^"[\w-]{22}"$`, tag)
	require.Equal(t, "private, no-cache", first.Header.Get("Cache-Control"))
	require.Equal(t, "Authorization, Cookie", first.Header.Get("Vary"))
	body, err := io.ReadAll(first.Body)
	require.NoError(t, err)
	require.Equal(t, content, string(body))

	for _, same := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		res := asked(t, h, same)
		require.Equal(t, http.StatusNotModified, res.StatusCode, same)
		require.Equal(t, tag, res.Header.Get("ETag"))
		require.Empty(t, res.Header.Get("Content-Type"))
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Empty(t, body)
	}
	require.Equal(t, http.StatusOK, asked(t, h, strings.ToUpper(tag)+"x").StatusCode)
	content = `{"plan":"LTE"}`
	res := asked(t, h, tag)
	require.Equal(t, http.StatusOK, res.StatusCode, "another answer, another tag")
	require.NotEqual(t, tag, res.Header.Get("ETag"))
}

func TestAnErrorHasNoTag(t *testing.T) {
	t.Parallel()
	res := asked(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "later")
	}, "*")
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Empty(t, res.Header.Get("ETag"))
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "later", string(body))
}

func TestConditionalAnswersAreDocumented(t *testing.T) {
	t.Parallel()
	router, err := NewRouter(load(t, strings.Replace(conditionalSpec, "'304'", "'204'", 1)), closed{}, nil)
	require.NoError(t, err)
	router.HandleFunc("GET /base/thing", func(http.ResponseWriter, *http.Request) {})
	require.ErrorContains(t, router.Complete(), "x-conditional")
}

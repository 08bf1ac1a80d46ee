package internalclient_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internalclient"
	"phonebill/core/audit"
	"phonebill/core/id"
	"phonebill/core/personal"
)

const gone = "http://127.0.0.1:1"

// counted counts the requests of an instance that answers with a status.
func counted(t *testing.T, status int, body string) (origin string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked.Add(1)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, asked
}

func TestAnotherInstanceIsAskedWhenOneCannotBeReached(t *testing.T) {
	t.Parallel()
	feed := `{"asOf":"2026-11-21T03:00:01Z","keys":[],"sessions":[],"users":[]}`
	good, asked := counted(t, http.StatusOK, feed)
	draining, refused := counted(t, http.StatusServiceUnavailable, `{}`)
	l := internalclient.NewAuth(nil, []string{gone, good}, []string{gone, draining, good}, personal.Secret{})
	for range 3 {
		_, err := l.Since(t.Context(), time.Time{})
		require.NoError(t, err)
	}
	require.EqualValues(t, 3, asked.Load())
	require.EqualValues(t, 1, refused.Load(), "it stays with the one that answers")
	_, err := l.Keys(t.Context())
	require.NoError(t, err)

	alone := internalclient.NewAuth(nil, nil, []string{gone, draining}, personal.Secret{})
	_, err = alone.Since(t.Context(), time.Time{})
	require.ErrorContains(t, err, "503", "the answer of the last one")
	_, err = alone.Keys(t.Context())
	require.ErrorContains(t, err, "no origin")
}

// TestWhatMayHaveBeenDoneIsNotAskedForTwice: a write goes to another instance only when no connection was made.
func TestWhatMayHaveBeenDoneIsNotAskedForTwice(t *testing.T) {
	t.Parallel()
	good, asked := counted(t, http.StatusNoContent, "")
	l := internalclient.NewAuth(nil, nil, []string{gone, good}, personal.Secret{})
	require.NoError(t, l.Append(t.Context(), audit.Entry{Actor: "operator-kim", Action: "X"}), "with its body")
	require.EqualValues(t, 1, asked.Load())

	breaks := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(breaks.Close)
	l = internalclient.NewAuth(nil, nil, []string{breaks.URL, good}, personal.Secret{})
	require.Error(t, l.Used(t.Context(), []id.ID{{1}}))
	require.EqualValues(t, 1, asked.Load())
	require.NoError(t, l.Used(t.Context(), []id.ID{{1}}), "the next request begins with the other one")
}

// TestAnInstanceThatHangsIsNotAskedFirstAgain: it has used up the time of one request.
func TestAnInstanceThatHangsIsNotAskedFirstAgain(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(release) })
	good, _ := counted(t, http.StatusOK, `{"keys":[]}`)
	l := internalclient.NewAuth(nil, []string{hangs.URL, good}, nil, personal.Secret{})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := l.Keys(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = l.Keys(t.Context())
	require.NoError(t, err)
}

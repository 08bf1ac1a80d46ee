package kos_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/core/fault"
	"phonebill/ports"
)

// TestWhatMayBeTriedAgain: only what may pass.
func TestWhatMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers http.HandlerFunc
		want    bool
	}{
		"E999":           {says(200, envelope(t, "E999", nil)), true},
		"502":            {says(502, "<html>"), true},
		"no answer":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		"E400":           {says(400, envelope(t, "E400", nil)), false},
		"E429":           {says(429, envelope(t, "E429", nil)), false},
		"401":            {says(401, ""), false},
		"403":            {says(403, ""), false},
		"unknown code":   {says(200, envelope(t, "E777", nil)), false},
		"nonsense":       {says(200, "<html>"), false},
		"an odd refusal": {says(200, envelope(t, "E103", nil)), false},
		"no bill":        {says(200, envelope(t, "E002", nil)), false},
	} {
		l := serve(t, c.answers)
		_, f := l.ask(t.Context(), t, twoLines[0])
		require.NotNil(t, f, name)
		if c.want {
			require.ErrorIs(t, f, ports.ErrTransient, name)
		} else {
			require.NotErrorIs(t, f, ports.ErrTransient, name)
		}
	}
	_, f := connect(t, deadPort(t)).ask(t.Context(), t, twoLines[0])
	require.ErrorIs(t, f, ports.ErrTransient)
	require.ErrorIs(t, f, ports.ErrNotAsked)
}

// TestAQuestionCostsThreeCallsAtMost, also while both keys are refused or KOS fails behind the second.
func TestAQuestionCostsThreeCallsAtMost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers []int // HTTP status of each call; the last one stays
		want    []int // the attempts in the call log
	}{
		"both keys are dead":             {[]int{401}, []int{1, 2}},
		"dead key, then KOS fails":       {[]int{401, 500}, []int{1, 2}},
		"KOS fails, then a dead key":     {[]int{500, 401, 500}, []int{1, 2, 3}},
		"KOS fails twice, a dead key":    {[]int{500, 500, 401}, []int{1, 2, 3}},
		"KOS fails":                      {[]int{500}, []int{1, 2, 3}},
		"a dead key and then a live one": {[]int{401, 200}, []int{1, 2}},
	} {
		n := 0
		l := serve(t, func(w http.ResponseWriter, r *http.Request) {
			status := c.answers[min(n, len(c.answers)-1)]
			n++
			says(status, envelope(t, "E002", nil))(w, r)
		})
		two := connectWith(t, l, "a", "b")
		for attempt := 1; attempt <= 3; attempt++ { // as core/freshness/copies asks
			call := billed
			call.Attempt = attempt
			_, err := two.Bill(t.Context(), call, number(t, twoLines[0]), month(t, "2026-11"))
			if !isTransient(fault.From(err)) {
				break
			}
		}
		var attempts []int
		for _, call := range two.calls.Calls() {
			attempts = append(attempts, call.Attempt)
		}
		require.Equal(t, c.want, attempts, name)
	}
}

// TestNoErrorContainsWhatKOSSent: not even what net/http quotes.
func TestNoErrorContainsWhatKOSSent(t *testing.T) {
	t.Parallel()
	secret := `{"lineNumber":"01012345678","customerName":"KimSecret"}`
	for want, sent := range map[string]string{
		"not HTTP":             secret + "\r\n\r\n",
		"headers too big":      "HTTP/1.1 200 OK\r\nX-Secret: " + secret + strings.Repeat("x", 1<<17) + "\r\n\r\n",
		"the connection broke": "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + secret,
		"kos":                  "HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n",
		"kos: ":                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n",
	} {
		l := connect(t, speaker(t, sent))
		_, err := l.Customer(t.Context(), read, number(t, twoLines[0]))
		require.ErrorContains(t, err, want)
		for _, s := range []string{"01012345678", "KimSecret", "lineNumber"} {
			require.NotContains(t, err.Error()+l.log.String(), s)
		}
		require.Contains(t, l.log.String(), "kos failed")
	}
	server := httptest.NewUnstartedServer(says(200, ""))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	failure := func(url string) (err error) { // on a busy machine a connection may take longer than a call may
		for range 20 {
			_, err = connect(t, url).Customer(t.Context(), read, number(t, twoLines[0]))
			if !strings.Contains(err.Error(), "kos: timeout") {
				break
			}
		}
		return err
	}
	require.ErrorContains(t, failure(server.URL), "kos: TLS")
	err := failure(deadPort(t))
	require.ErrorContains(t, err, "kos: no connection")
	require.NotContains(t, err.Error(), "127.0.0.1")
}

// TestOddAnswersAreLogged: a page of a proxy, and a no that a read cannot have.
func TestOddAnswersAreLogged(t *testing.T) {
	t.Parallel()
	l := serve(t, says(502, "<html>Bad gateway</html>"))
	_, f := l.ask(t.Context(), t, twoLines[0])
	require.Equal(t, fault.ServiceUnavailable, f.Code())
	require.Contains(t, l.log.String(), "kos: HTTP 502")
	require.NotContains(t, l.log.String(), "Bad gateway")
	for _, code := range []string{"E103", "E110"} {
		l = serve(t, says(200, envelope(t, code, nil)))
		_, f = l.ask(t.Context(), t, twoLines[0])
		require.Equal(t, fault.ServiceUnavailable, f.Code())
		require.Contains(t, l.log.String(), "a code that does not fit the question")
		require.Contains(t, l.log.String(), "result="+code)
	}
	l = serve(t, says(200, envelope(t, "E003", nil)))
	_, f = l.ask(t.Context(), t, twoLines[0])
	require.Equal(t, fault.BillNotFound, f.Code(), "a line that is not in use has no bill")
	require.Empty(t, l.log.String())
	_, err := l.Customer(t.Context(), read, number(t, twoLines[0]))
	require.Equal(t, fault.ServiceUnavailable, fault.From(err).Code(), "but a status")
	require.Contains(t, l.log.String(), "a code that does not fit the question")
}

// connectWith is a client with other keys on the server of l.
func connectWith(t *testing.T, l *link, all ...string) *link {
	t.Helper()
	return connect(t, l.url, func(c *kos.Config, _ *kos.Deps) { c.Keys = keys(t, all...) })
}

func isTransient(f *fault.Error) bool {
	return f != nil && errors.Is(f, ports.ErrTransient)
}

// speaker sends these bytes to each client and hangs up.
func speaker(t *testing.T, bytes string) (url string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, bytes)
			_ = conn.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

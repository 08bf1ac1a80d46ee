package boot_test

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/boot"
)

// TestNoListenerTakesTheRestOfABodyForARequest: neither the public nor the internal one, whatever stands before the
// doubtful body.
func TestNoListenerTakesTheRestOfABodyForARequest(t *testing.T) {
	t.Parallel()
	unit := boot.NewUnit("a test", "127.0.0.1:0", "127.0.0.1:0", boot.NewHealth(nil))
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	unit.Handler, unit.InternalHandler = answer, answer
	running, err := unit.Start(t.Context(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, running.Stop()) })
	const body = "Host: x\r\nConnection: keep-alive\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"2\r\n{}\r\n0\r\n\r\n"
	const smuggled = "GET /second HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, origin := range []string{running.URL, running.InternalURL} {
		for _, first := range []string{"POST / HTTP/1.1\r\n", "POST / HTTP/1.0\r\n", "OPTIONS * HTTP/1.1\r\n"} {
			require.Equal(t, 1, answers(t, strings.TrimPrefix(origin, "http://"), first+body+smuggled), "%s %s", origin, first)
		}
	}
}

// answers counts what comes back before the server closes the connection.
func answers(t *testing.T, addr, said string) (n int) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, said)
	require.NoError(t, err)
	for r := bufio.NewReader(conn); ; n++ {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			var late net.Error
			require.False(t, errors.As(err, &late) && late.Timeout(), "it keeps the connection")
			return n
		}
		_, _ = io.Copy(io.Discard, res.Body)
	}
}

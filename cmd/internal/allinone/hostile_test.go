package allinone_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// closed stands for a connection that is closed without an answer.
const closed = 0

// TestHostileRequests sends what no well-behaved client sends, byte by byte, to the gateway (R10): the answer is an
// error of the API with a 4xx status, or the connection is closed; it is never a 5xx, and never an answer to something
// else.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	needSystem(t)
	token := login(t, customer(t, "normal", 0))
	ask := func(headers, body string) string {
		return "POST /api/v1/bills/inquiry HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token +
			"\r\nContent-Type: application/json\r\n" + headers + "\r\n" + body
	}
	chunked := func(headers, body string) string { return ask(headers+"Transfer-Encoding: chunked\r\n", body) }
	sized := func(body string) string { return ask(fmt.Sprintf("Content-Length: %d\r\n", len(body)), body) }
	get := func(target, headers string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\n" + headers + "\r\n"
	}
	for name, c := range map[string]struct {
		sent   string
		status int
	}{
		"no HTTP":                       {"hello\r\n\r\n", 400},
		"another version":               {"GET / HTTP/3.7\r\nHost: localhost\r\n\r\n", 400},
		"HTTP/2 without TLS":            {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
		"no host":                       {"GET /health HTTP/1.1\r\n\r\n", 400},
		"two hosts":                     {"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		"a host with a space":           {"GET /health HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
		"an unknown host":               {"GET /api/v1/bills/menu HTTP/1.1\r\nHost: evil.example\r\n\r\n", 400},
		"an absolute target elsewhere":  {"GET http://evil.example/x HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		"an absolute target here":       {get("http://localhost/nowhere", ""), 404},
		"a target without a slash":      {get("nowhere", ""), 400},
		"an asterisk":                   {get("*", ""), 404},
		"CONNECT":                       {"CONNECT localhost:5432 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
		"an unknown method":             {"BREW /api/v1/bills/menu HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
		"a method of garbage":           {"G\x00T / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
		"TRACE":                         {"TRACE /api/v1/bills/menu HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
		"two slashes":                   {get("/api/v1//bills/menu", ""), 404},
		"encoded dots":                  {get("/api/v1/bills/%2e%2e/auth/verify", ""), 404},
		"doubly encoded dots":           {get("/api/v1/bills/%252e%252e/auth/verify", ""), 404},
		"an encoded slash":              {get("/api/v1/bills%2fmenu", ""), 404},
		"a doubly encoded slash":        {get("/api/v1/bills%252fmenu", ""), 404},
		"a backslash":                   {get(`/api/v1\bills\menu`, ""), 404},
		"NUL in the path":               {get("/api/v1/bills/inquiry/%00", ""), 400},
		"a broken escape":               {get("/api/v1/bills/%zz", ""), 400},
		"bytes that are no UTF-8":       {get("/api/v1/products/customer/%ff%fe", ""), 400},
		"NUL in the query":              {get("/api/v1/bills/history?status=%00", ""), 400},
		"a semicolon in the query":      {get("/api/v1/bills/history?page=1;size=2", ""), 400},
		"a parameter twice":             {get("/api/v1/bills/history?page=1&page=2", ""), 400},
		"an endless query":              {get("/api/v1/bills/history?"+strings.Repeat("x=1&", 3000), ""), 400},
		"an endless target":             {get("/"+strings.Repeat("a", 64<<10), ""), 413},
		"10,000 headers":                {get("/health", strings.Repeat("X-A: b\r\n", 10_000)), 413},
		"a folded header":               {get("/api/v1/bills/menu", "X-A: b\r\n c\r\n"), 200},
		"a header without a name":       {get("/api/v1/bills/menu", ": b\r\n"), 400},
		"a header with a space":         {get("/api/v1/bills/menu", "X-A : b\r\n"), 400},
		"a header with a newline":       {get("/api/v1/bills/menu", "X-A: b\nX-User-Id: admin\r\n"), 200},
		"NUL in a header":               {get("/api/v1/bills/menu", "X-A: b\x00c\r\n"), 400},
		"an unknown expectation":        {ask("Content-Length: 2\r\nExpect: a-miracle\r\n", "{}"), 400},
		"an upgrade to h2c":             {get("/api/v1/bills/menu", "Connection: Upgrade\r\nUpgrade: h2c\r\n"), 400},
		"a websocket":                   {get("/api/v1/bills/menu", "Connection: Upgrade\r\nUpgrade: websocket\r\n"), 400},
		"both lengths":                  {chunked("Content-Length: 2\r\n", "2\r\n{}\r\n0\r\n\r\n"), 400},
		"two lengths":                   {ask("Content-Length: 2\r\nContent-Length: 3\r\n", "{} "), 400},
		"a length below zero":           {ask("Content-Length: -1\r\n", ""), 400},
		"a length that is no number":    {ask("Content-Length: 0x2\r\n", "{}"), 400},
		"a length beyond all":           {ask("Content-Length: 99999999999999999999\r\n", ""), 400},
		"a body over the limit":         {ask("Content-Length: 70000\r\n", ""), 413},
		"an unknown transfer encoding":  {ask("Transfer-Encoding: gzip\r\n", ""), 400},
		"two transfer encodings":        {ask("Transfer-Encoding: chunked, chunked\r\n", ""), 400},
		"a hidden transfer encoding":    {ask("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), 400},
		"a chunk that is none":          {chunked("", "zz\r\n{}\r\n0\r\n\r\n"), 400},
		"a chunk of endless extensions": {chunked("", "2;"+strings.Repeat("a", 70<<10)+"\r\n{}\r\n0\r\n\r\n"), 400},
		"endless trailers":              {chunked("", "2\r\n{}\r\n0\r\n"+strings.Repeat("X-A: b\r\n", 20_000)+"\r\n"), 400},

		"a key twice":           {sized(`{"lineNumber":"01012345678","lineNumber":"01012345679"}`), 400},
		"NUL in a value":        {sized(`{"lineNumber":"\u0000"}`), 400},
		"a lone surrogate":      {sized(`{"lineNumber":"\ud800"}`), 400},
		"text that is no UTF-8": {sized("{\"lineNumber\":\"\xff\"}"), 400},
		"nested deeply":         {sized(strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000)), 400},
		"nested objects":        {sized(strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)), 400},
		"a number beyond all":   {sized(`{"lineNumber":1e999999}`), 400},
		"two documents":         {sized(`{"lineNumber":"01012345678"}{}`), 400},
		"a byte order mark":     {sized("\ufeff{}"), 400},
		"compressed":            {ask("Content-Encoding: gzip\r\nContent-Length: 2\r\n", "\x1f\x8b"), 400},
		"another media type":    {strings.Replace(sized(`{}`), "application/json", "text/plain", 1), 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := converse(t, c.sent)
			if c.status == closed {
				require.Nil(t, res)
				return
			}
			require.NotNil(t, res, "the connection was closed")
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Equal(t, c.status, res.StatusCode, string(body))
			if c.status == http.StatusOK {
				return
			}
			if res.Request.Method == http.MethodHead {
				return
			}
			var envelope struct {
				Success bool
				Error   struct{ Code, Message, TraceID string }
			}
			require.NoError(t, json.Unmarshal(body, &envelope), "%s", body)
			require.False(t, envelope.Success)
			require.NotEmpty(t, envelope.Error.Code)
			require.NotEmpty(t, envelope.Error.TraceID)
			require.NotEmpty(t, res.Header.Get("X-Request-Id"))
			require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
		})
	}
}

// converse sends bytes to the gateway and returns its first answer; nil when it closes the connection without one.
func converse(t *testing.T, sent string) *http.Response {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(running.BaseURL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	go func() { _, _ = io.WriteString(conn, sent) }() // the gateway may answer and close before it has read everything
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodGet})
	if err != nil {
		require.False(t, errors.Is(err, os.ErrDeadlineExceeded), "no answer, and the connection stays open")
		return nil
	}
	return res
}

// TestSlowClientsHoldNothing: one that sends its headers or its body byte by byte is let go, and others are served.
func TestSlowClientsHoldNothing(t *testing.T) {
	t.Parallel()
	needSystem(t)
	for name, c := range map[string]struct {
		sent   string
		status int
	}{
		"headers": {"GET /api/v1/bills/menu HTTP/1.1\r\nHost: localh", closed},
		"body": {"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
			"Content-Length: 100\r\n\r\n{", http.StatusRequestTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := converse(t, c.sent)
			if c.status == closed {
				require.Nil(t, res)
				return
			}
			require.NotNil(t, res)
			require.Equal(t, c.status, res.StatusCode)
		})
	}
}

package gateway_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/gateway"
	"phonebill/adapters/rest/middleware"
	"phonebill/core/fault"
)

// FuzzRequests sends any bytes to a gateway (R10): each answer is complete, none is a 5xx, and every refusal is an
// error of the API.
func FuzzRequests(f *testing.F) {
	for _, seed := range []string{
		"GET /api/v1/bills/menu HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\n\r\n",
		"GET //api/v1/%2e%2e/bills/menu?wait=99999 HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /api/v1/bills/inquiry HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"2\r\n{}\r\n0\r\n\r\n",
		"OPTIONS /api/v1/bills/menu HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n" +
			"Access-Control-Request-Method: GET\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\nForwarded: for=\"_\";;,\r\n\r\n",
		"GET http://a:b@c/%00 HTTP/1.0\r\nX-Forwarded-For: ,,1.2.3.4:5\r\nTraceparent: 00-\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	c := config()
	c.Origins, c.Hosts = gateway.Origins{"https://a.example"}, []string{"x"}
	handler, err := gateway.New(c)
	require.NoError(f, err)
	srv := httptest.NewUnstartedServer(middleware.CloseAfterChunked(handler))
	srv.Config.MaxHeaderBytes, srv.Config.DisableGeneralOptionsHandler = 16<<10, true
	refuse := func(w http.ResponseWriter, _ *http.Request, err error) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"success":false,"error":{"code":"`+string(fault.From(err).Code())+`"}}`)
	}
	srv.Listener = middleware.EnvelopeRefusals(srv.Listener, refuse)
	srv.Start()
	f.Cleanup(srv.Close)
	f.Fuzz(func(t *testing.T, sent []byte) {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
		_, err = conn.Write(sent)
		require.NoError(t, err)
		_ = conn.(*net.TCPConn).CloseWrite()
		all := bufio.NewReader(conn)
		for {
			res, err := http.ReadResponse(all, &http.Request{Method: http.MethodGet})
			if err != nil {
				return // the connection is closed
			}
			body, err := io.ReadAll(res.Body)
			if err != nil {
				return // an answer to HEAD has none
			}
			require.Less(t, res.StatusCode, 500, "%q", body)
			if res.StatusCode >= 400 && len(body) > 0 && !strings.HasPrefix(string(body), "HTTP/1.") {
				var envelope struct{ Error struct{ Code string } }
				require.NoError(t, json.Unmarshal(body, &envelope), "%q", body)
				require.NotEmpty(t, envelope.Error.Code)
			}
		}
	})
}

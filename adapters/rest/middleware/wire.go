package middleware

import (
	"bytes"
	"net"
	"net/http"
	"net/url"

	"phonebill/core/fault"
)

// EnvelopeRefusals returns a listener on which the refusals that net/http writes by itself are errors of the API: a
// request that it cannot read never reaches a handler, and is otherwise answered as plain text, for an unknown transfer
// encoding even with a 5xx. A TLS listener is not wrapped, since net/http would no longer offer HTTP/2 there: such a
// request is then answered in net/http's own words.
func EnvelopeRefusals(ln net.Listener, fail Fail) net.Listener { return &envelopingListener{ln, fail} }

type envelopingListener struct {
	net.Listener
	fail Fail
}

// Accept implements net.Listener.
func (l *envelopingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // net/http looks at the error of the listener below
	}
	return &envelopingConn{conn, l.fail}, nil
}

type envelopingConn struct {
	net.Conn
	fail Fail
}

// plainRefusal are the headers of what net/http writes about a request that it cannot read. No answer of a handler has
// these alone: it has a Date. 417, for an Expect header that net/http does not know, has other headers and no body; no
// handler writes it.
var plainRefusal = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// Write implements net.Conn. net/http writes such a refusal with one call.
func (c *envelopingConn) Write(p []byte) (int, error) {
	status, refuses := refusalStatus(p)
	if !refuses {
		return c.Conn.Write(p) //nolint:wrapcheck // net/http looks at the error of the connection
	}
	if _, err := c.Conn.Write(c.refusal(status)); err != nil {
		return 0, err //nolint:wrapcheck // as above
	}
	return len(p), nil
}

// refusalStatus reports whether what is written is a refusal of net/http's own, and its status.
func refusalStatus(p []byte) (status string, refuses bool) {
	const version, longestLine = "HTTP/1.1 ", 200
	if !bytes.HasPrefix(p, []byte(version)) {
		return "", false
	}
	end := bytes.IndexByte(p[:min(len(p), longestLine)], '\r')
	if end < len(version)+3 {
		return "", false
	}
	status = string(p[len(version) : len(version)+3])
	return status, status == "417" || bytes.HasPrefix(p[end:], plainRefusal)
}

// CloseWrite lets net/http end a connection politely after a refusal, as it does with a TCP connection.
func (c *envelopingConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // as above
	}
	return nil
}

// refusal returns the answer to write in place of net/http's with that status.
func (c *envelopingConn) refusal(status string) []byte {
	err := fault.InvalidField("request", "요청을 해석할 수 없습니다")
	switch status {
	case "431":
		err = fault.New(fault.PayloadTooLarge).WithField("headers", "요청 헤더가 너무 큽니다")
	case "417":
		err = fault.InvalidField("Expect", "지원하지 않는 값입니다")
	}
	written := &bufferedAnswer{header: http.Header{}, status: http.StatusBadRequest}
	c.fail(written, &http.Request{URL: &url.URL{Path: "/"}, Header: http.Header{}}, err)
	res := http.Response{
		StatusCode: written.status, ProtoMajor: 1, ProtoMinor: 1, Header: written.header, Close: true,
		ContentLength: int64(written.body.Len()), Body: written,
	}
	for _, header := range secure {
		written.header.Set(header[0], header[1])
	}
	var out bytes.Buffer
	_ = res.Write(&out) // a buffer takes everything
	return out.Bytes()
}

// bufferedAnswer is a ResponseWriter that keeps the answer.
type bufferedAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *bufferedAnswer) Header() http.Header         { return a.header }
func (a *bufferedAnswer) Write(p []byte) (int, error) { return a.body.Write(p) }
func (a *bufferedAnswer) WriteHeader(status int)      { a.status = status }
func (a *bufferedAnswer) Read(p []byte) (int, error)  { return a.body.Read(p) }
func (a *bufferedAnswer) Close() error                { return nil }

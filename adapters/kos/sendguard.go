package kos

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// errTooLate is the error of a request whose time was over before its first byte was written. Nothing was sent.
var errTooLate = errors.New("kos: too late to be sent")

// guardedConn is a connection that checks, before the first write of each request, whether the request may still be
// sent. A process that was suspended between deciding and writing must not send what another worker has taken over
// meanwhile.
type guardedConn struct {
	net.Conn
	check atomic.Pointer[func() error] // of the request whose first write comes next; nil = done
}

// Write runs the pending check, then writes.
func (g *guardedConn) Write(p []byte) (int, error) {
	if check := g.check.Swap(nil); check != nil {
		if err := (*check)(); err != nil {
			return 0, err
		}
	}
	return g.Conn.Write(p)
}

// guard sets the check on the connection that a request was given.
func guard(info httptrace.GotConnInfo, check func() error) {
	conn := info.Conn
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	if g, ok := conn.(*guardedConn); ok {
		g.check.Store(&check)
	}
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// guardedDialer returns dial, with connections that can be guarded.
func guardedDialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &guardedConn{Conn: conn}, nil
	}
}

// mayStillSend returns errTooLate when the caller no longer waits for the request, or at or after notAfter (if not
// zero) by the clock that all instances share.
func (c *Client) mayStillSend(ctx context.Context, notAfter time.Time) error {
	if ctx.Err() != nil || !notAfter.IsZero() && !c.deps.Now().Before(notAfter) {
		return errTooLate
	}
	return nil
}

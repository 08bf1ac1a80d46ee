package kos

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"

	"phonebill/ports"
)

// errLate is what a request comes to that was about to be written when its time was over. Not a byte of it left us.
var errLate = errors.New("kos: too late to be sent")

// guarded is a connection that asks, before the first write of each request, whether the request may still leave. A process that was
// stopped between deciding and writing must not send what somebody else has taken over meanwhile.
type guarded struct {
	net.Conn
	check atomic.Pointer[func() error] // of the request whose first write comes next; nil = asked already
}

func (g *guarded) Write(p []byte) (int, error) {
	if check := g.check.Swap(nil); check != nil {
		if err := (*check)(); err != nil {
			return 0, err
		}
	}
	return g.Conn.Write(p)
}

// guard puts the check on the connection that a request has got.
func guard(info httptrace.GotConnInfo, check func() error) {
	conn := info.Conn
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	if g, ok := conn.(*guarded); ok {
		g.check.Store(&check)
	}
}

// guarding dials connections that can be guarded.
func guarding(dial func(ctx context.Context, network, addr string) (net.Conn, error)) func(
	ctx context.Context, network, addr string,
) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &guarded{Conn: conn}, nil
	}
}

// leaving tells whether a request may still be written: its caller waits for it and his lease is not over, by the clock that all instances
// share.
func (c *Client) leaving(ctx context.Context) error {
	until, leased := ports.LeaseOf(ctx)
	if ctx.Err() != nil || leased && !c.deps.Now().Before(until) {
		return errLate
	}
	return nil
}

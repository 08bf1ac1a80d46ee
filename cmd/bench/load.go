package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// request is one HTTP/1.1 request, ready to be written. The load client writes and reads HTTP itself, because it shares
// the machine with what is measured (docs/bench.md says what vegeta would cost).
type request struct {
	addr string // host:port
	raw  []byte
	tls  *tls.Config // nil: a plain connection
}

func newRequest(addr, method, path, token, body string) request {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, addr)
	if token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return request{addr: addr, raw: []byte(b.String())}
}

// connection is one keep-alive connection.
type connection struct {
	net.Conn
	in *bufio.Reader
}

// dial connects to where the request goes.
func dial(ctx context.Context, r request) (*connection, error) {
	var d interface {
		DialContext(ctx context.Context, network, addr string) (net.Conn, error)
	} = &net.Dialer{}
	if r.tls != nil {
		d = &tls.Dialer{Config: r.tls}
	}
	c, err := d.DialContext(ctx, "tcp", r.addr)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	return &connection{c, bufio.NewReaderSize(c, 16<<10)}, nil
}

// do sends the request, reads the complete answer and returns an error unless its status is 200.
func (c *connection) do(r request) error {
	status, err := c.exchange(r)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("bench: answered %d", status)
	}
	return err
}

// exchange sends the request, reads the complete answer and returns its status.
func (c *connection) exchange(r request) (status int, err error) {
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := c.Write(r.raw); err != nil {
		return 0, err
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, errors.New("bench: not HTTP: " + line)
	}
	header, err := textproto.NewReader(c.in).ReadMIMEHeader()
	if err != nil {
		return 0, err
	}
	if err := c.discardBody(header); err != nil {
		return 0, err
	}
	return strconv.Atoi(line[9:12])
}

func (c *connection) discardBody(header textproto.MIMEHeader) error {
	if header.Get("Transfer-Encoding") != "chunked" {
		length, err := strconv.Atoi(header.Get("Content-Length"))
		if err != nil {
			return errors.New("bench: answer without a length")
		}
		_, err = c.in.Discard(length)
		return err
	}
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 64)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, c.in, size+2); err != nil || size == 0 {
			return err
		}
	}
}

// result is what a load measured.
type result struct {
	Requests  int           `json:"requests"`
	Errors    int           `json:"errors"`
	PerSecond float64       `json:"perSecond"`
	P50       time.Duration `json:"p50Ns"`
	P99       time.Duration `json:"p99Ns"`
	FirstErr  string        `json:"firstError,omitempty"`
}

// closed keeps n connections busy for d: each sends its next request when the last is answered. next picks the request
// of a connection. What is measured is throughput.
func closed(ctx context.Context, n int, d time.Duration, next func(connection int) request) result {
	return load(ctx, n, d, next, 0)
}

// open sends at a fixed rate over n connections, however long the answers take; a request's time counts from when it
// was due, so that a stall is not hidden. What is measured is latency.
func open(ctx context.Context, n int, d time.Duration, rate float64, next func(connection int) request) result {
	return load(ctx, n, d, next, rate)
}

func load(ctx context.Context, n int, d time.Duration, next func(int) request, rate float64) result {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	took := make([][]time.Duration, n)
	failed := make([][]error, n)
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { took[i], failed[i] = work(ctx, i, n, begin, rate, next) })
	}
	wg.Wait()
	elapsed := time.Since(begin)
	all := slices.Concat(took...)
	slices.Sort(all)
	errs := slices.Concat(failed...)
	r := result{Requests: len(all), Errors: len(errs), PerSecond: float64(len(all)) / elapsed.Seconds()}
	if len(all) > 0 {
		r.P50, r.P99 = all[len(all)/2], all[len(all)*99/100]
	}
	if len(errs) > 0 {
		r.FirstErr = errs[0].Error()
	}
	return r
}

// work is one connection's share of a load.
func work(
	ctx context.Context, i, n int, begin time.Time, rate float64, next func(int) request,
) (took []time.Duration, failed []error) {
	var c *connection
	for k := 0; ctx.Err() == nil; k++ {
		due := time.Now()
		if rate > 0 {
			due = begin.Add(time.Duration(float64(k*n+i) / rate * float64(time.Second)))
			select {
			case <-ctx.Done():
				return took, failed
			case <-time.After(time.Until(due)):
			}
		}
		r := next(i)
		if c == nil {
			var err error
			if c, err = dial(ctx, r); err != nil {
				return took, append(failed, err)
			}
		}
		if err := c.do(r); err != nil {
			failed = append(failed, err)
			_ = c.Close()
			c = nil
			if len(failed) > 100 {
				return took, failed
			}
			continue
		}
		took = append(took, time.Since(due))
	}
	if c != nil {
		_ = c.Close()
	}
	return took, failed
}

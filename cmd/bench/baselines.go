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
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"

	"phonebill/cmd/internal/boot"
)

// The servers that are compared against run as processes of their own (`bench serve KIND …`), like those they are
// compared to.

// answerBody is about as large as a bill menu.
var answerBody = []byte(
	`{"success":true,"message":"요금 조회 메뉴를 조회하였습니다","data":{"customerInfo":{"customerId":"CUST-00000001",` +
		`"lineNumber":"010-1234-5678"},"lines":["010-1234-5678"],` +
		`"availableMonths":["2026-11","2026-10","2026-09","2026-08","2026-07",` +
		`"2026-06"],"currentMonth":"2026-11"}}`,
)

// serve runs one of the servers until it is killed, and prints its address first.
func serve(ctx context.Context, out io.Writer, args []string) error {
	var h http.Handler
	switch {
	case len(args) == 1 && args[0] == "backend":
		h = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { write(w, answerBody) })
	case (len(args) == 2 || len(args) == 4) && args[0] == "proxy":
		target, err := url.Parse(args[1])
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		h = &httputil.ReverseProxy{
			Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(target) },
			Transport: &http.Transport{MaxIdleConnsPerHost: 512},
		}
	case len(args) == 3 && args[0] == "cacheget":
		cache, err := valkey.NewClient(valkey.ClientOption{
			InitAddress: []string{args[1]}, Password: args[2], AlwaysRESP2: true, DisableCache: true,
		})
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		defer cache.Close()
		if err := cache.Do(ctx, cache.B().Set().Key("bench").Value(string(answerBody)).Build()).Error(); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			v, err := cache.Do(r.Context(), cache.B().Get().Key("bench").Build()).AsBytes()
			if err != nil {
				http.Error(w, "cache", http.StatusInternalServerError)
				return
			}
			write(w, v)
		})
	default:
		return errors.New("usage: bench serve backend | proxy URL [CERT KEY] | cacheget ADDR PASSWORD")
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if _, err := fmt.Fprintln(out, ln.Addr()); err != nil {
		return err
	}
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13},
	}
	go func() { <-ctx.Done(); _ = srv.Close() }()
	if len(args) == 4 {
		err = srv.ServeTLS(ln, args[2], args[3])
	} else {
		err = srv.Serve(ln)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

func write(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// spawn starts a program and returns the first line that it prints. stop ends it.
func spawn(ctx context.Context, env []string, name string, args ...string) (line string, stop func(), err error) {
	return spawnAs(ctx, env, func(*os.Process) {}, name, args...)
}

// spawnAs is spawn, and calls show with the process as soon as it has been started.
func spawnAs(
	ctx context.Context, env []string, show func(*os.Process), name string, args ...string,
) (line string, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(append(os.Environ(), boot.Environment+"=development"), env...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return "", nil, fmt.Errorf("bench: start %s: %w", name, err)
	}
	show(cmd.Process)
	stop = func() { cancel(); _ = cmd.Wait() }
	in := bufio.NewReader(stdout)
	if line, err = in.ReadString('\n'); err != nil {
		stop()
		return "", nil, fmt.Errorf("bench: %s said nothing: %w", name, err)
	}
	go func() { _, _ = io.Copy(io.Discard, in) }()
	line = strings.TrimSpace(line)
	return line, stop, nil
}

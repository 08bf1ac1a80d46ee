// Command mvnoap-simulator serves the MVNO AP simulator (adapters/mvnoap/mvnoapsim) on two loopback ports: the notifications
// API and its control API.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"phonebill/adapters/mvnoap/mvnoapsim"
)

// main reads MVNOAP_SECRETS (one or two, separated by a comma), STATE_DIR (empty = in memory), MVNOAP_ADDR and
// MVNOAP_CONTROL_ADDR.
func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "mvnoap-simulator:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	secrets := strings.FieldsFunc(os.Getenv("MVNOAP_SECRETS"), func(r rune) bool { return r == ',' })
	sim, err := mvnoapsim.New(mvnoapsim.Options{Secrets: secrets, StateDir: os.Getenv("STATE_DIR")})
	if err != nil {
		return fmt.Errorf("%w (is MVNOAP_SECRETS set?)", err)
	}
	api := server(cmp.Or(os.Getenv("MVNOAP_ADDR"), "127.0.0.1:8085"), sim.Handler())
	control := server(cmp.Or(os.Getenv("MVNOAP_CONTROL_ADDR"), "127.0.0.1:8095"), sim.Control())
	return serve(ctx, sim.Close, api, control)
}

func server(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr: addr, Handler: h,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute,
	}
}

// serve runs until ctx ends or a server fails. release comes first, so that hanging notifications do not hold up the end.
func serve(ctx context.Context, release func() error, servers ...*http.Server) error {
	failed := make(chan error, len(servers))
	for _, s := range servers {
		go func() { failed <- s.ListenAndServe() }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	err = errors.Join(err, release())
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for _, s := range servers {
		err = errors.Join(err, s.Shutdown(grace))
	}
	return err
}

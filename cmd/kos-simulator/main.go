// Command kos-simulator serves the KOS simulator (adapters/kos/kossim) on two loopback ports: the KOS API and its control API.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"phonebill/adapters/kos/kossim"
)

// main reads KOS_TOKEN (several are separated by commas), STATE_DIR (empty = in memory), KOS_ADDR, KOS_CONTROL_ADDR and
// KOS_QUOTA_PER_MINUTE (0 = no limit).
func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "kos-simulator:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	quota, err := strconv.Atoi(cmp.Or(os.Getenv("KOS_QUOTA_PER_MINUTE"), strconv.Itoa(kossim.DefaultQuota)))
	if err != nil {
		return fmt.Errorf("KOS_QUOTA_PER_MINUTE: %w", err)
	}
	if quota == 0 {
		quota = kossim.NoQuota
	}
	tokens := strings.FieldsFunc(os.Getenv("KOS_TOKEN"), func(r rune) bool { return r == ',' })
	sim, err := kossim.New(kossim.Options{Tokens: tokens, StateDir: os.Getenv("STATE_DIR"), QuotaPerMinute: quota})
	if err != nil {
		return fmt.Errorf("%w (is KOS_TOKEN set?)", err)
	}
	api := server(cmp.Or(os.Getenv("KOS_ADDR"), "127.0.0.1:8084"), sim.Handler())
	control := server(cmp.Or(os.Getenv("KOS_CONTROL_ADDR"), "127.0.0.1:8094"), sim.Control())
	return serve(ctx, sim.Close, api, control)
}

func server(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr: addr, Handler: h,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute,
	}
}

// serve runs until ctx ends or a server fails. release comes first, so that hanging calls do not hold up the end.
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

// Package boot runs a phonebill process: it reads the configuration, makes the logger, binds the listeners, handles
// signals, runs the workers, and closes everything in reverse. Begin with Service (a main function), Load (a
// configuration) and Unit (what runs).
package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Run is a process: it works until ctx is done or something fails.
type Run func(ctx context.Context, env Env, out io.Writer, log *slog.Logger) error

// ServeUnit returns the process that reads a configuration, builds a unit with it and serves it until its context ends.
func ServeUnit[C any](
	load func(Env) (C, error), build func(context.Context, C, *slog.Logger) (*Unit, error),
) Run {
	return func(ctx context.Context, env Env, _ io.Writer, log *slog.Logger) error {
		c, err := load(env)
		if err != nil {
			return err
		}
		unit, err := build(ctx, c, log)
		if err != nil {
			return err
		}
		return unit.Serve(ctx, log)
	}
}

// Main runs a process with the real environment and returns its exit code. SIGINT and SIGTERM end ctx; a second signal
// kills. --version alone prints the version.
func Main(run Run) int {
	if asksVersion(os.Args) {
		_, _ = fmt.Fprintln(os.Stdout, Version())
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // from here on the next signal has its default effect
	}()
	log := Logger(os.Stderr, os.Getenv("LOG_LEVEL"), os.Getenv("LOG_FORMAT"))
	warnOfNearMisses(os.Environ(), log)
	end, err := profile(os.Getenv(CPUProfile))
	if err == nil {
		err = errors.Join(run(ctx, os.Getenv, os.Stdout, log), end())
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		_, _ = fmt.Fprintln(os.Stderr, "phonebill:", err)
		return 1
	}
	return 0
}

// Logger returns a structured logger: level debug, info (default), warn or error; format json (default) or text.
func Logger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

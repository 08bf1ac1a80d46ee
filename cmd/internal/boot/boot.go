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

// Main runs a process with the real environment and answers its exit code. SIGINT and SIGTERM end ctx; a second signal kills.
func Main(run Run) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // from here on the next signal has its default effect
	}()
	env := Env(os.Getenv)
	log := Logger(os.Stderr, env("LOG_LEVEL"), env("LOG_FORMAT"))
	err := run(ctx, env, os.Stdout, log)
	if err != nil && !errors.Is(err, context.Canceled) {
		_, _ = fmt.Fprintln(os.Stderr, "phonebill:", err)
		return 1
	}
	return 0
}

// Logger answers a structured logger: level debug, info (default), warn or error; format json (default) or text.
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

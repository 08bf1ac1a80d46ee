// Command phonebillctl is the operator's tool: accounts, permissions, sessions, audit log, the link to KOS, and the
// demo. See `phonebillctl help`. It exits with 0 when all is done, 1 when it failed, 2 when a load refused some
// rows or the command line was wrong, 3 when a reconciliation found differences.
package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/ctl"
)

func main() {
	const partlyOrUsage, differ = 2, 3
	refused, differs, usage := false, false, false
	code := boot.Main(func(ctx context.Context, env boot.Env, out io.Writer, _ *slog.Logger) error {
		// The terminal is for answers: the log of the verbs is shown from warnings on, unless asked for.
		level := env("LOG_LEVEL")
		if level == "" {
			level = "warn"
		}
		err := ctl.Run(ctx, ctl.Console{
			Env: env, In: os.Stdin, Out: out, Err: os.Stderr, Log: boot.Logger(os.Stderr, level, "text"),
		}, os.Args[1:])
		refused, differs = errors.Is(err, ctl.ErrPartly), errors.Is(err, ctl.ErrDiffer)
		usage = errors.Is(err, ctl.ErrUsage)
		return err
	})
	switch {
	case refused, usage:
		code = partlyOrUsage
	case differs:
		code = differ
	}
	os.Exit(code)
}

// Command phonebill is the all-in-one of `make run`: everything phonebill needs and is, in one process, on one machine. With
// -split each service is a process of its own. Logs go to phonebill.log in the data folder, so that the terminal stays readable.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"

	"phonebill/cmd/internal/allinone"
	"phonebill/cmd/internal/boot"
)

func main() {
	run := allinone.Run
	if slices.Contains(os.Args[1:], "-split") {
		run = allinone.RunSplit
	}
	os.Exit(boot.Main(logged(run)))
}

// logged runs with a log file instead of the terminal.
func logged(run boot.Run) boot.Run {
	return func(ctx context.Context, env boot.Env, out io.Writer, _ *slog.Logger) error {
		file, err := allinone.OpenLog(env)
		if err != nil {
			return fmt.Errorf("log file: %w", err)
		}
		defer func() { _ = file.Close() }()
		return run(ctx, env, out, boot.Logger(file, env("LOG_LEVEL"), env("LOG_FORMAT")))
	}
}

// Command phonebill is the all-in-one of `make run`: everything phonebill needs and is, in one process, on one machine.
// With -split each service is a process of its own. Logs go to phonebill.log in the data folder, so that the terminal
// stays readable.
package main

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"os"

	"phonebill/cmd/internal/allinone"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/auth"
)

func main() {
	auth.ServeHashes()
	split := false
	run := func(ctx context.Context, env boot.Env, out io.Writer, log *slog.Logger) error {
		if split {
			return allinone.RunSplit(ctx, env, out, log)
		}
		boot.LetHeapGrow(env, boot.AllInOneHeapGrowth)
		return allinone.Run(ctx, auth.WithHashWorker(env), out, log)
	}
	os.Exit(boot.Service(logged(run), func(f *flag.FlagSet) {
		f.BoolVar(&split, "split", false, "each service is a process of its own")
	}))
}

// logged runs with a log file instead of the terminal.
func logged(run boot.Run) boot.Run {
	return func(ctx context.Context, env boot.Env, out io.Writer, _ *slog.Logger) error {
		file, err := allinone.OpenLog(env)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		return run(ctx, env, out, boot.Logger(file, env("LOG_LEVEL"), env("LOG_FORMAT")))
	}
}

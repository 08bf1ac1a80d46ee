// Command kos-simulator serves the KOS simulator (adapters/kos/kossim) and its control API. Its environment is
// simulators.KOS.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/simulators"
)

func main() { os.Exit(boot.Service(run)) }

func run(ctx context.Context, env boot.Env, _ io.Writer, log *slog.Logger) error {
	c, err := simulators.LoadKOS(env)
	if err != nil {
		return err
	}
	unit, err := simulators.NewKOS(c)
	if err != nil {
		return err
	}
	return unit.Serve(ctx, log)
}

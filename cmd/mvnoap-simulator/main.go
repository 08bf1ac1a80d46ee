// Command mvnoap-simulator serves the MVNO AP simulator (adapters/mvnoap/mvnoapsim) and its control API. Its
// environment is simulators.AP.
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
	c, err := simulators.LoadAP(env)
	if err != nil {
		return err
	}
	unit, err := simulators.NewAP(c)
	if err != nil {
		return err
	}
	return unit.Serve(ctx, log)
}

// Command auth is the auth service: login, tokens, permissions. Its environment is auth.Config.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/auth"
	"phonebill/cmd/internal/compose/service"
)

func main() { os.Exit(boot.Service(run)) }

func run(ctx context.Context, env boot.Env, _ io.Writer, log *slog.Logger) error {
	c, err := auth.Load(env)
	if err != nil {
		return err
	}
	unit, err := auth.New(ctx, c, service.RealTools(log))
	if err != nil {
		return err
	}
	return unit.Serve(ctx, log)
}

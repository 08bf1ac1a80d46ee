// Command auth is the auth service: login, tokens, permissions. Its environment is described at compose.ReadAuth.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose"
)

func main() { os.Exit(boot.Service(run)) }

func run(ctx context.Context, env boot.Env, _ io.Writer, log *slog.Logger) error {
	c, err := compose.ReadAuth(env)
	if err != nil {
		return err
	}
	unit, err := compose.Auth(ctx, c, compose.RealTools(log))
	if err != nil {
		return err
	}
	return unit.Serve(ctx, log)
}

// Command gateway is the single entry. Its environment is described at compose.ReadGateway.
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
	c, err := compose.ReadGateway(env)
	if err != nil {
		return err
	}
	tools := compose.RealTools(log)
	up, err := compose.Proxies(c, tools)
	if err != nil {
		return err
	}
	unit, err := compose.Gateway(ctx, c, up, tools)
	if err != nil {
		return err
	}
	return unit.Serve(ctx, log)
}

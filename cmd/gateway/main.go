// Command gateway is the single entry. Its environment is gateway.Config.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/gateway"
	"phonebill/cmd/internal/compose/service"
)

func main() { os.Exit(boot.Service(run)) }

func run(ctx context.Context, env boot.Env, _ io.Writer, log *slog.Logger) error {
	c, err := gateway.Load(env)
	if err != nil {
		return err
	}
	tools := service.RealTools(log)
	up, err := gateway.Proxies(c, tools)
	if err != nil {
		return err
	}
	unit, err := gateway.New(ctx, c, up, tools)
	if err != nil {
		return err
	}
	return unit.Serve(ctx, log)
}

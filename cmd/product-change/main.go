// Command product-change is the product change service. Its environment is productchange.Config.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/productchange"
	"phonebill/cmd/internal/compose/service"
)

func main() { os.Exit(boot.Service(run)) }

func run(ctx context.Context, env boot.Env, _ io.Writer, log *slog.Logger) error {
	c, err := productchange.Load(env)
	if err != nil {
		return err
	}
	unit, err := productchange.New(ctx, c, service.RealTools(log))
	if err != nil {
		return err
	}
	return unit.Serve(ctx, log)
}

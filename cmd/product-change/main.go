// Command product-change is the product change service. Its environment is described at compose.ReadProduct.
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
	c, err := compose.ReadProduct(env)
	if err != nil {
		return err
	}
	unit, err := compose.Product(ctx, c, compose.RealTools(log))
	if err != nil {
		return err
	}
	return unit.Serve(ctx, log)
}

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

func main() {
	serve := service.Run(gateway.Load, gateway.NewWithProxies)
	os.Exit(boot.Service(func(ctx context.Context, env boot.Env, out io.Writer, log *slog.Logger) error {
		boot.LetHeapGrow(env, boot.GatewayHeapGrowth)
		return serve(ctx, env, out, log)
	}))
}

// Command bill-inquiry is the bill inquiry service. Its environment is billinquiry.Config.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/billinquiry"
	"phonebill/cmd/internal/compose/service"
)

func main() { os.Exit(boot.Service(run)) }

func run(ctx context.Context, env boot.Env, _ io.Writer, log *slog.Logger) error {
	c, err := billinquiry.Load(env)
	if err != nil {
		return err
	}
	unit, err := billinquiry.New(ctx, c, service.RealTools(log))
	if err != nil {
		return err
	}
	return unit.Serve(ctx, log)
}

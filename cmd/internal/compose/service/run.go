package service

import (
	"context"
	"log/slog"

	"phonebill/cmd/internal/boot"
)

// Run is boot.ServeUnit for a unit that is built with tools.
func Run[C any](
	load func(boot.Env) (C, error), build func(context.Context, C, Tools) (*boot.Unit, error),
) boot.Run {
	return boot.ServeUnit(load, func(ctx context.Context, c C, log *slog.Logger) (*boot.Unit, error) {
		return build(ctx, c, RealTools(log))
	})
}

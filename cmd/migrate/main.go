// Command migrate brings databases to the newest schema: for each of auth, bill, product and kos that has an owner's
// URL in its environment it applies the embedded migrations. Several may run at once: one works, the others wait.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"phonebill/adapters/postgres"
	"phonebill/cmd/internal/boot"
	"phonebill/core/personal"
	"phonebill/migrations"
)

func main() { os.Exit(boot.Service(run)) }

// config is the environment of migrate.
type config struct {
	// URL of the auth database for its owner; without it `migrate` leaves that database alone.
	Auth personal.Secret `env:"AUTH_OWNER_URL"`
	// The same of the bill database.
	Bill personal.Secret `env:"BILL_OWNER_URL"`
	// The same of the product database.
	Product personal.Secret `env:"PRODUCT_OWNER_URL"`
	// The same of the database that all who call KOS share.
	KOS     personal.Secret `env:"KOS_OWNER_URL"`
	Process boot.Process
}

// Validate implements boot.Config.
func (c config) Validate(f *boot.Faults) { c.Process.Validate(f) }

func run(ctx context.Context, env boot.Env, out io.Writer, _ *slog.Logger) error {
	c, err := boot.Load[config](env)
	if err != nil {
		return err
	}
	urls := map[migrations.Database]personal.Secret{
		migrations.Auth: c.Auth, migrations.Bill: c.Bill, migrations.Product: c.Product, migrations.KOS: c.KOS,
	}
	migrated := 0
	for _, db := range migrations.All() {
		url := urls[db].Reveal()
		if url == "" {
			continue
		}
		if err := postgres.Migrate(ctx, url, db); err != nil {
			return err
		}
		migrated++
		if _, err := fmt.Fprintf(out, "%s: up to date\n", db); err != nil {
			return err
		}
	}
	if migrated == 0 {
		return errors.New("nothing to do: set AUTH_OWNER_URL, BILL_OWNER_URL, PRODUCT_OWNER_URL or KOS_OWNER_URL")
	}
	return nil
}

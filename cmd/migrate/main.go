// Command migrate brings databases to the newest schema. For each of auth, bill, product and kos that has an owner's URL in its
// environment (AUTH_OWNER_URL, BILL_OWNER_URL, PRODUCT_OWNER_URL, KOS_OWNER_URL) it applies the embedded migrations. Several may
// run at once: one works, the others wait.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"phonebill/adapters/postgres"
	"phonebill/cmd/internal/boot"
	"phonebill/migrations"
)

func main() { os.Exit(boot.Service(run)) }

func run(ctx context.Context, env boot.Env, out io.Writer, _ *slog.Logger) error {
	migrated := 0
	for _, db := range migrations.All() {
		url := env(strings.ToUpper(string(db)) + "_OWNER_URL")
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

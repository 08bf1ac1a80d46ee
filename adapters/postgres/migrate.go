package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver of database/sql, which goose uses
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"phonebill/migrations"
)

// Migrate brings db's schema up to the newest migration, as its owner. Any number of processes may do it at once: one
// migrates, the others wait (asking every second, for at most 5 minutes) and find nothing left to do. A schema that is
// newer than this program is left alone (ADR 30).
func Migrate(ctx context.Context, ownerURL string, db migrations.Database) error {
	if err := migrate(ctx, ownerURL, db, goose.DefaultTablename); err != nil || !db.HasRequests() {
		return err
	}
	return migrate(ctx, ownerURL, migrations.Request, "goose_request_version")
}

// migrate applies one set of migrations; versions is the table that records how far it got.
func migrate(ctx context.Context, ownerURL string, db migrations.Database, versions string) (err error) {
	conns, err := sql.Open("pgx", ownerURL)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", db, err)
	}
	defer func() { err = errors.Join(err, conns.Close()) }()
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return fmt.Errorf("migrate %s: %w", db, err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, conns, migrations.FS(db),
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true), goose.WithTableName(versions))
	if err != nil {
		return fmt.Errorf("migrate %s: %w", db, err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", db, err)
	}
	return nil
}

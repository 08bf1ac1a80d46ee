// Package stores is what the services that keep data have in common: PostgreSQL, the keyring, the cache, how values are
// sealed, how long records are kept, what waits in the database. Begin with Open (stores.go).
package stores

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/migrations"
)

// Config is where a service keeps its data, but for the URL of its database.
type Config struct {
	// Database connections of an instance.
	PoolSize int `env:"DATABASE_POOL_SIZE" envDefault:"20" range:"2..200"`
	// Instances of a service, over all machines; a start warns when the server has too few connections for them.
	Instances int `env:"INSTANCES" envDefault:"1" range:"1..1000"`
	// Path of the keyring, which seals what is stored ([docs/administration.md](docs/administration.md)). `make run` makes
	// it.
	Keyring string `env:"KEYRING_FILE,required"`
	service.Cache
}

// Validate implements boot.Config.
func (c Config) Validate(f *boot.Faults) {
	f.Require("VALKEY_ADDR", c.Addr != "")
	c.Cache.Validate(f)
}

// Stores are what a service keeps its data in.
type Stores struct {
	Pool    *pgxpool.Pool
	Keyring *vault.Vault
	Cache   *valkey.Client
	Forms   *Forms // how values are sealed
}

// Open connects a unit to its stores and closes them with it.
func Open(
	ctx context.Context, b *service.Builder, c Config, url personal.Secret, db migrations.Database,
) (s Stores, err error) {
	if s.Pool, err = Pool(ctx, b, "database", url, c.PoolSize); err != nil {
		return s, err
	}
	if s.Keyring, err = vault.Open(c.Keyring); err != nil {
		return s, err
	}
	s.Forms = followForms(ctx, b, s.Keyring, db, postgres.NewSealingForm(db, s.Pool))
	s.Cache, err = b.OpenCache(ctx, c.Cache)
	warnOfTooManyConnections(b, s.Pool, c.Instances)
	return s, err
}

// Pool connects a unit to a database that it cannot serve without; name is that of the check.
func Pool(
	ctx context.Context, b *service.Builder, name string, url personal.Secret, size int,
) (*pgxpool.Pool, error) {
	pool, err := postgres.Pool(ctx, url.Reveal(), postgres.PoolConfig{
		MaxConns: int32(size), Name: b.Unit.Name, //nolint:gosec // 2..200
	})
	if err != nil {
		return nil, err
	}
	b.Unit.OnClose(pool.Close)
	b.Checks[name] = postgres.Ping(pool)
	b.DegradedWithout(operations.DatabaseAway, postgres.Ping(pool))
	return pool, nil
}

// warnOfTooManyConnections logs at start-up when all instances together want more connections than the server has
// (S-POOL).
func warnOfTooManyConnections(b *service.Builder, pool *pgxpool.Pool, instances int) {
	b.Unit.Workers = append(b.Unit.Workers, func(ctx context.Context) {
		warning, err := postgres.CheckCapacity(ctx, pool, instances)
		if err == nil && warning != "" {
			b.Log.WarnContext(ctx, "too many connections", "warning", warning)
		}
	})
}

// optionalCheckTimeout bounds the check of a database that the unit can do without: one that hangs must not use up the
// time of the other checks.
const optionalCheckTimeout = 500 * time.Millisecond

// NeededAtStart returns the check of a database that the unit needs to start with, but can do without later: when it
// has passed, a database that is away no longer fails it. One that gives read-only sessions alone still does: then this
// instance may be on the wrong server of a pair while its neighbours are on the right one, and requests should go to
// those.
func NeededAtStart(check boot.Check) boot.Check {
	var passed atomic.Bool
	return func(ctx context.Context) error {
		if passed.Load() {
			limited, cancel := context.WithTimeout(ctx, optionalCheckTimeout)
			defer cancel()
			ctx = limited
		}
		err := check(ctx)
		if err == nil {
			passed.Store(true)
		}
		if passed.Load() && !errors.Is(err, postgres.ErrReadOnly) {
			return nil
		}
		return err
	}
}

package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PoolConfig sizes a pool; zero values mean the defaults.
type PoolConfig struct {
	MaxConns       int32         // at most this many connections; default 20, the limit per instance
	MinIdleConns   int32         // kept open for the next burst; default 0
	Name           string        // application_name, seen in pg_stat_activity; default "phonebill"
	ConnectTimeout time.Duration // of one connection attempt; default 5 s
}

const defaultMaxConns = 20

// Pool prepares a connection pool. Sessions speak UTC, and timestamptz values come back in UTC. It fails on a bad URL only:
// connections are made when they are needed, so that a service starts (and is not ready) while the database is down.
func Pool(ctx context.Context, url string, c PoolConfig) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err) // pgx takes the password out of this error
	}
	if c.MaxConns == 0 {
		c.MaxConns = defaultMaxConns
	}
	if c.Name == "" {
		c.Name = "phonebill"
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	config.MaxConns = c.MaxConns
	config.MinIdleConns = c.MinIdleConns
	config.MaxConnLifetimeJitter = config.MaxConnLifetime / 10 // connections made together do not end together
	config.ConnConfig.ConnectTimeout = c.ConnectTimeout
	config.ConnConfig.RuntimeParams["application_name"] = c.Name
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		conn.TypeMap().RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	return pool, nil
}

// Ping answers nil when the database answers: a readiness check.
func Ping(pool *pgxpool.Pool) func(ctx context.Context) error {
	return func(ctx context.Context) error { return translate("ping", pool.Ping(ctx)) }
}

// CheckCapacity asks the server whether that many instances with a pool like this one fit into its max_connections (less
// what it reserves for superusers). The warning says what to change, and is empty when they fit.
func CheckCapacity(ctx context.Context, pool *pgxpool.Pool, instances int) (warning string, err error) {
	var most, reserved string
	err = pool.QueryRow(ctx, "SELECT current_setting('max_connections'), current_setting('superuser_reserved_connections')").
		Scan(&most, &reserved)
	if err != nil {
		return "", fmt.Errorf("ask for max_connections: %w", err)
	}
	total, err := strconv.Atoi(most)
	if err != nil {
		return "", fmt.Errorf("max_connections: %w", err)
	}
	kept, err := strconv.Atoi(reserved)
	if err != nil {
		return "", fmt.Errorf("superuser_reserved_connections: %w", err)
	}
	size := int(pool.Config().MaxConns)
	if instances*size <= total-kept {
		return "", nil
	}
	return fmt.Sprintf("%d instances x %d connections = %d, but the database takes %d (max_connections %d less %d reserved): "+
		"lower the pool size or raise max_connections", instances, size, instances*size, total-kept, total, kept), nil
}

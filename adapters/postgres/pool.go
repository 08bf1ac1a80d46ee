package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PoolConfig sizes a pool; zero values mean the defaults.
type PoolConfig struct {
	MaxConns       int32         // at most this many connections; default 20, the limit per instance
	MinIdleConns   int32         // kept open for the next burst; default 0
	Name           string        // application_name, seen in pg_stat_activity; default "phonebill"
	ConnectTimeout time.Duration // of one connection attempt; default 5 s
	ReadOnly       bool          // the pool serves reads only, such as from a replica: read-only sessions are expected
}

const defaultMaxConns = 20

// Pool prepares a connection pool. Sessions are in UTC, and timestamptz values come back in UTC. It fails on a bad URL
// only: connections are made when they are needed, so that a service starts (and is not ready) while the database is
// down.
//
// After a failover the pool recovers by itself: when a session reports that it is read-only, all sessions of the pool
// are closed, since they were made to the same server. The next statement connects anew.
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
	var renewal renewal
	if !c.ReadOnly {
		config.ConnConfig.OnPgError = renewal.judge(config.ConnConfig.OnPgError)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	renewal.pool.Store(pool)
	return pool, nil
}

// renewEvery limits how often a pool is renewed because of read-only sessions: a database that stays read-only must not
// be flooded with connections.
const renewEvery = time.Second

// renewal closes the sessions of a pool when one of them turns out to be read-only. It is safe for concurrent use.
type renewal struct {
	pool atomic.Pointer[pgxpool.Pool]
	last atomic.Int64 // when the pool was renewed last, Unix ns
}

// judge returns a handler of errors that PostgreSQL sent: it reports whether the session is kept. A read-only session
// is not, and it renews the pool. All other errors go to the previous handler, which ends sessions on fatal errors
// (shutdown, termination by an administrator).
func (r *renewal) judge(otherwise pgconn.PgErrorHandler) pgconn.PgErrorHandler {
	return func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
		if err.Code == readOnlyTransaction {
			r.renew()
			return false
		}
		return otherwise == nil || otherwise(conn, err)
	}
}

// renew closes all idle sessions, and those in use when they are released.
func (r *renewal) renew() {
	now, last := time.Now().UnixNano(), r.last.Load()
	if pool := r.pool.Load(); pool != nil && now-last >= int64(renewEvery) && r.last.CompareAndSwap(last, now) {
		pool.Reset()
	}
}

// ErrReadOnly is what Ping returns when the database gives only read-only sessions: it is a standby, in recovery, or
// set so.
var ErrReadOnly = errors.New("the database takes no writes (its sessions are read-only)")

// Ping returns a readiness check of a pool that is written to. The check returns nil when the database answers and
// takes writes, so that an instance that is still connected to the server before a failover gets no requests. It closes
// read-only sessions of the pool and tries a new one.
func Ping(pool *pgxpool.Pool) func(ctx context.Context) error {
	var renewal renewal
	renewal.pool.Store(pool)
	return func(ctx context.Context) error {
		readOnly, err := takesNoWrites(ctx, pool)
		if err == nil && readOnly {
			renewal.renew()
			if readOnly, err = takesNoWrites(ctx, pool); err != nil || readOnly {
				err = errors.Join(ErrReadOnly, err)
			}
		}
		return translate("ping", err)
	}
}

func takesNoWrites(ctx context.Context, pool *pgxpool.Pool) (readOnly bool, err error) {
	err = pool.QueryRow(ctx, "SELECT current_setting('transaction_read_only')::boolean").Scan(&readOnly)
	return readOnly, err
}

// CheckCapacity asks the server whether that many instances with a pool like this one fit into its max_connections
// (less what it reserves for superusers). The warning says what to change, and is empty when they fit.
func CheckCapacity(ctx context.Context, pool *pgxpool.Pool, instances int) (warning string, err error) {
	var most, reserved string
	err = pool.QueryRow(ctx,
		"SELECT current_setting('max_connections'), current_setting('superuser_reserved_connections')").
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
	return fmt.Sprintf(
		"%d instances x %d connections = %d, but the database takes %d (max_connections %d less %d reserved): "+
			"lower the pool size or raise max_connections", instances, size, instances*size, total-kept, total, kept), nil
}

// Package valkey is the cache in front of the stores: decorators that answer from Valkey (or Redis) what the store behind them would
// answer, and nothing else. The stores are the truth. A slow or dead cache is a miss that costs less than 50 ms, never an error.
package valkey

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	valkeygo "github.com/valkey-io/valkey-go"

	"phonebill/core/personal"
)

// Config says where the cache is.
type Config struct {
	Addr      string          // host:port
	Password  personal.Secret // of the default user; empty = none
	Mini      bool            // miniredis: RESP2, one plain connection
	Namespace string          // before every key; empty = phonebill
	Metrics   prometheus.Registerer
}

const (
	patience = 40 * time.Millisecond  // one cache call
	rest     = 500 * time.Millisecond // after trouble the cache is left alone that long, so that a request pays for it once
	mending  = 200 * time.Millisecond // how often changes are made good that the cache has missed
	quiet    = 10 * time.Second       // between two log lines about trouble
	dialing  = time.Second
)

// errResting is trouble that is known already.
var errResting = errors.New("valkey: cache is being left alone")

// Client is the connection and what this process owes the cache. It is safe for concurrent use.
type Client struct {
	cfg    Config
	calls  *prometheus.CounterVec
	conn   atomic.Pointer[valkeygo.Client] // nil until the first connection
	resume atomic.Int64                    // Unix ns before which the cache is left alone
	spoke  atomic.Int64                    // Unix ns of the last log line about trouble
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu   sync.RWMutex
	owed map[string]debt // by key
}

// debt is a change of the store that the cache has missed. Until it is made good this process does not believe the cache about the
// key. Other processes could be told an old value meanwhile, but only where they reach a cache that we do not.
type debt struct {
	epoch string
	ttl   time.Duration
	turn  uint64 // tells a debt from a later one of the same key
}

// Open connects. A cache that cannot be reached is no error: the client goes on trying in the background, and Ping tells. Close it
// after the decorators' last call.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	if _, _, err := net.SplitHostPort(cfg.Addr); err != nil {
		return nil, fmt.Errorf("valkey: address: %w", err)
	}
	cfg.Namespace = strings.TrimSuffix(cfg.Namespace, ":")
	if cfg.Namespace == "" {
		cfg.Namespace = "phonebill"
	}
	c := &Client{cfg: cfg, owed: map[string]debt{}}
	var err error
	if c.calls, err = counter(cfg.Metrics); err != nil {
		return nil, fmt.Errorf("valkey: %w", err)
	}
	_ = c.connect() // tried again by mend
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	c.done.Go(func() { c.mend(background) })
	return c, nil
}

// counter answers the metric, shared by clients that share the registerer.
func counter(r prometheus.Registerer) (*prometheus.CounterVec, error) {
	made := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cache_calls_total", Help: "Questions to the cache by kind: hit, miss; trouble comes on top.",
	}, []string{"kind", "result"})
	if r == nil {
		return made, nil
	}
	err := r.Register(made)
	var twice prometheus.AlreadyRegisteredError
	if errors.As(err, &twice) {
		if held, ok := twice.ExistingCollector.(*prometheus.CounterVec); ok {
			return held, nil
		}
	}
	return made, err
}

func (c *Client) connect() error {
	conn, err := valkeygo.NewClient(valkeygo.ClientOption{
		InitAddress: []string{c.cfg.Addr}, Password: c.cfg.Password.Reveal(), ClientName: "phonebill",
		ForceSingleClient: true, DisableCache: true, AlwaysRESP2: c.cfg.Mini, DisableRetry: true,
		Dialer: net.Dialer{Timeout: dialing, KeepAlive: 15 * time.Second}, ConnWriteTimeout: dialing,
	})
	if err != nil {
		return fmt.Errorf("valkey: connect: %w", err)
	}
	c.conn.Store(&conn)
	return nil
}

// Ping tells whether the cache answers, for a readiness page.
func (c *Client) Ping(ctx context.Context) error {
	conn := c.conn.Load()
	if conn == nil {
		return errors.New("valkey: not connected")
	}
	if err := (*conn).Do(ctx, (*conn).B().Ping().Build()).Error(); err != nil {
		return fmt.Errorf("valkey: ping: %w", err)
	}
	return nil
}

// Close ends the background work and the connection. Debts are forgotten.
func (c *Client) Close() {
	c.stop()
	c.done.Wait()
	if conn := c.conn.Load(); conn != nil {
		(*conn).Close()
	}
}

// use runs one cache call within its patience. The caller's own impatience is no trouble of the cache.
func (c *Client) use(ctx context.Context, log *slog.Logger, call func(context.Context, valkeygo.Client) error) error {
	conn := c.conn.Load()
	if conn == nil || time.Now().UnixNano() < c.resume.Load() {
		return errResting
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := call(limited, *conn)
	if err == nil || ctx.Err() != nil {
		return err
	}
	now := time.Now()
	c.resume.Store(now.Add(rest).UnixNano())
	if last := c.spoke.Load(); now.UnixNano()-last > int64(quiet) && c.spoke.CompareAndSwap(last, now.UnixNano()) {
		log.WarnContext(ctx, "the cache is in trouble; answering without it", slog.Any("error", err))
	}
	return err
}

// owe notes a change that the cache has missed.
func (c *Client) owe(key, epoch string, ttl time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.owed[key]
	c.owed[key] = debt{epoch: max(epoch, held.epoch), ttl: ttl, turn: held.turn + 1}
}

// trusted tells that nothing is owed for the key.
func (c *Client) trusted(key string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, owed := c.owed[key]
	return !owed
}

// mend connects when there is no connection yet, and pays debts.
func (c *Client) mend(ctx context.Context) {
	tick := time.NewTicker(mending)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if c.conn.Load() == nil && c.connect() != nil {
				continue
			}
			c.pay(ctx)
		}
	}
}

// pay makes good what is owed, until the cache is in trouble again.
func (c *Client) pay(ctx context.Context) {
	c.mu.RLock()
	due := make(map[string]debt, len(c.owed))
	for key, d := range c.owed {
		due[key] = d
	}
	c.mu.RUnlock()
	for key, d := range due {
		err := c.use(ctx, slog.New(slog.DiscardHandler), func(ctx context.Context, conn valkeygo.Client) error {
			return dropScript.Exec(ctx, conn, []string{key}, dropArgs(d.epoch, d.ttl)).Error()
		})
		if err != nil {
			return
		}
		c.mu.Lock()
		if c.owed[key].turn == d.turn {
			delete(c.owed, key)
		}
		c.mu.Unlock()
	}
}

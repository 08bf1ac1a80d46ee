// Package valkey is the cache in front of the stores: decorators that return from Valkey (or Redis) what the store
// behind them would return, and nothing else. The stores are the truth. A slow or dead cache is a miss that costs less
// than 50 ms, never an error. Begin with Client (client.go) and NewCachedBills (copies.go).
package valkey

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	valkeygo "github.com/valkey-io/valkey-go"

	"phonebill/core/personal"
)

// Config says where the cache is: one server, or a cluster (Valkey's or Redis's own sharding, 3 masters or more).
type Config struct {
	Addr      string                // host:port; of a cluster one or more of its nodes, separated by commas
	Cluster   bool                  // the nodes are those of a cluster, which says where a key is
	Password  personal.Secret       // of the default user; empty = none
	Mini      bool                  // miniredis: RESP2, one plain connection
	Namespace string                // before every key; empty = phonebill
	Timeout   time.Duration         // of one cache call; 0 = 40 ms, so that a slow cache costs less than 50
	Metrics   prometheus.Registerer // nil = not exported

	dial func(ctx context.Context, addr string, d *net.Dialer) (net.Conn, error) // for tests: how to connect to a node
}

const (
	defaultTimeout = 40 * time.Millisecond
	// After trouble the cache is not used for a while, so that a request pays for it once; short at first, in case this
	// process was slow.
	restFirst      = 25 * time.Millisecond
	restMost       = 500 * time.Millisecond
	repairInterval = 200 * time.Millisecond // how often missed changes are applied to the cache
	warnInterval   = 10 * time.Second       // between two log lines about trouble
	dialTimeout    = time.Second
)

// errResting is returned while the cache is not used.
var errResting = errors.New("valkey: cache is being left alone")

// Client is the connection and the changes that the cache has missed. It is safe for concurrent use.
type Client struct {
	cfg       Config
	calls     *prometheus.CounterVec
	conn      atomic.Pointer[valkeygo.Client] // nil until the first connection
	restUntil [parts]atomic.Int64             // Unix ns before which a part of the cache is not used; 0 = no trouble
	fails     [parts]atomic.Int32             // rests of a part in a row
	warnedAt  atomic.Int64                    // Unix ns of the last log line about trouble
	stop      context.CancelFunc
	done      sync.WaitGroup

	mu   sync.RWMutex
	owed map[string]debt // by key
}

// debt is a change of the store that the cache has missed. Until it is applied this process does not use what the cache
// has of the key. Other processes, which may reach a cache that we do not, learn of raised epochs from the store
// (raises.go).
type debt struct {
	drop
	version uint64 // distinguishes a debt from a later one of the same key
}

// Open connects. A cache that is not reachable is no error: the client keeps trying in the background, and Ping reports
// it. Close it after the decorators' last call.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	nodes := strings.Split(cfg.Addr, ",")
	if len(nodes) > 1 && !cfg.Cluster {
		return nil, errors.New("valkey: several addresses, but no cluster")
	}
	for _, addr := range nodes {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return nil, fmt.Errorf("valkey: address: %w", err)
		}
	}
	cfg.Namespace = strings.TrimSuffix(cfg.Namespace, ":")
	if cfg.Namespace == "" {
		cfg.Namespace = "phonebill"
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	c := &Client{cfg: cfg, owed: map[string]debt{}}
	var err error
	if c.calls, err = counter(cfg.Metrics); err != nil {
		return nil, fmt.Errorf("valkey: %w", err)
	}
	_ = c.connect() // tried again by repair
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	c.done.Go(func() { c.repair(background) })
	return c, nil
}

// counter returns the metric, shared by clients that share the registerer.
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
	o := valkeygo.ClientOption{
		InitAddress: strings.Split(c.cfg.Addr, ","), Password: c.cfg.Password.Reveal(), ClientName: "phonebill",
		ForceSingleClient: !c.cfg.Cluster, DisableCache: true, AlwaysRESP2: c.cfg.Mini, DisableRetry: true,
		Dialer: net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}, ConnWriteTimeout: dialTimeout,
	}
	if c.cfg.dial != nil {
		o.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return c.cfg.dial(ctx, addr, d)
		}
	}
	conn, err := valkeygo.NewClient(o)
	if err != nil {
		return fmt.Errorf("valkey: connect: %w", err)
	}
	c.conn.Store(&conn)
	return nil
}

// Ping reports whether the cache answers, for a readiness page. Of a cluster one node is asked.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.within(ctx, dialTimeout, func(ctx context.Context, conn valkeygo.Client) (any, error) {
		return nil, conn.Do(ctx, conn.B().Ping().Build()).Error()
	})
	if err != nil {
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

// within runs one cache call until ctx is done or the limit is over. The client library respects its context while it
// waits for an answer, but not while it waits for a connection that another call is making; and when that other's
// context ends, all who share the connection fail. So a call has a context of its own, which does not end with its
// caller's.
func (c *Client) within(
	ctx context.Context, limit time.Duration, call func(context.Context, valkeygo.Client) (any, error),
) (any, error) {
	conn := c.conn.Load()
	if conn == nil {
		return nil, errNotConnected
	}
	type answer struct {
		v   any
		err error
	}
	answered := make(chan answer, 1)
	calling, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	go func() {
		defer cancel()
		v, err := call(calling, *conn)
		answered <- answer{v, err}
	}()
	select {
	case a := <-answered:
		return a.v, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-calling.Done():
	}
	select {
	case a := <-answered: // the call ended first
		return a.v, a.err
	default:
		return nil, calling.Err()
	}
}

// use runs one cache call about a key within the timeout. After trouble the key's part of the cache is not used for a
// while, then one caller tries it for all. A caller whose own context ends is no trouble of the cache.
func use[T any](
	ctx context.Context, c *Client, log *slog.Logger, key string, call func(context.Context, valkeygo.Client) (T, error),
) (v T, err error) {
	part := c.part(key)
	resume := &c.restUntil[part]
	since, now := resume.Load(), time.Now().UnixNano()
	again := now + int64(restMost)
	if since != 0 && (now < since || !resume.CompareAndSwap(since, again)) {
		return v, errResting
	}
	got, err := c.within(ctx, c.cfg.Timeout,
		func(ctx context.Context, conn valkeygo.Client) (any, error) { return call(ctx, conn) })
	switch {
	case err == nil:
		if since != 0 {
			resume.CompareAndSwap(again, 0)
			c.fails[part].Store(0)
		}
		v, _ = got.(T)
	case ctx.Err() != nil: // the result says nothing about the cache
		if since != 0 {
			resume.CompareAndSwap(again, since)
		}
	default:
		resume.Store(time.Now().Add(c.rested(part, since)).UnixNano())
		c.warn(ctx, log, err)
	}
	return v, err
}

// rested returns how long the part is not used after trouble; since is not zero when the try after the last rest
// failed.
func (c *Client) rested(part int, since int64) time.Duration {
	const most = 5 // restFirst doubled so often is more than restMost
	if since == 0 {
		return restFirst
	}
	return min(restFirst<<min(c.fails[part].Add(1), most), restMost)
}

func (c *Client) warn(ctx context.Context, log *slog.Logger, err error) {
	now := time.Now().UnixNano()
	if last := c.warnedAt.Load(); now-last > int64(warnInterval) && c.warnedAt.CompareAndSwap(last, now) {
		log.WarnContext(ctx, "the cache is in trouble; answering without it", slog.Any("error", err))
	}
}

func (c *Client) owe(key string, d drop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := c.owed[key]
	c.owed[key] = debt{drop: d.and(held.drop), version: held.version + 1}
}

func (c *Client) trusted(key string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, owed := c.owed[key]
	return !owed
}

// repair connects when there is no connection, and pays debts.
func (c *Client) repair(ctx context.Context) {
	tick := time.NewTicker(repairInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if c.conn.Load() == nil && c.connect() != nil {
				continue
			}
			c.revive(ctx)
			c.pay(ctx, slog.New(slog.DiscardHandler))
		}
	}
}

// revive reconnects where there is trouble: that may take longer than a caller's timeout, and would then never succeed.
func (c *Client) revive(ctx context.Context) {
	for n := range c.restUntil {
		if c.restUntil[n].Load() != 0 {
			_, _ = c.within(ctx, dialTimeout, func(ctx context.Context, conn valkeygo.Client) (any, error) {
				var all sync.WaitGroup
				for _, node := range conn.Nodes() {
					all.Go(func() { _ = node.Do(ctx, node.B().Ping().Build()).Error() })
				}
				all.Wait()
				return nil, nil
			})
			return
		}
	}
}

// pay applies the missed changes until the cache is in trouble again.
func (c *Client) pay(ctx context.Context, log *slog.Logger) {
	c.mu.RLock()
	due := maps.Clone(c.owed)
	c.mu.RUnlock()
	for key, d := range due {
		if c.drop(ctx, log, key, d.drop) != nil {
			continue
		}
		c.mu.Lock()
		if c.owed[key].version == d.version {
			delete(c.owed, key)
		}
		c.mu.Unlock()
	}
}

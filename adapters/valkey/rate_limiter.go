package valkey

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	valkeygo "github.com/valkey-io/valkey-go"

	"phonebill/core/personal"
	"phonebill/core/ratelimit"
	"phonebill/ports"
)

const (
	// settleInterval is how often what has passed is counted in the cache. It is short so that each trip carries few
	// callers: the requests of that moment wait while many are sent at once (docs/bench.md, S1).
	settleInterval = 10 * time.Millisecond
	sweepInterval  = 50 * time.Millisecond // how often the idle entries of one shard are dropped
	decideMargin   = 5 * time.Millisecond  // longer than a trip may take a request waits for that of another one
	tableShards    = 64
	defaultBuckets = 100_000
	senderLength   = 12 // letters and digits of base32: 60 bits, so that no two instances have the same
	evictionSample = 8  // buckets looked at to find one to drop
)

// RateLimiterConfig is what a RateLimiter needs beside its cache.
type RateLimiterConfig struct {
	Instances int                   // how many instances share the cache, for what each does without it; 0 = 1
	Secret    personal.Secret       // the key of the hash under which callers are stored; the same in all instances
	Buckets   int                   // callers remembered at a time; 0 = 100,000
	Metrics   prometheus.Registerer // nil = not exported
	Log       *slog.Logger
}

// RateLimiter implements ports.RateLimiter: a bucket per caller in this instance (ratelimit.Bucket) and a window per
// caller in the cache (rate_window.go). docs/rate-limits.md says which of them decides and why the bound holds.
type RateLimiter struct {
	client    *Client // nil: there is no cache, and each instance counts for itself
	instances int
	secret    []byte
	sender    string // of this instance's trips
	log       *slog.Logger
	shards    [tableShards]shard
	perShard  int
	trips     *prometheus.CounterVec

	mu       sync.Mutex
	toSettle []*limited
	sweeps   int // shard to be swept next
}

var _ ports.RateLimiter = (*RateLimiter)(nil)

// shard is a part of the table of callers.
type shard struct {
	mu      sync.Mutex
	callers map[limitedKey]*limited
}

// limitedKey names a caller and the window in which it is counted.
type limitedKey struct {
	caller string
	window time.Duration
}

// limited is one caller here.
type limited struct {
	key string // in the cache

	mu      sync.Mutex
	policy  ratelimit.Policy
	bucket  ratelimit.Bucket
	waiting int           // requests that wait for a trip
	trip    chan struct{} // of the trip under way, closed when it ends; nil when there is none
	listed  bool          // in toSettle
	touched time.Time
	dropped bool // from the table
}

// NewRateLimiter returns a limiter whose Run must be running. client may be nil.
func NewRateLimiter(client *Client, c RateLimiterConfig) (*RateLimiter, error) {
	if c.Buckets == 0 {
		c.Buckets = defaultBuckets
	}
	r := &RateLimiter{
		client: client, instances: max(1, c.Instances), secret: []byte(c.Secret.Reveal()), log: c.Log,
		sender:   rand.Text()[:senderLength],
		perShard: max(1, c.Buckets/tableShards),
		trips: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rate_limit_cache_trips_total",
			Help: "Trips to the cache by kind (a request waits, or in the background) and result.",
		}, []string{"kind", "result"}),
	}
	for n := range r.shards {
		r.shards[n].callers = map[limitedKey]*limited{}
	}
	if c.Metrics == nil {
		return r, nil
	}
	held := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rate_limit_buckets", Help: "Callers whose requests this instance has counted lately.",
	}, func() float64 { return float64(r.size()) })
	if err := errors.Join(c.Metrics.Register(r.trips), c.Metrics.Register(held)); err != nil {
		return nil, fmt.Errorf("valkey: %w", err)
	}
	return r, nil
}

// Take decides about one request.
func (r *RateLimiter) Take(ctx context.Context, caller string, p ratelimit.Policy) ratelimit.Decision {
	if p.Unlimited() {
		return ratelimit.Decision{OK: true, Source: ratelimit.ByLocal}
	}
	now := time.Now()
	l := r.locked(limitedKey{caller, p.Window}, now)
	defer l.mu.Unlock()
	if l.policy != p {
		l.policy = p
		l.bucket.Renew()
	}
	d, ask := l.bucket.Take(p, now, r.instances)
	if ask {
		d = r.ask(context.WithoutCancel(ctx), l, p)
	}
	r.list(l)
	return d
}

// locked returns the caller's entry, made when there is none, with its lock held.
func (r *RateLimiter) locked(key limitedKey, now time.Time) *limited {
	s := &r.shards[shardOf(key.caller)]
	for {
		s.mu.Lock()
		l, ok := s.callers[key]
		if !ok {
			if len(s.callers) >= r.perShard {
				s.evict(now)
			}
			l = &limited{key: r.keyOf(key), touched: now}
			s.callers[key] = l
		}
		s.mu.Unlock()
		l.mu.Lock()
		if !l.dropped {
			l.touched = now
			return l
		}
		l.mu.Unlock()
	}
}

func shardOf(caller string) uint32 { // FNV-1a
	h := uint32(2166136261)
	for n := range len(caller) {
		h = (h ^ uint32(caller[n])) * 16777619
	}
	return h % tableShards
}

// keyOf returns the caller's key in the cache. Windows of different length are counted apart.
func (r *RateLimiter) keyOf(key limitedKey) string {
	mac := hmac.New(sha256.New, r.secret)
	_, _ = fmt.Fprintf(mac, "rate:%s:%s", key.window, key.caller)
	namespace := ""
	if r.client != nil {
		namespace = r.client.cfg.Namespace
	}
	return namespace + ":rate:v2:{" + hex.EncodeToString(mac.Sum(nil)) + "}"
}

// evict drops the entry of a sample that was used longest ago. Requests that wait for it are still decided, and what it
// has let pass and not counted yet is still settled; only what it knew is lost. The caller holds the shard's lock, for
// which nobody waits who holds an entry's.
func (s *shard) evict(now time.Time) {
	var oldest limitedKey
	var drop *limited
	least, looked := now, 0
	for key, l := range s.callers {
		l.mu.Lock()
		if drop == nil || l.touched.Before(least) {
			oldest, drop, least = key, l, l.touched
		}
		l.mu.Unlock()
		if looked++; looked == evictionSample {
			break
		}
	}
	if drop != nil {
		drop.mu.Lock()
		drop.dropped = true
		drop.mu.Unlock()
		delete(s.callers, oldest)
	}
}

// ask decides by a trip to the cache, by that of another request of the caller, or without the cache when neither has
// come back in time. The caller holds the entry's lock.
func (r *RateLimiter) ask(ctx context.Context, l *limited, p ratelimit.Policy) ratelimit.Decision {
	l.waiting++
	defer func() { l.waiting-- }()
	var late <-chan time.Time
	for begun := time.Now(); r.client != nil && time.Since(begun) < r.client.cfg.Timeout+decideMargin; {
		var came bool
		if l.trip == nil {
			came = r.travel(ctx, l, p)
		} else {
			if late == nil {
				timer := time.NewTimer(r.client.cfg.Timeout + decideMargin)
				defer timer.Stop()
				late = timer.C
			}
			came = l.wait(late)
		}
		if !came {
			break
		}
		if d, again := l.bucket.Take(p, time.Now(), r.instances); !again {
			d.Source = ratelimit.ByCache
			return d
		}
	}
	return l.bucket.Fallback(p, time.Now(), r.instances)
}

// wait waits for the trip under way and reports whether it has ended in time.
func (l *limited) wait(late <-chan time.Time) bool {
	trip := l.trip
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-trip:
		return true
	case <-late:
		return false
	}
}

// travel makes a trip for all who wait and reports whether it has come back. The caller holds the entry's lock.
func (r *RateLimiter) travel(ctx context.Context, l *limited, p ratelimit.Policy) bool {
	trip := r.begin(l, p, time.Now(), l.waiting)
	l.mu.Unlock()
	state, err := use(ctx, r.client, r.log, l.key, func(ctx context.Context, conn valkeygo.Client) (state, error) {
		return readState(rateScript.Exec(ctx, conn, []string{l.key}, rateArguments(p, trip, 0)))
	})
	l.mu.Lock()
	l.end(p, trip, state, err)
	r.counted("request", err)
	return err == nil
}

func (r *RateLimiter) begin(l *limited, p ratelimit.Policy, now time.Time, waiting int) ratelimit.Trip {
	l.trip = make(chan struct{})
	trip := l.bucket.Begin(p, now, waiting)
	trip.Sender = r.sender
	return trip
}

func (l *limited) end(p ratelimit.Policy, t ratelimit.Trip, s state, err error) {
	if err == nil {
		l.bucket.End(p, t, ratelimit.State(s), time.Now())
	} else {
		l.bucket.Fail(t)
	}
	close(l.trip)
	l.trip = nil
}

func (r *RateLimiter) counted(kind string, err error) {
	result := "done"
	if err != nil {
		result = "trouble"
	}
	r.trips.WithLabelValues(kind, result).Inc()
}

// list puts the entry on the list of those that are settled. The caller holds its lock.
func (r *RateLimiter) list(l *limited) {
	if l.listed || r.client == nil || !l.bucket.Pending() {
		return
	}
	l.listed = true
	r.mu.Lock()
	defer r.mu.Unlock()
	r.toSettle = append(r.toSettle, l)
}

// Run settles in the background what has passed, every 10 ms, and forgets callers that were not here for a window. It
// returns when ctx is done, after it has settled once more.
func (r *RateLimiter) Run(ctx context.Context) {
	settle, sweep := time.NewTicker(settleInterval), time.NewTicker(sweepInterval)
	defer settle.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			r.settle(context.WithoutCancel(ctx))
			return
		case <-settle.C:
			r.settle(ctx)
		case <-sweep.C:
			r.sweep()
		}
	}
}

// sweep drops the idle entries of one shard.
func (r *RateLimiter) sweep() {
	r.sweeps = (r.sweeps + 1) % tableShards
	s, now := &r.shards[r.sweeps], time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, l := range s.callers {
		if !l.mu.TryLock() {
			continue // in use
		}
		if l.trip == nil && l.waiting == 0 && l.bucket.Idle(l.policy, now) {
			l.dropped = true
			delete(s.callers, key)
		}
		l.mu.Unlock()
	}
}

func (r *RateLimiter) size() (n int) {
	for i := range r.shards {
		r.shards[i].mu.Lock()
		n += len(r.shards[i].callers)
		r.shards[i].mu.Unlock()
	}
	return n
}

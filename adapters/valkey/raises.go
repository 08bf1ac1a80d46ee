package valkey

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/ports"
)

// Every instance with a cache reads the raised epochs from the store each PullEvery and writes them to the cache. So an
// epoch that was raised by an instance that could not reach the cache is known to it within PulledWithin, while any
// other instance can reach it.
const (
	PullEvery    = 500 * time.Millisecond
	PulledWithin = time.Second // PullEvery, a query of the store and a call of the cache
)

// Raises writes the epochs raised anywhere to the cache. One goroutine calls Step.
type Raises struct {
	client *Client
	feed   ports.RaisedEpochs
	log    *slog.Logger
	since  time.Time         // by the store's clock
	known  map[string]string // epochs by key, of the last successful pull
	pulled atomic.Int64      // Unix ns of the last successful pull
}

// NewRaises begins with all epochs raised while something could be cached.
func NewRaises(c *Client, feed ports.RaisedEpochs, log *slog.Logger) *Raises {
	r := &Raises{client: c, feed: feed, log: log, since: time.Now().Add(-lineTTL() - time.Hour)}
	r.pulled.Store(time.Now().UnixNano())
	if c.cfg.Metrics != nil {
		// a second Raises of a client is not measured
		_ = c.cfg.Metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "cache_epochs_age_seconds", Help: "How long ago the raised epochs were last known completely; alert above 5.",
		}, func() float64 { return time.Since(time.Unix(0, r.pulled.Load())).Seconds() }))
	}
	return r
}

// Step pulls once and writes new epochs to the cache. From then on this process does not use what the cache has of a
// line until the cache knows its epoch, however long that takes. It returns 0, so that a worker rests after it. While
// the store is not available the cache is used without new epochs (ADR 24); they are pulled afterwards.
func (r *Raises) Step(ctx context.Context) (int, error) {
	raised, asOf, err := r.feed.Raised(ctx, r.since)
	if err != nil {
		return 0, err
	}
	known := make(map[string]string, len(raised))
	for _, raise := range raised {
		key, epoch := r.client.indexKey(raise.Line), stamp(raise.Epoch)
		known[key] = epoch
		if r.known[key] != epoch {
			r.client.owe(key, drop{epoch: epoch, ttl: lineTTL()})
		}
	}
	r.known, r.since = known, asOf
	r.pulled.Store(time.Now().UnixNano())
	r.client.pay(ctx, r.log)
	return 0, nil
}

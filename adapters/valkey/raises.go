package valkey

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/ports"
)

// Every instance that has a cache asks the store each PullEvery which epochs were raised, and sees to it that the cache knows them. So an
// epoch that was raised by an instance that could not reach the cache is known to it within PulledWithin, while any other instance can.
const (
	PullEvery    = 500 * time.Millisecond
	PulledWithin = time.Second // PullEvery, an answer of the store and one of the cache
)

// Raises keeps the cache up to the epochs raised anywhere. One goroutine steps.
type Raises struct {
	client *Client
	feed   ports.RaisedEpochs
	log    *slog.Logger
	since  time.Time         // by the store's clock
	told   map[string]string // epochs by key, as the last answer told them
	pulled atomic.Int64      // Unix ns of the last good answer
}

// NewRaises begins with all that was raised while something could be cached.
func NewRaises(c *Client, feed ports.RaisedEpochs, log *slog.Logger) *Raises {
	r := &Raises{client: c, feed: feed, log: log, since: time.Now().Add(-lineTTL() - time.Hour)}
	r.pulled.Store(time.Now().UnixNano())
	if c.cfg.Metrics != nil {
		_ = c.cfg.Metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{ // a second Raises of a client is not measured
			Name: "cache_epochs_age_seconds", Help: "How long ago the raised epochs were last known completely; alert above 5.",
		}, func() float64 { return time.Since(time.Unix(0, r.pulled.Load())).Seconds() }))
	}
	return r
}

// Step pulls once and tells the cache what is new. From the moment the answer is there this process believes the cache about a line no
// more until the cache knows its epoch, however long that takes. It answers 0, so that a worker rests after it. While the store cannot be
// asked nothing is learnt, and what the cache holds is answered (ADR 24); all that was raised meanwhile is told afterwards.
func (r *Raises) Step(ctx context.Context) (int, error) {
	raised, asOf, err := r.feed.Raised(ctx, r.since)
	if err != nil {
		return 0, err
	}
	told := make(map[string]string, len(raised))
	for _, raise := range raised {
		key, epoch := r.client.indexKey(raise.Line), stamp(raise.Epoch)
		told[key] = epoch
		if r.told[key] != epoch {
			r.client.owe(key, drop{epoch: epoch, ttl: lineTTL()})
		}
	}
	r.told, r.since = told, asOf
	r.pulled.Store(time.Now().UnixNano())
	r.client.pay(ctx, r.log)
	return 0, nil
}

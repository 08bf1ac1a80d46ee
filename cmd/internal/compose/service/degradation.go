package service

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/cmd/internal/boot"
	"phonebill/core/operations"
)

const (
	// degradationInterval is how often a unit looks what is away. With the two checks in a row that an outage takes, and
	// the gateway's health check each second, the gateway knows within 2 s.
	degradationInterval = 500 * time.Millisecond
	// degradationTimeout is how long one check may take before it counts as failed.
	degradationTimeout = 400 * time.Millisecond
)

// degradation watches what a unit can go on without, and what others report to it. Its facts are added before it runs.
type degradation struct {
	log      *slog.Logger
	now      func() time.Time
	watched  []*watched
	reported []func() operations.Causes
	current  atomic.Pointer[operations.Degradation]
}

// watched is one thing that may be away.
type watched struct {
	rung   operations.Rung
	check  boot.Check
	outage operations.Outage // only look uses it
}

// DegradedWithout says on which rung the unit is while the check fails.
func (b *Builder) DegradedWithout(r operations.Rung, check boot.Check) {
	b.degradation.watched = append(b.degradation.watched, &watched{rung: r, check: check})
}

// DegradedBy adds causes that somebody else knows of; report must not block.
func (b *Builder) DegradedBy(report func() operations.Causes) {
	b.degradation.reported = append(b.degradation.reported, report)
}

// Degradation returns what is missing now. It may be called at any time, by many at once.
func (b *Builder) Degradation() operations.Degradation { return b.degradation.get() }

// watchDegradation begins to watch when the unit starts, and exports degradation_rung.
func (b *Builder) watchDegradation() {
	b.degradation = &degradation{log: b.Log, now: b.Now}
	b.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "degradation_rung",
		Help: "0 = normal, 1 = KOS away, 2 = cache away, 3 = database away, 4 = maintenance; the worst that applies.",
	}, func() float64 { return float64(b.Degradation().Causes.Rung()) }))
	b.Unit.Workers = append(b.Unit.Workers, b.degradation.run)
}

func (d *degradation) get() operations.Degradation {
	if current := d.current.Load(); current != nil {
		return *current
	}
	return operations.Degradation{}
}

func (d *degradation) run(ctx context.Context) {
	tick := time.NewTicker(degradationInterval)
	defer tick.Stop()
	for {
		d.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look checks everything at once and takes over what was found, with a line in the log when the rung has changed.
func (d *degradation) look(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, degradationTimeout)
	defer cancel()
	var checking sync.WaitGroup
	for _, w := range d.watched {
		checking.Go(func() { w.outage = w.outage.Checked(w.check(limited) != nil) })
	}
	checking.Wait()
	if ctx.Err() != nil {
		return // the unit stops: a check that was interrupted says nothing
	}
	var found operations.Causes
	for _, w := range d.watched {
		if w.outage.Away() {
			found = found.With(w.rung)
		}
	}
	for _, report := range d.reported {
		found |= report()
	}
	was := d.get()
	is := was.Become(found, d.now())
	d.current.Store(&is)
	if was.Causes.Rung() != is.Causes.Rung() {
		d.log.WarnContext(ctx, "degradation", "from", was.Causes.Rung().String(), "to", is.Causes.Rung().String(),
			"causes", is.Causes.String())
	}
}

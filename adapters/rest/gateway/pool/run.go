package pool

import (
	"context"
	"slices"
	"sync"
	"time"

	"phonebill/adapters/internal/targets"
	"phonebill/core/operations"
	"phonebill/core/upstream"
)

// refreshEvery is how often shares that grow and ejections that end are looked at.
const refreshEvery = 200 * time.Millisecond

// Run looks up the instances and checks their health until ctx is done.
func (p *Pool) Run(ctx context.Context) {
	var probing sync.WaitGroup
	defer probing.Wait()
	p.mu.Lock()
	p.spawn = func(i *instance) {
		watched, stop := context.WithCancel(ctx)
		i.remove = stop
		probing.Go(func() { p.watch(watched, i) })
	}
	for _, i := range p.all {
		p.spawn(i)
	}
	p.mu.Unlock()

	look, refresh := time.NewTicker(p.c.LookupEvery), time.NewTicker(refreshEvery)
	defer look.Stop()
	defer refresh.Stop()
	names := p.finder.HasNames()
	for {
		select {
		case <-ctx.Done():
			p.mu.Lock()
			p.spawn = nil
			p.mu.Unlock()
			return
		case <-look.C:
			if names {
				p.lookUp(ctx, upstream.Added(p.c.Now()))
			}
		case <-refresh.C:
			p.mu.Lock()
			p.refresh()
			p.mu.Unlock()
		}
	}
}

// watch checks the health of one instance until ctx is done.
func (p *Pool) watch(ctx context.Context, i *instance) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		outcome := i.probe(ctx, p.c.ProbeTimeout)
		if ctx.Err() != nil {
			return
		}
		p.probed(i, outcome)
		if outcome == upstream.ProbeFailed {
			timer.Reset(p.c.ProbeAgain)
		} else {
			timer.Reset(p.c.ProbeEvery)
		}
	}
}

// probed notes the outcome of a health check.
func (p *Pool) probed(i *instance, outcome upstream.Probe) {
	p.mu.Lock()
	was := i.known.Health
	i.known = i.known.Probed(p.c.Instance, outcome, p.c.Now())
	is := i.known.Health
	i.failing.Store(i.known.Failing())
	if is != was {
		p.refresh()
	}
	p.mu.Unlock()
	if is == was {
		return
	}
	p.c.Log.Info("health of an instance", "service", p.c.Service, "instance", i.Label(), "health", is.String())
	if is != upstream.Ready {
		i.transport.CloseIdleConnections()
	}
	if is == upstream.Down {
		i.free()
	}
}

// Causes returns what the instances go on without, as their last health checks stated: all of what any of them stated,
// those that are down left out.
func (p *Pool) Causes() (all operations.Causes) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range p.all {
		if i.known.Health != upstream.Down {
			all |= operations.Causes(i.causes.Load()) //nolint:gosec // what ParseCauses returned
		}
	}
	return all
}

// lookUp brings the instances up to date with the targets. A target whose look-up fails, or finds nothing, keeps the
// instances that it had.
func (p *Pool) lookUp(ctx context.Context, as upstream.Instance) {
	found := p.finder.Find(ctx, p.c.LookupEvery)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replace(found, as)
}

// notFound logs a target that could not be looked up.
func (p *Pool) notFound(ctx context.Context, t Target, err error) {
	p.c.Log.WarnContext(ctx, "instances are not found; those that were known are kept", "service", p.c.Service,
		"target", t.String(), "error", err)
}

// replace makes the endpoints the pool's instances: those that stay keep what is known about them. The caller holds the
// lock.
func (p *Pool) replace(wanted []targets.Endpoint, as upstream.Instance) {
	var all []*instance
	for _, e := range wanted {
		same := func(i *instance) bool { return i.Endpoint == e }
		at := slices.IndexFunc(p.all, same)
		if at >= 0 {
			all = append(all, p.all[at])
			continue
		}
		i := p.newInstance(e, as)
		all = append(all, i)
		if p.spawn != nil {
			p.spawn(i)
		}
	}
	for _, i := range p.all {
		if slices.Contains(all, i) {
			continue
		}
		if i.remove != nil {
			i.remove()
		}
		i.transport.CloseIdleConnections()
		p.metrics.forget(p.c.Service, i.Label())
	}
	p.all = all
	p.refresh()
}

package pool

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/core/upstream"
)

// Metrics counts what all pools of a gateway do. It is safe for concurrent use.
type Metrics struct {
	requests, ejections, repeats, shed *prometheus.CounterVec
	instances, breaker, inFlight       *prometheus.Desc
	limit, waiting                     *prometheus.Desc
	mu                                 sync.Mutex
	pools                              []*Pool
}

// NewMetrics registers the metrics of upstreams; it fails when the registry has them already.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gateway_upstream_" + name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("gateway_upstream_"+name, help, labels, nil)
	}
	m := &Metrics{
		requests: counter("requests_total",
			"Requests to an instance by outcome: answered, failed, or abandoned because nobody waited any more.",
			"service", "instance", "outcome"),
		ejections: counter("ejections_total", "How often an instance was ejected.", "service", "instance"),
		repeats: counter("repeats_total",
			"Requests sent to another instance: repeated, hedged, or refused because the budget was spent.",
			"service", "kind"),
		shed: counter("shed_total", "Requests refused because the service had too much to do.", "service", "priority"),
		instances: gauge("instances", "Instances of a service by state: up, ejected, not_ready, down.",
			"service", "state"),
		breaker: gauge("breaker_open", "1 while the circuit breaker of a service is open.", "service"),
		inFlight: gauge("in_flight", "Requests under way at an instance.",
			"service", "instance"),
		limit:   gauge("limit", "How many requests may be under way at a service now.", "service"),
		waiting: gauge("waiting", "Requests that wait for their turn.", "service"),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.requests, m.ejections, m.repeats, m.shed, m} {
		errs = append(errs, registry.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	return m, nil
}

func (m *Metrics) add(p *Pool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pools = append(m.pools, p)
}

// forget removes the counters of an instance that is no more.
func (m *Metrics) forget(service, instance string) {
	labels := prometheus.Labels{"service": service, "instance": instance}
	m.requests.DeletePartialMatch(labels)
	m.ejections.DeletePartialMatch(labels)
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.instances, m.breaker, m.inFlight, m.limit, m.waiting} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, p := range m.pools {
		s := p.Snapshot()
		in := map[upstream.State]int{}
		for _, i := range s.Instances {
			in[i.State]++
			gauge(m.inFlight, float64(i.InFlight), s.Service, i.Address)
		}
		for _, state := range upstream.States() {
			gauge(m.instances, float64(in[state]), s.Service, string(state))
		}
		open := 0.0
		if s.Breaker.Open {
			open = 1
		}
		gauge(m.breaker, open, s.Service)
		gauge(m.limit, float64(s.Limit), s.Service)
		gauge(m.waiting, float64(s.Waiting), s.Service)
	}
}

// Snapshot is the state of a pool at one time.
type Snapshot struct {
	Service   string
	Breaker   BreakerState
	Limit     int // requests that may be under way; long polls take no place
	InFlight  int // requests that have a place
	Waiting   int // requests that wait for their turn
	Instances []InstanceState
}

// BreakerState is the state of the circuit breaker of a service.
type BreakerState struct {
	Open     bool
	Failures int       // requests in a row that no instance answered
	Since    time.Time // of the state
	RetryAt  time.Time // when the next trial may be made; zero while it is closed
}

// InstanceState is the state of one instance.
type InstanceState struct {
	Address  string
	State    upstream.State
	InFlight int64     // requests under way, long polls included
	Failures int       // requests in a row that it did not answer
	Since    time.Time // of the state
}

// Snapshot returns the state of the pool now.
func (p *Pool) Snapshot() Snapshot { return p.snapshot(p.c.Now()) }

func (p *Pool) snapshot(now time.Time) Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Snapshot{
		Service: p.c.Service, Limit: p.load.Limit(), InFlight: p.load.Running(), Waiting: p.load.Waiting(),
		Breaker: BreakerState{p.breaker.Open(), p.breaker.Failures(), p.since, p.breaker.RetryAt()},
	}
	for _, i := range p.all {
		i.note(now)
		s.Instances = append(s.Instances, InstanceState{
			i.Label(), i.state, i.inFlight.Load(), i.known.Failures(), i.since,
		})
	}
	return s
}

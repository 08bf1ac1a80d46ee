package compose

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/adapters/internalclient"
	"phonebill/cmd/internal/boot"
	"phonebill/core/freshness"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/core/quota"
	"phonebill/core/staff/cases"
	"phonebill/ports"
)

// What the services are called in logs, metrics and /ops.
const (
	billService    = "bill-inquiry"
	productService = "product-change"
)

// Instances are the instances of the services that staff look at, by the origins of their internal listeners.
type Instances struct{ Bill, Product []string }

// ReadInstances reads BILL_INTERNAL_URLS and PRODUCT_INTERNAL_URLS, lists separated by commas; an instance that is not named there is not
// shown.
func ReadInstances(r *boot.Reader) Instances {
	return Instances{
		Bill:    r.List("BILL_INTERNAL_URLS", "http://"+host+"9082"),
		Product: r.List("PRODUCT_INTERNAL_URLS", "http://"+host+"9083"),
	}
}

// Overview wires what staff see of the running system. token is what all services share.
func Overview(i Instances, token personal.Secret, report ports.Report) (*cases.Overview, error) {
	link, err := linkTo(i, token)
	if err != nil {
		return nil, err
	}
	return &cases.Overview{Instances: link, Report: report}, nil
}

func linkTo(i Instances, token personal.Secret) (*internalclient.Services, error) {
	return internalclient.NewServices(token, internalclient.Service{Name: billService, Origins: i.Bill},
		internalclient.Service{Name: productService, Origins: i.Product})
}

// watched is what a service knows of itself, for staff (/ops) and for the metrics. All of it may be nil.
type watched struct {
	breakers func() []operations.Breaker
	quota    func(context.Context) operations.Quota
	caches   []tallied
}

// tallied are the lookups of one kind. A kind may be there more than once.
type tallied struct {
	kind  freshness.Kind
	tally *freshness.Tally
}

// watch adds what is watched to the internal API and to the metrics.
func (p *parts) watch(w watched) {
	p.internal.Status = func(ctx context.Context) operations.Status { return w.status(ctx, p.unit.Name) }
	p.registry.MustRegister(newGauges(w))
}

func (w watched) status(ctx context.Context, service string) operations.Status {
	s := operations.Status{Service: service, Caches: w.lookups(), Quota: w.budget(ctx)}
	if w.breakers != nil {
		s.Breakers = w.breakers()
	}
	return s
}

func (w watched) lookups() []operations.Cache {
	all := make([]operations.Cache, len(w.caches))
	for i, c := range w.caches {
		all[i] = operations.Cache{Kind: c.kind, Counts: c.tally.Counts()}
	}
	return operations.ByKind(all)
}

// ledgerWithin is how long the ledger may take to answer: less than the gateway waits for all of it, so that the breakers are seen also
// when the database hangs.
const ledgerWithin = 500 * time.Millisecond

func (w watched) budget(ctx context.Context) *operations.Quota {
	if w.quota == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerWithin)
	defer cancel()
	q := w.quota(ctx)
	return &q
}

// gauges tells Prometheus of what is watched. It asks when it is scraped, so nothing is paid for while nobody looks.
type gauges struct {
	watched
	looked, budgeted, used, waiting, eta, ledger *prometheus.Desc
}

func newGauges(w watched) gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return gauges{
		watched: w,
		looked: desc("phonebill_lookups_total",
			"Questions for a copy, by kind and by how they were answered; stale and coalesced are no hits.", "kind", "result"),
		budgeted: desc("phonebill_kos_budget", "Calls to KOS per window in force now, over all instances. Absent while the ledger is away."),
		used:     desc("phonebill_kos_used", "Calls to KOS within the last 60 s, over all instances. Absent while the ledger is away.", "lane"),
		waiting:  desc("phonebill_kos_waiting", "Callers of this instance who wait for a call to KOS.", "lane"),
		eta:      desc("phonebill_kos_eta_seconds", "When one more caller of this instance would have his call.", "lane"),
		ledger:   desc("phonebill_kos_ledger_available", "1 = this instance can ask the ledger of calls to KOS; 0 = it spends its floor alone."),
	}
}

// Describe implements prometheus.Collector.
func (g gauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.looked, g.budgeted, g.used, g.waiting, g.eta, g.ledger} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(to chan<- prometheus.Metric) {
	count := func(n int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(g.looked, prometheus.CounterValue, float64(n), labels...)
	}
	for _, c := range g.lookups() {
		kind := string(c.Kind)
		count(c.Counts.Hits, kind, "hit")
		count(c.Counts.Stale, kind, "stale")
		count(c.Counts.Misses, kind, "miss")
		count(c.Counts.Coalesced, kind, "coalesced")
	}
	if q := g.budget(context.Background()); q != nil {
		g.collect(*q, to)
	}
}

func (g gauges) collect(q operations.Quota, to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, lane := range quota.Lanes() {
		gauge(g.waiting, float64(q.Waiting[lane]), lane.String())
		gauge(g.eta, q.ETA[lane].Seconds(), lane.String())
	}
	if !q.Ledger {
		gauge(g.ledger, 0)
		return
	}
	gauge(g.ledger, 1)
	for _, lane := range quota.Lanes() {
		gauge(g.used, float64(q.Spent[lane]), lane.String())
	}
	if q.Window.IsUnlimited() {
		gauge(g.budgeted, math.Inf(1))
		return
	}
	gauge(g.budgeted, float64(q.Budget))
}

// watched is what there is to know of the link to KOS, and of the lookups in front of it.
func (o outside) watched(caches ...tallied) watched {
	return watched{
		caches:   caches,
		breakers: func() []operations.Breaker { return append(o.kos.Breakers(), o.ap.Breaker()) },
		quota: func(ctx context.Context) operations.Quota {
			q := o.quota.Usage(ctx)
			q.Waiting, q.ETA = o.kos.Waiting()
			return q
		},
	}
}

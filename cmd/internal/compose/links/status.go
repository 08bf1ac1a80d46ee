package links

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/cmd/internal/compose/service"
	"phonebill/core/freshness"
	"phonebill/core/operations"
	"phonebill/core/quota"
)

// status is what a service knows of its links, for staff (/ops) and for the metrics. All of it may be nil.
type status struct {
	breakers func() []operations.Breaker
	quota    func(context.Context) operations.Quota
	lookups  []Lookups
}

// Lookups are the lookups of copies of one kind. A kind may be there more than once.
type Lookups struct {
	Kind  freshness.Kind
	Tally *freshness.Tally
}

// ReportStatus adds the state of the links, and of the lookups in front of them, to the internal API and to the
// metrics.
func (l *Links) ReportStatus(lookups ...Lookups) {
	report(l.b, status{
		lookups:  lookups,
		breakers: func() []operations.Breaker { return append(l.KOS.Breakers(), l.AP.Breaker()) },
		quota: func(ctx context.Context) operations.Quota {
			q := l.quota.Usage(ctx)
			q.Waiting, q.ETA = l.KOS.Waiting()
			return q
		},
	})
}

func report(b *service.Builder, s status) {
	b.Internal.Status = func(ctx context.Context) operations.Status {
		var own operations.Status
		var asked sync.WaitGroup
		asked.Go(func() { own = b.Status(ctx) })
		all := s.of(ctx, b.Unit.Name)
		asked.Wait()
		all.Process = own.Process
		return all
	}
	b.Registry.MustRegister(newGauges(s))
}

func (s status) of(ctx context.Context, service string) operations.Status {
	all := operations.Status{Service: service, Caches: s.caches(), Quota: s.budget(ctx)}
	if s.breakers != nil {
		all.Breakers = s.breakers()
	}
	return all
}

func (s status) caches() []operations.Cache {
	all := make([]operations.Cache, len(s.lookups))
	for i, l := range s.lookups {
		all[i] = operations.Cache{Kind: l.Kind, Counts: l.Tally.Counts()}
	}
	return operations.ByKind(all)
}

// ledgerTimeout bounds the question to the ledger: it is less than the gateway waits for the whole status, so that the
// breakers are seen also when the database hangs.
const ledgerTimeout = 500 * time.Millisecond

func (s status) budget(ctx context.Context) *operations.Quota {
	if s.quota == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	q := s.quota(ctx)
	return &q
}

// gauges reports a status to Prometheus. It is collected when it is scraped and costs nothing otherwise.
type gauges struct {
	status
	looked, budgeted, used, waiting, eta, ledger, floor, leased *prometheus.Desc
}

func newGauges(s status) gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return gauges{
		status: s,
		looked: desc("phonebill_lookups_total",
			"Questions for a copy, by kind and by how they were answered; stale and coalesced are no hits.", "kind", "result"),
		budgeted: desc("phonebill_kos_budget",
			"Calls to KOS per window in force now, over all instances. Absent while the ledger is away."),
		used: desc("phonebill_kos_used",
			"Calls to KOS within the last 60 s, over all instances. Absent while the ledger is away.", "lane"),
		waiting: desc("phonebill_kos_waiting", "Callers of this instance who wait for a call to KOS.", "lane"),
		eta:     desc("phonebill_kos_eta_seconds", "When one more caller of this instance would have a call.", "lane"),
		ledger: desc("phonebill_kos_ledger_available",
			"1 = this instance can ask the ledger of calls to KOS; 0 = it spends the floor that it holds."),
		floor: desc("phonebill_kos_floor_lease",
			"1 = this instance holds the lease of a floor; 0 = it calls nothing while the ledger is away. "+
				"Absent without a limit."),
		leased: desc("phonebill_kos_floors_leased",
			"Calls to KOS per window of all floors that are leased. Absent while the ledger is away."),
	}
}

// Describe implements prometheus.Collector.
func (g gauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.looked, g.budgeted, g.used, g.waiting, g.eta, g.ledger, g.floor, g.leased} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(to chan<- prometheus.Metric) {
	count := func(n int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(g.looked, prometheus.CounterValue, float64(n), labels...)
	}
	for _, c := range g.caches() {
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
	if !q.Window.IsUnlimited() {
		gauge(g.floor, float64(min(1, q.Floor.Calls)))
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
	gauge(g.leased, float64(q.Leased))
}

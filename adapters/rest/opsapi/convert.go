package opsapi

import (
	"strings"

	"phonebill/adapters/rest"
	gen "phonebill/adapters/rest/internal/opsgen"
	"phonebill/core/freshness"
	"phonebill/core/operations"
	"phonebill/core/quota"
)

func toBreakers(all []operations.Answer) gen.CircuitBreakersData {
	data := gen.CircuitBreakersData{Instances: []gen.InstanceBreakers{}, Unreachable: toUnreachable(all)}
	for _, a := range operations.Reached(all) {
		row := gen.InstanceBreakers{Service: a.Service, Instance: a.Name, Breakers: []gen.Breaker{}}
		for _, b := range a.Status.Breakers {
			row.Breakers = append(row.Breakers, toBreaker(b))
		}
		data.Instances = append(data.Instances, row)
	}
	return data
}

func toBreaker(b operations.Breaker) gen.Breaker {
	return gen.Breaker{
		Name: b.Name, State: gen.BreakerState(b.State), Failures: b.Failures, Since: b.Since,
		RetryAt: rest.OptionalTime(b.RetryAt),
	}
}

func toQuota(all []operations.Answer) gen.KosQuotaData {
	data := gen.KosQuotaData{Instances: []gen.InstanceQueue{}, Unreachable: toUnreachable(all)}
	if q := operations.Ledger(all); q != nil {
		data.Ledger = toLedger(*q)
	}
	for _, a := range operations.Reached(all) {
		if q := a.Status.Quota; q != nil {
			row := gen.InstanceQueue{Service: a.Service, Instance: a.Name, LedgerAvailable: q.Ledger, Waiting: q.Queued()}
			if q.Floor.Calls > 0 {
				row.Floor = &gen.HeldFloor{Calls: q.Floor.Calls, Until: q.Floor.Until}
			}
			for _, lane := range quota.Lanes() {
				row.Lanes = append(row.Lanes, gen.LaneQueue{
					Lane: gen.Lane(lane.String()), Waiting: q.Waiting[lane], EtaSeconds: q.ETA[lane].Seconds(),
				})
			}
			data.Instances = append(data.Instances, row)
		}
	}
	return data
}

func toLedger(q operations.Quota) *gen.KosLedger {
	out := &gen.KosLedger{Available: q.Ledger, Limited: !q.Window.IsUnlimited(), WindowSeconds: q.Window.Per.Seconds()}
	if out.Limited {
		out.FullBudget = new(q.Window.Budget)
	}
	if !q.Ledger {
		return out
	}
	if out.Limited {
		out.Budget, out.LeasedFloors = new(q.Budget), new(q.Leased)
	}
	out.Used, out.SqueezedUntil = new(q.Used()), rest.OptionalTime(q.Squeezed)
	for _, lane := range quota.Lanes() {
		out.Lanes = append(out.Lanes, gen.LaneUse{
			Lane: gen.Lane(lane.String()), Used: q.Spent[lane], Reserved: q.Window.Reserve[lane],
		})
	}
	return out
}

func toCache(all []operations.Answer) gen.CacheData {
	data := gen.CacheData{Instances: []gen.InstanceCache{}, Unreachable: toUnreachable(all)}
	data.Total, data.Months = toCounts(operations.Total(all))
	for _, a := range operations.Reached(all) {
		row := gen.InstanceCache{Service: a.Service, Instance: a.Name}
		row.Kinds, row.Months = toCounts(a.Status.Caches)
		data.Instances = append(data.Instances, row)
	}
	return data
}

// toCounts keeps the copies of months apart: clients know the kinds of the others as a closed set.
func toCounts(caches []operations.Cache) (kinds []gen.CacheCounts, months *gen.MonthsCounts) {
	kinds = []gen.CacheCounts{}
	for _, c := range caches {
		n := c.Counts
		if c.Kind == freshness.Months {
			months = &gen.MonthsCounts{
				Hits: n.Hits, Stale: n.Stale, Misses: n.Misses, Coalesced: n.Coalesced, HitRate: n.HitRate(),
			}
			continue
		}
		kinds = append(kinds, gen.CacheCounts{
			Kind: gen.CacheKind(c.Kind), Hits: n.Hits, Stale: n.Stale, Misses: n.Misses, Coalesced: n.Coalesced,
			HitRate: n.HitRate(),
		})
	}
	return kinds, months
}

func toInstances(all []operations.Answer) gen.InstancesData {
	data := gen.InstancesData{
		Services: []gen.ServiceInstances{}, Instances: []gen.Instance{}, Unreachable: toUnreachable(all),
	}
	for _, f := range operations.Fleets(all) {
		row := gen.ServiceInstances{
			Service: f.Service, Found: f.Found(), Ready: f.Ready, NotReady: f.NotReady, Draining: f.Draining,
			Unknown: f.Unknown, Unreachable: f.Unreachable, Releases: f.Releases,
		}
		if row.Releases == nil {
			row.Releases = []string{}
		}
		data.Services = append(data.Services, row)
	}
	for _, a := range operations.Reached(all) {
		row := gen.Instance{Service: a.Service, Instance: a.Name}
		if p := a.Status.Process; p != (operations.Process{}) {
			row.Release, row.StartedAt, row.UptimeSeconds = new(p.Release), rest.OptionalTime(p.Started), new(p.Uptime.Seconds())
			row.Readiness = new(gen.Readiness(p.Readiness))
		}
		data.Instances = append(data.Instances, row)
	}
	return data
}

func toUpstreams(all []operations.Answer) gen.UpstreamsData {
	data := gen.UpstreamsData{
		Services: []gen.UpstreamSum{}, Gateways: []gen.GatewayUpstreams{}, Unreachable: toUnreachable(all),
	}
	for _, s := range operations.SumUpstreams(all) {
		data.Services = append(data.Services, gen.UpstreamSum{
			Service: s.Service, Gateways: s.Gateways, BreakersOpen: s.BreakersOpen, InFlight: s.InFlight, Waiting: s.Waiting,
			Best: toUpstreamCounts(s.Best), Worst: toUpstreamCounts(s.Worst),
		})
	}
	for _, a := range operations.Reached(all) {
		row := gen.GatewayUpstreams{Instance: a.Name, Upstreams: []gen.Upstream{}}
		for _, u := range a.Status.Upstreams {
			row.Upstreams = append(row.Upstreams, toUpstream(u))
		}
		data.Gateways = append(data.Gateways, row)
	}
	return data
}

func toUpstreamCounts(c operations.StateCounts) gen.UpstreamCounts {
	return gen.UpstreamCounts{Up: c.Up, Ejected: c.Ejected, NotReady: c.NotReady, Down: c.Down}
}

func toUpstream(u operations.Upstream) gen.Upstream {
	row := gen.Upstream{
		Service: u.Service, Breaker: toBreaker(u.Breaker), Limit: u.Limit, InFlight: u.InFlight, Waiting: u.Waiting,
		Instances: []gen.UpstreamInstance{},
	}
	for _, i := range u.Instances {
		row.Instances = append(row.Instances, gen.UpstreamInstance{
			Instance: i.Name, State: gen.UpstreamState(strings.ToUpper(string(i.State))), InFlight: i.InFlight,
			Failures: i.Failures, Since: i.Since,
		})
	}
	return row
}

func toUnreachable(all []operations.Answer) []gen.UnreachableInstance {
	out := []gen.UnreachableInstance{}
	for _, a := range operations.Unreached(all) {
		out = append(out, gen.UnreachableInstance{
			Service: a.Service, Instance: a.Name, Reason: toReason(a.Trouble), Message: a.Trouble.Message(),
			GoneSince: rest.OptionalTime(a.GoneSince),
		})
	}
	return out
}

// toReason maps an instance that has gone to one without a connection, since clients know the reasons as a closed set;
// goneSince tells the two apart.
func toReason(t operations.Trouble) gen.UnreachableReason {
	if t == operations.Gone {
		t = operations.NoConnection
	}
	return gen.UnreachableReason(t)
}

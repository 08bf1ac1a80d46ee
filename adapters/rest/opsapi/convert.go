package opsapi

import (
	"phonebill/adapters/rest"
	gen "phonebill/adapters/rest/internal/opsgen"
	"phonebill/core/operations"
	"phonebill/core/quota"
)

func toBreakers(all []operations.Answer) gen.CircuitBreakersData {
	data := gen.CircuitBreakersData{Instances: []gen.InstanceBreakers{}, Unreachable: toUnreachable(all)}
	for _, a := range operations.Reached(all) {
		row := gen.InstanceBreakers{Service: a.Service, Instance: a.Name, Breakers: []gen.Breaker{}}
		for _, b := range a.Status.Breakers {
			row.Breakers = append(row.Breakers, gen.Breaker{
				Name: b.Name, State: gen.BreakerState(b.State), Failures: b.Failures, Since: b.Since,
				RetryAt: rest.OptionalTime(b.RetryAt),
			})
		}
		data.Instances = append(data.Instances, row)
	}
	return data
}

func toQuota(all []operations.Answer) gen.KosQuotaData {
	data := gen.KosQuotaData{Instances: []gen.InstanceQueue{}, Unreachable: toUnreachable(all)}
	if q := operations.Ledger(all); q != nil {
		data.Ledger = toLedger(*q)
	}
	for _, a := range operations.Reached(all) {
		if q := a.Status.Quota; q != nil {
			row := gen.InstanceQueue{Service: a.Service, Instance: a.Name, LedgerAvailable: q.Ledger, Waiting: q.Queued()}
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
		out.Budget = new(q.Budget)
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
	data := gen.CacheData{
		Total: toCounts(operations.Total(all)), Instances: []gen.InstanceCache{}, Unreachable: toUnreachable(all),
	}
	for _, a := range operations.Reached(all) {
		data.Instances = append(data.Instances, gen.InstanceCache{
			Service: a.Service, Instance: a.Name, Kinds: toCounts(a.Status.Caches),
		})
	}
	return data
}

func toCounts(caches []operations.Cache) []gen.CacheCounts {
	out := make([]gen.CacheCounts, len(caches))
	for i, c := range caches {
		out[i] = gen.CacheCounts{
			Kind: gen.CacheKind(c.Kind), Hits: c.Counts.Hits, Stale: c.Counts.Stale, Misses: c.Counts.Misses,
			Coalesced: c.Counts.Coalesced, HitRate: c.Counts.HitRate(),
		}
	}
	return out
}

func toUnreachable(all []operations.Answer) []gen.UnreachableInstance {
	out := []gen.UnreachableInstance{}
	for _, a := range operations.Unreached(all) {
		out = append(out, gen.UnreachableInstance{
			Service: a.Service, Instance: a.Name, Reason: gen.UnreachableReason(a.Trouble), Message: a.Trouble.Message(),
		})
	}
	return out
}

package internalapi

import (
	gen "phonebill/adapters/rest/internal/internalgen"
	"phonebill/core/auth"
	"phonebill/core/delivery"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/core/staff"
	"phonebill/core/timeline"
)

// convertAll converts a list; the result is never nil, so that it is not null in JSON.
func convertAll[From, To any](list []From, convert func(From) To) []To {
	out := make([]To, len(list))
	for i, v := range list {
		out[i] = convert(v)
	}
	return out
}

func toRevocations(feed auth.Feed) gen.Revocations {
	out := gen.Revocations{
		AsOf: feed.AsOf, Keys: feed.KeyIDs, Sessions: []gen.RevokedSession{}, Users: []gen.RaisedEpoch{},
	}
	for _, v := range feed.Revocations {
		if v.UserID != "" {
			out.Users = append(out.Users, gen.RaisedEpoch{UserID: string(v.UserID), Epoch: v.Epoch, At: v.At})
			continue
		}
		out.Sessions = append(out.Sessions, gen.RevokedSession{Sid: v.SessionID, At: v.At, Why: string(v.Why)})
	}
	return out
}

func toStatus(s operations.Status) gen.Status {
	out := gen.Status{
		Service: s.Service, Breakers: convertAll(s.Breakers, toBreaker), Caches: convertAll(s.Caches, toCache),
	}
	if s.Quota != nil {
		out.Quota = new(toQuota(*s.Quota))
	}
	if p := s.Process; p != (operations.Process{}) {
		out.Process = gen.Process{
			ID: p.ID, Release: p.Release, StartedAt: p.Started, UptimeSeconds: p.Uptime.Seconds(),
			Readiness: string(p.Readiness),
		}
	}
	if len(s.Upstreams) > 0 {
		out.Upstreams = convertAll(s.Upstreams, toUpstream)
	}
	return out
}

func toUpstream(u operations.Upstream) gen.Upstream {
	return gen.Upstream{
		Service: u.Service, Breaker: toBreaker(u.Breaker), Limit: u.Limit, InFlight: u.InFlight, Waiting: u.Waiting,
		Instances: convertAll(u.Instances, func(i operations.UpstreamInstance) gen.UpstreamInstance {
			return gen.UpstreamInstance{
				Instance: i.Name, State: string(i.State), InFlight: i.InFlight, Failures: i.Failures, Since: i.Since,
			}
		}),
	}
}

func toBreaker(b operations.Breaker) gen.Breaker {
	return gen.Breaker{Name: b.Name, State: string(b.State), Failures: b.Failures, Since: b.Since, RetryAt: b.RetryAt}
}

func toCache(c operations.Cache) gen.Cache {
	return gen.Cache{
		Kind: string(c.Kind), Hits: c.Counts.Hits, Stale: c.Counts.Stale, Misses: c.Counts.Misses,
		Coalesced: c.Counts.Coalesced,
	}
}

func toQuota(q operations.Quota) gen.Quota {
	eta := map[string]float64{}
	for _, lane := range quota.Lanes() {
		eta[lane.String()] = q.ETA[lane].Seconds()
	}
	out := gen.Quota{
		Budget: q.Budget, FullBudget: q.Window.Budget, WindowSeconds: q.Window.Per.Seconds(),
		Reserved: perLane(q.Window.Reserve), SqueezedUntil: q.Squeezed, Ledger: q.Ledger,
		Spent: perLane(q.Spent), Waiting: perLane(q.Waiting), EtaSeconds: eta,
		Leased: q.Leased,
	}
	if q.Floor.Calls > 0 {
		out.Floor = &gen.Floor{Calls: q.Floor.Calls, Until: q.Floor.Until}
	}
	return out
}

func perLane(shares quota.Shares) gen.PerLane {
	named := gen.PerLane{}
	for _, lane := range quota.Lanes() {
		named[lane.String()] = shares[lane]
	}
	return named
}

func toDeliveryFilter(p gen.ListDeliveriesParams) (delivery.Filter, error) {
	f := delivery.Filter{Page: p.Page, Size: p.Size}
	if p.State != nil {
		f.State = delivery.State(*p.State)
	}
	if p.Since != nil {
		f.Since = *p.Since
	}
	return f, f.Check()
}

func toDelivery(d delivery.Listed) gen.Delivery {
	return gen.Delivery{
		ID: d.ID, Kind: string(d.Kind), Line: d.Line, State: string(d.State), Sequence: d.Sequence, Attempts: d.Attempts,
		FinalAt: d.FinalAt, NextAt: d.NextAt, DeliveredAt: d.DeliveredAt, ReplayedAt: d.ReplayedAt,
		Last: convertAll(d.Last, func(m delivery.AttemptRecord) gen.DeliveryAttempt {
			return gen.DeliveryAttempt{At: m.At, State: string(m.State), Note: m.Note}
		}),
	}
}

func toTimeline(s timeline.Timeline) gen.Timeline {
	return gen.Timeline{
		Kind: string(s.Kind), Line: s.Line, Status: s.Status, NextAt: s.NextAt,
		Missing: convertAll(s.Missing, func(g timeline.Gap) string { return string(g) }),
		Events: convertAll(s.Events, func(e timeline.Event) gen.TimelineEvent {
			return gen.TimelineEvent{At: e.At, Source: string(e.Source), What: string(e.Type), Text: e.Text, Facts: e.Facts}
		}),
	}
}

func toRequestFilter(q gen.RequestFilter, kind staff.Kind) (f staff.Filter, err error) {
	f = staff.Filter{UserID: auth.UserID(q.UserID), State: q.State, TraceID: q.TraceID, Page: q.Page, Size: q.Size}
	if q.Line != "" {
		if f.Line, err = line.Parse(q.Line); err != nil {
			return f, err
		}
	}
	if err := checkPage(q.Page, q.Size); err != nil {
		return f, err
	}
	return f, f.Check(kind)
}

func toRequest(r staff.Request) gen.Request {
	return gen.Request{
		ID: r.ID, Kind: string(r.Kind), UserID: string(r.UserID), Line: r.Line, State: r.State, Subject: r.Subject,
		RequestedAt: r.RequestedAt, ProcessedAt: r.ProcessedAt, NextAt: r.NextAt, Code: r.Code, TraceID: r.TraceID,
		Cancellable: r.Cancellable,
	}
}

func toParkedChange(o product.ParkedOrder) gen.ParkedChange {
	out := gen.ParkedChange{
		ID: o.ID, TransactionID: o.TransactionID, Line: o.Line, From: o.From, To: o.To,
		EffectiveDate: o.EffectiveDate.String(), RequestedAt: o.RequestedAt, ParkedAt: o.ParkedAt, Sends: o.Sends,
		Reconciles: o.Reconciles, KosOrder: o.KOSOrder,
	}
	if p := o.Proposal; p != (product.Resolution{}) {
		out.Proposal = &gen.Resolution{Outcome: string(p.Outcome), Reason: p.Reason, By: string(p.By), At: p.At}
	}
	return out
}

func toReconciliation(r product.ReconciliationReport) gen.Reconciliation {
	return gen.Reconciliation{
		ID: r.Run.ID, Nightly: r.Run.Nightly, From: r.Run.From, To: r.Run.To, StartedAt: r.Run.StartedAt,
		FinishedAt: r.Run.Finished, ReachedAt: r.Run.Reached.At, Checked: r.Run.Checked, Asked: r.Run.Asked,
		Undecided: r.Run.Undecided, Unasked: r.Run.Unasked, Found: r.Run.Found,
		Differences: convertAll(r.Differences, func(d product.Difference) gen.Difference {
			return gen.Difference{RequestID: d.RequestID, Line: d.Line, Kind: string(d.Kind), Found: d.Found, Text: d.Text}
		}),
	}
}

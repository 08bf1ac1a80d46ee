package internalclient

import (
	"errors"

	gen "phonebill/adapters/internalclient/internal/internalgen"
	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/core/staff"
	"phonebill/core/timeline"
	"phonebill/core/upstream"
)

// convertAll converts a list; an empty one is nil.
func convertAll[From, To any](list []From, convert func(From) To) []To {
	var out []To
	for _, v := range list {
		out = append(out, convert(v))
	}
	return out
}

// convertPage converts the items of a page; SERVICE_UNAVAILABLE when one cannot be read.
func convertPage[From, To any](items []From, total int, convert func(From) (To, error)) ([]To, int, error) {
	out := make([]To, len(items))
	for i, item := range items {
		var err error
		if out[i], err = convert(item); err != nil {
			return nil, 0, unavailable(badAnswer(err))
		}
	}
	return out, total, nil
}

func fromRevocations(r gen.Revocations) (auth.Feed, error) {
	out := auth.Feed{AsOf: r.AsOf, KeyIDs: r.Keys}
	for _, s := range r.Sessions {
		sid, err := id.Parse(s.Sid)
		if err != nil {
			return auth.Feed{}, badAnswer(err)
		}
		out.Revocations = append(out.Revocations, auth.Revocation{SessionID: sid, At: s.At, Why: auth.EndReason(s.Why)})
	}
	for _, u := range r.Users {
		user, err := auth.ParseUserID(u.UserID)
		if err != nil {
			return auth.Feed{}, badAnswer(err)
		}
		out.Revocations = append(out.Revocations, auth.Revocation{UserID: user, Epoch: u.Epoch, At: u.At})
	}
	return out, nil
}

func fromServiceKeys(r gen.ServiceKeys) ([]auth.ServiceKey, error) {
	var out []auth.ServiceKey
	for _, k := range r.Keys {
		if len(k.Hash) != len(auth.KeyHash{}) || k.Service == "" {
			return nil, badAnswer(errors.New("a key of a service is incomplete"))
		}
		out = append(out, auth.ServiceKey{Hash: auth.KeyHash(k.Hash), Service: k.Service})
	}
	return out, nil
}

func fromStatus(s gen.Status) operations.Status {
	out := operations.Status{
		Service: s.Service, Breakers: convertAll(s.Breakers, fromBreaker), Caches: convertAll(s.Caches, fromCache),
	}
	if s.Quota != nil {
		out.Quota = new(fromQuota(*s.Quota))
	}
	if p := s.Process; p != (gen.Process{}) {
		out.Process = operations.Process{
			ID: p.ID, Release: p.Release, Started: p.StartedAt, Uptime: seconds(p.UptimeSeconds),
			Readiness: operations.Readiness(p.Readiness),
		}
	}
	out.Upstreams = convertAll(s.Upstreams, fromUpstream)
	return out
}

func fromUpstream(u gen.Upstream) operations.Upstream {
	return operations.Upstream{
		Service: u.Service, Breaker: fromBreaker(u.Breaker), Limit: u.Limit, InFlight: u.InFlight, Waiting: u.Waiting,
		Instances: convertAll(u.Instances, func(i gen.UpstreamInstance) operations.UpstreamInstance {
			return operations.UpstreamInstance{
				Name: i.Instance, State: upstream.State(i.State), InFlight: i.InFlight, Failures: i.Failures, Since: i.Since,
			}
		}),
	}
}

func fromBreaker(b gen.Breaker) operations.Breaker {
	return operations.Breaker{
		Name: b.Name, State: operations.BreakerState(b.State), Failures: b.Failures, Since: b.Since, RetryAt: b.RetryAt,
	}
}

func fromCache(c gen.Cache) operations.Cache {
	return operations.Cache{Kind: freshness.Kind(c.Kind), Counts: freshness.Counts{
		Hits: c.Hits, Stale: c.Stale, Misses: c.Misses, Coalesced: c.Coalesced,
	}}
}

// fromQuota leaves out lanes that this release does not know.
func fromQuota(q gen.Quota) operations.Quota {
	out := operations.Quota{
		Window: quota.Window{Budget: q.FullBudget, Per: seconds(q.WindowSeconds), Reserve: shares(q.Reserved)},
		Budget: q.Budget, Squeezed: q.SqueezedUntil, Ledger: q.Ledger, Spent: shares(q.Spent), Waiting: shares(q.Waiting),
		Leased: q.Leased,
	}
	if q.Floor != nil {
		out.Floor = operations.Floor{Calls: q.Floor.Calls, Until: q.Floor.Until}
	}
	for _, lane := range quota.Lanes() {
		out.ETA[lane] = seconds(q.EtaSeconds[lane.String()])
	}
	return out
}

func shares(named gen.PerLane) (s quota.Shares) {
	for _, lane := range quota.Lanes() {
		s[lane] = named[lane.String()]
	}
	return s
}

func fromDelivery(d gen.Delivery) (delivery.Listed, error) {
	event, err := id.Parse(d.ID)
	return delivery.Listed{
		ID: event, Kind: delivery.Kind(d.Kind), Line: d.Line, State: delivery.State(d.State), Sequence: d.Sequence,
		Attempts: d.Attempts, FinalAt: d.FinalAt, NextAt: d.NextAt, DeliveredAt: d.DeliveredAt, ReplayedAt: d.ReplayedAt,
		Last: convertAll(d.Last, func(a gen.DeliveryAttempt) delivery.AttemptRecord {
			return delivery.AttemptRecord{At: a.At, State: delivery.State(a.State), Note: a.Note}
		}),
	}, err
}

func fromTimeline(t gen.Timeline) timeline.Timeline {
	out := timeline.Timeline{
		Kind: timeline.Kind(t.Kind), Line: t.Line, Status: t.Status, NextAt: t.NextAt,
		Missing: convertAll(t.Missing, func(part string) timeline.Gap { return timeline.Gap(part) }),
		Events:  make([]timeline.Event, len(t.Events)),
	}
	for i, e := range t.Events {
		out.Events[i] = timeline.Event{
			At: e.At, Source: timeline.Source(e.Source), Type: timeline.EventType(e.What), Text: e.Text, Facts: e.Facts,
		}
	}
	return out
}

func fromRequest(r gen.Request) (staff.Request, error) {
	request, err := id.Parse(r.ID)
	return staff.Request{
		ID: request, Kind: staff.Kind(r.Kind), UserID: auth.UserID(r.UserID), Line: r.Line, State: r.State,
		Subject: r.Subject, RequestedAt: r.RequestedAt, ProcessedAt: r.ProcessedAt, NextAt: r.NextAt, Code: r.Code,
		TraceID:     r.TraceID,
		Cancellable: r.Cancellable,
	}, err
}

func fromParkedChange(c gen.ParkedChange) (product.ParkedOrder, error) {
	order, errOrder := id.Parse(c.ID)
	transaction, errTransaction := id.Parse(c.TransactionID)
	day, err := calendar.ParseDate("effectiveDate", c.EffectiveDate)
	if err := errors.Join(errOrder, errTransaction, err); err != nil {
		return product.ParkedOrder{}, err
	}
	out := product.ParkedOrder{
		ID: order, TransactionID: transaction, Line: c.Line, From: c.From, To: c.To, EffectiveDate: day,
		RequestedAt: c.RequestedAt, ParkedAt: c.ParkedAt, Sends: c.Sends, Reconciles: c.Reconciles, KOSOrder: c.KosOrder,
	}
	if p := c.Proposal; p != nil {
		out.Proposal = product.Resolution{
			Outcome: product.Outcome(p.Outcome), Reason: p.Reason, By: auth.UserID(p.By), At: p.At,
		}
	}
	return out, nil
}

func fromReconciliation(r gen.Reconciliation) (product.ReconciliationReport, error) {
	run, err := id.Parse(r.ID)
	out := product.ReconciliationReport{Run: product.ReconciliationRun{
		ID: run, Nightly: r.Nightly, From: r.From, To: r.To, StartedAt: r.StartedAt, Finished: r.FinishedAt,
		Reached: product.ReconciliationPlace{At: r.ReachedAt},
		Checked: r.Checked, Asked: r.Asked, Undecided: r.Undecided, Unasked: r.Unasked, Found: r.Found,
	}}
	for _, d := range r.Differences {
		order, wrong := id.Parse(d.RequestID)
		err = errors.Join(err, wrong)
		out.Differences = append(out.Differences, product.Difference{
			RequestID: order, Line: d.Line, Kind: product.DifferenceKind(d.Kind), Found: d.Found, Text: d.Text,
		})
	}
	if err != nil {
		return product.ReconciliationReport{}, unavailable(badAnswer(err))
	}
	return out, nil
}

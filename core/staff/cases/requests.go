// Package cases is what the operator's staff do to solve a customer's case: find requests and cancel one, read a
// timeline, deliver a result again, decide parked changes, and see the state of all instances. Every action is in the
// audit trail. Begin with Requests (requests.go; UFR-BILL-040, UFR-PROD-040).
package cases

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/staff"
	"phonebill/ports"
)

// Requests lists requests and cancels one. All fields are required; it is safe for concurrent use.
type Requests struct {
	Inquiries ports.Requests
	Changes   ports.Requests
	Searches  ports.SearchBudget
	Log       trail.Log
}

// Actions in the audit log.
const (
	actSearch = "REQUESTS_SEARCHED"
	actCancel = "REQUEST_CANCELLED"
)

// List returns one page of the requests of a kind that match, the newest first, and how many match (at most
// staff.MaxCounted). It fails with FORBIDDEN for a caller that is not staff, as every method here, and with
// VALIDATION_ERROR for an unknown kind or state. A search for a line takes one of the caller's exact searches:
// RATE_LIMIT_EXCEEDED when none is left. The row of the audit log, which names the line masked and by its keyed hash,
// is durable before the page is returned.
func (s *Requests) List(
	ctx context.Context, by trail.By, k staff.Kind, f staff.Filter,
) (page []staff.Request, total int, err error) {
	action := trail.Action{Action: actSearch, Subject: string(f.UserID), Facts: map[string]string{
		"kind": string(k), "line": f.Line.String(), "state": f.State, "page": strconv.Itoa(f.Page),
		"size": strconv.Itoa(f.Size),
	}}
	refused := errors.Join(by.Staff(), f.Check(k))
	err = s.Log.Show(ctx, by, action, refused, func(facts map[string]string) (err error) {
		if f.Line != (line.Number{}) {
			if facts["lineIndex"], err = s.Searches.Spend(ctx, by.Name, f.Line); err != nil {
				return err
			}
		}
		page, total, err = s.service(k).List(ctx, f)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return page, total, nil
}

// Find returns the requests of both kinds that were made under a trace id, the newest first. It fails with
// SERVICE_UNAVAILABLE when a service cannot be reached: the request may be stored there.
func (s *Requests) Find(ctx context.Context, by trail.By, trace string) (found []staff.Request, err error) {
	action := trail.Action{Action: actSearch, Facts: map[string]string{"traceId": trace}}
	err = s.Log.Show(ctx, by, action, by.Staff(), func(map[string]string) error {
		for _, k := range staff.Kinds() {
			page, _, err := s.service(k).List(ctx, staff.Filter{TraceID: trace, Page: 1, Size: MaxFound})
			if err != nil {
				return err
			}
			found = append(found, page...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b staff.Request) int { return b.RequestedAt.Compare(a.RequestedAt) })
	return found, nil
}

// MaxFound is the largest number of requests of a kind that are returned for one trace id.
const MaxFound = 50

// Cancel cancels a request where its customer could. It fails with NOT_FOUND for an unknown request, CONFLICT where the
// customer could not cancel either, and VALIDATION_ERROR without a reason. The intent is in the audit log before
// anything changes, and the outcome after.
func (s *Requests) Cancel(ctx context.Context, by trail.By, request id.ID, reason string) error {
	refused := by.Staff()
	if refused == nil {
		reason, refused = auth.ParseReason(reason)
	}
	action := trail.Action{Action: actCancel, Subject: request.String(), Reason: reason}
	return s.Log.Do(ctx, by, action, refused, func(map[string]string) error {
		err := s.Changes.Cancel(ctx, request)
		if errors.Is(err, fault.New(fault.ResourceNotFound)) {
			err = s.Inquiries.Cancel(ctx, request)
		}
		return err
	})
}

func (s *Requests) service(k staff.Kind) ports.Requests {
	if k == staff.Inquiry {
		return s.Inquiries
	}
	return s.Changes
}

// OwnRequests are a service's own requests: its list, and its verb that cancels one.
type OwnRequests struct {
	ports.RequestList
	TakeBack func(ctx context.Context, request id.ID) error
}

var _ ports.Requests = OwnRequests{}

// Cancel implements ports.Requests.
func (o OwnRequests) Cancel(ctx context.Context, request id.ID) error {
	return o.TakeBack(ctx, request)
}

package internalapi

import (
	"context"
	"time"

	gen "phonebill/adapters/rest/internal/internalgen"
	"phonebill/core/fault"
	"phonebill/core/line"
)

// ListRevocations returns what became invalid since a time, and which signing keys are valid.
func (h *Handlers) ListRevocations(
	ctx context.Context, r gen.ListRevocationsRequestObject,
) (gen.ListRevocationsResponseObject, error) {
	var since time.Time
	if r.Params.Since != nil {
		since = *r.Params.Since
	}
	feed, err := h.Revocations.Since(ctx, since)
	if err != nil {
		return nil, err
	}
	return gen.ListRevocations200JSONResponse(toRevocations(feed)), nil
}

// ReportSessionUse keeps the reported sessions from becoming idle.
func (h *Handlers) ReportSessionUse(
	ctx context.Context, r gen.ReportSessionUseRequestObject,
) (gen.ReportSessionUseResponseObject, error) {
	if err := h.SessionUse.Used(ctx, *r.Body); err != nil {
		return nil, err
	}
	return gen.ReportSessionUse204Response{}, nil
}

// ListServiceKeys returns the keys of the systems that call for their users.
func (h *Handlers) ListServiceKeys(
	ctx context.Context, _ gen.ListServiceKeysRequestObject,
) (gen.ListServiceKeysResponseObject, error) {
	all, err := h.ServiceKeys.List(ctx)
	if err != nil {
		return nil, err
	}
	out := gen.ListServiceKeys200JSONResponse{Keys: []gen.ServiceKey{}}
	for _, k := range all {
		if k.Live(h.Now()) {
			out.Keys = append(out.Keys, gen.ServiceKey{Hash: k.Hash[:], Service: k.Service})
		}
	}
	return out, nil
}

// CountExactSearch counts a member of staff's search for one line. The caller must have an audit credential.
func (h *Handlers) CountExactSearch(
	ctx context.Context, r gen.CountExactSearchRequestObject,
) (gen.CountExactSearchResponseObject, error) {
	if _, err := h.Audit.caller(r.Params.XAuditCredential); err != nil {
		return nil, err
	}
	if r.Body.Person == "" {
		return nil, fault.New(fault.ValidationError)
	}
	n, err := line.Parse(r.Body.Line)
	if err != nil {
		return nil, err
	}
	index, err := h.Searches.Spend(ctx, r.Body.Person, n)
	if err != nil {
		return nil, err
	}
	return gen.CountExactSearch200JSONResponse{Index: index}, nil
}

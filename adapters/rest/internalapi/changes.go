package internalapi

import (
	"context"

	gen "phonebill/adapters/rest/internal/internalgen"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
)

// ListParkedChanges returns one page of the changes that wait for a decision by staff.
func (h *Handlers) ListParkedChanges(
	ctx context.Context, r gen.ListParkedChangesRequestObject,
) (gen.ListParkedChangesResponseObject, error) {
	if err := checkPage(r.Params.Page, r.Params.Size); err != nil {
		return nil, err
	}
	page, total, err := h.ParkedChanges.List(ctx, r.Params.Page, r.Params.Size)
	if err != nil {
		return nil, err
	}
	return gen.ListParkedChanges200JSONResponse{Total: total, Items: convertAll(page, toParkedChange)}, nil
}

// ResolveParkedChange records a person's decision on a parked change, at the time of this instance.
func (h *Handlers) ResolveParkedChange(
	ctx context.Context, r gen.ResolveParkedChangeRequestObject,
) (gen.ResolveParkedChangeResponseObject, error) {
	if r.Body.By == "" {
		return nil, fault.New(fault.ValidationError)
	}
	resolution, err := product.ParseResolution(r.Body.Outcome, r.Body.Reason, auth.UserID(r.Body.By), h.Now())
	if err != nil {
		return nil, err
	}
	verdict, err := h.ParkedChanges.Resolve(ctx, r.ID, resolution)
	if err != nil {
		return nil, err
	}
	return gen.ResolveParkedChange200JSONResponse{Result: verdict.String()}, nil
}

// StartReconciliation starts a reconciliation of the change orders of a window.
func (h *Handlers) StartReconciliation(
	ctx context.Context, r gen.StartReconciliationRequestObject,
) (gen.StartReconciliationResponseObject, error) {
	run, err := h.Reconciliations.Start(ctx, r.Body.From, r.Body.To)
	if err != nil {
		return nil, err
	}
	return gen.StartReconciliation200JSONResponse(toReconciliation(product.ReconciliationReport{Run: run})), nil
}

// lastRun names the newest run in place of an id.
const lastRun = "last"

// GetReconciliation returns the report of one run, or of the last.
func (h *Handlers) GetReconciliation(
	ctx context.Context, r gen.GetReconciliationRequestObject,
) (gen.GetReconciliationResponseObject, error) {
	run, err := id.Parse(r.Run)
	if err != nil && r.Run != lastRun {
		return nil, malformed(err)
	}
	report, err := h.Reconciliations.Report(ctx, run)
	if err != nil {
		return nil, err
	}
	return gen.GetReconciliation200JSONResponse(toReconciliation(report)), nil
}

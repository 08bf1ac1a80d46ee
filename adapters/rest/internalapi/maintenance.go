package internalapi

import (
	"context"

	gen "phonebill/adapters/rest/internal/internalgen"
	"phonebill/core/operations"
)

// GetMaintenance returns when customers' operations are switched off.
func (h *Handlers) GetMaintenance(
	ctx context.Context, _ gen.GetMaintenanceRequestObject,
) (gen.GetMaintenanceResponseObject, error) {
	m, err := h.Maintenance.Current(ctx)
	if err != nil {
		return nil, err
	}
	return gen.GetMaintenance200JSONResponse{Maintenance: gen.Maintenance{
		From: m.From, Until: m.Until, Scope: string(m.Scope), Message: m.Message, By: m.By,
	}}, nil
}

// SetMaintenance replaces it. The caller must have an audit credential: it has recorded who switches.
func (h *Handlers) SetMaintenance(
	ctx context.Context, r gen.SetMaintenanceRequestObject,
) (gen.SetMaintenanceResponseObject, error) {
	if _, err := h.Audit.caller(r.Params.XAuditCredential); err != nil {
		return nil, err
	}
	m := r.Body.Maintenance
	if err := h.Maintenance.Set(ctx, operations.Maintenance{
		From: m.From, Until: m.Until, Scope: operations.Scope(m.Scope), Message: m.Message, By: m.By,
	}); err != nil {
		return nil, err
	}
	return gen.SetMaintenance204Response{}, nil
}

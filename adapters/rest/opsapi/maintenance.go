package opsapi

import (
	"context"

	"phonebill/adapters/rest"
	gen "phonebill/adapters/rest/internal/opsgen"
	"phonebill/core/operations"
)

// GetMaintenance returns the maintenance that is under way or planned.
func (h *Handlers) GetMaintenance(
	ctx context.Context, _ gen.GetMaintenanceRequestObject,
) (gen.GetMaintenanceResponseObject, error) {
	m, err := h.Maintenance.Show(ctx, by(ctx))
	if err != nil {
		return nil, err
	}
	return gen.GetMaintenance200JSONResponse{
		Success: true, Message: "점검 상태를 조회하였습니다", Data: h.toMaintenance(m),
	}, nil
}

// StartMaintenance switches customers' operations off for a time.
func (h *Handlers) StartMaintenance(
	ctx context.Context, r gen.StartMaintenanceRequestObject,
) (gen.StartMaintenanceResponseObject, error) {
	m, err := h.Maintenance.Start(ctx, by(ctx), operations.Maintenance{
		From: rest.Value(r.Body.From), Until: r.Body.Until, Scope: operations.Scope(rest.Value(r.Body.Scope)),
		Message: rest.Value(r.Body.Message),
	}, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return gen.StartMaintenance200JSONResponse{
		Success: true, Message: "점검을 설정하였습니다", Data: h.toMaintenance(m),
	}, nil
}

// EndMaintenance switches them on again.
func (h *Handlers) EndMaintenance(
	ctx context.Context, _ gen.EndMaintenanceRequestObject,
) (gen.EndMaintenanceResponseObject, error) {
	if err := h.Maintenance.End(ctx, by(ctx)); err != nil {
		return nil, err
	}
	return gen.EndMaintenance200JSONResponse{
		Success: true, Message: "점검을 종료하였습니다", Data: h.toMaintenance(operations.Maintenance{}),
	}, nil
}

func (h *Handlers) toMaintenance(m operations.Maintenance) gen.MaintenanceData {
	now := h.Maintenance.Log.Now()
	if m.Over(now) {
		return gen.MaintenanceData{State: gen.MaintenanceDataStateOFF}
	}
	data := gen.MaintenanceData{
		State: gen.MaintenanceDataStatePLANNED, From: rest.OptionalTime(m.From.UTC()),
		Until: rest.OptionalTime(m.Until.UTC()),
		Scope: new(gen.MaintenanceScope(m.Scope)), Message: rest.Optional(m.Message), By: rest.Optional(m.By),
	}
	if m.On(now) {
		data.State = gen.MaintenanceDataStateON
	}
	return data
}

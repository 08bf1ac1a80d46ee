// Package opsapi serves openapi/operations.yaml, at the gateway itself: it translates between the wire and the verbs
// overview, desk, parked, look and the desk of requests.
package opsapi

import (
	"context"

	"phonebill/adapters/rest/gate"
	gen "phonebill/adapters/rest/internal/opsgen"
	"phonebill/core/staff/cases"
)

// Handlers implements the generated strict server.
type Handlers struct {
	Overview  *cases.Overview
	Desk      *cases.Deliveries
	Parked    *cases.ParkedChanges
	Timelines *cases.Timelines
	Requests  *cases.Requests
}

// ListCircuitBreakers answers the breakers of every instance.
func (h *Handlers) ListCircuitBreakers(
	ctx context.Context, _ gen.ListCircuitBreakersRequestObject,
) (gen.ListCircuitBreakersResponseObject, error) {
	answers, err := h.Overview.Ask(ctx, gate.Principal(ctx))
	if err != nil {
		return nil, err
	}
	return gen.ListCircuitBreakers200JSONResponse{Success: true, Message: "회로 차단기 상태를 조회하였습니다", Data: toBreakers(answers)}, nil
}

// GetKosQuota answers the budget and the queues.
func (h *Handlers) GetKosQuota(ctx context.Context, _ gen.GetKosQuotaRequestObject) (gen.GetKosQuotaResponseObject, error) {
	answers, err := h.Overview.Ask(ctx, gate.Principal(ctx))
	if err != nil {
		return nil, err
	}
	return gen.GetKosQuota200JSONResponse{Success: true, Message: "KOS 호출 한도를 조회하였습니다", Data: toQuota(answers)}, nil
}

// GetCache answers how questions were answered.
func (h *Handlers) GetCache(ctx context.Context, _ gen.GetCacheRequestObject) (gen.GetCacheResponseObject, error) {
	answers, err := h.Overview.Ask(ctx, gate.Principal(ctx))
	if err != nil {
		return nil, err
	}
	return gen.GetCache200JSONResponse{Success: true, Message: "캐시 현황을 조회하였습니다", Data: toCache(answers)}, nil
}

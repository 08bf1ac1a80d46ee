// Package opsapi serves openapi/operations.yaml at the gateway: it translates between the wire and the use cases of
// staff. Begin with Handlers (opsapi.go).
package opsapi

import (
	"context"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	gen "phonebill/adapters/rest/internal/opsgen"
	"phonebill/core/operations"
	"phonebill/core/staff/cases"
)

// Handlers implements the generated strict server.
type Handlers struct {
	Overview    *cases.Overview
	Desk        *cases.Deliveries
	Parked      *cases.ParkedChanges
	Timelines   *cases.Timelines
	Requests    *cases.Requests
	Maintenance *cases.Maintenance
}

// ListCircuitBreakers returns the circuit breakers of every instance.
func (h *Handlers) ListCircuitBreakers(
	ctx context.Context, _ gen.ListCircuitBreakersRequestObject,
) (gen.ListCircuitBreakersResponseObject, error) {
	answers, err := h.Overview.Ask(ctx, contract.Principal(ctx), operations.Gateway, operations.Bill, operations.Product)
	if err != nil {
		return nil, err
	}
	return gen.ListCircuitBreakers200JSONResponse{
		Success: true, Message: "회로 차단기 상태를 조회하였습니다", Data: toBreakers(answers),
	}, nil
}

// GetKosQuota returns the quota of calls to KOS and how many callers wait in each lane.
func (h *Handlers) GetKosQuota(
	ctx context.Context, _ gen.GetKosQuotaRequestObject,
) (gen.GetKosQuotaResponseObject, error) {
	answers, err := h.Overview.Ask(ctx, contract.Principal(ctx), operations.Bill, operations.Product)
	if err != nil {
		return nil, err
	}
	return gen.GetKosQuota200JSONResponse{
		Success: true, Message: "KOS 호출 한도를 조회하였습니다", Data: toQuota(answers),
	}, nil
}

// GetCache returns how many lookups were hits, stale answers and misses.
func (h *Handlers) GetCache(ctx context.Context, _ gen.GetCacheRequestObject) (gen.GetCacheResponseObject, error) {
	answers, err := h.Overview.Ask(ctx, contract.Principal(ctx), operations.Bill, operations.Product)
	if err != nil {
		return nil, err
	}
	return gen.GetCache200JSONResponse{Success: true, Message: "캐시 현황을 조회하였습니다", Data: toCache(answers)}, nil
}

// ListInstances returns every instance, and all of each service in sum.
func (h *Handlers) ListInstances(
	ctx context.Context, _ gen.ListInstancesRequestObject,
) (gen.ListInstancesResponseObject, error) {
	answers, err := h.Overview.Ask(ctx, contract.Principal(ctx))
	if err != nil {
		return nil, err
	}
	return gen.ListInstances200JSONResponse{
		Success: true, Message: "인스턴스 현황을 조회하였습니다", Data: toInstances(answers),
	}, nil
}

// ListUpstreams returns how each gateway sees the services, and all gateways in sum.
func (h *Handlers) ListUpstreams(
	ctx context.Context, _ gen.ListUpstreamsRequestObject,
) (gen.ListUpstreamsResponseObject, error) {
	answers, err := h.Overview.Ask(ctx, contract.Principal(ctx), operations.Gateway)
	if err != nil {
		return nil, err
	}
	return gen.ListUpstreams200JSONResponse{
		Success: true, Message: "게이트웨이가 보는 서비스 상태를 조회하였습니다", Data: toUpstreams(answers),
	}, nil
}

// Mount registers the operations on a router.
func (h *Handlers) Mount(to *contract.Router, hooks rest.Hooks) {
	strict := gen.NewStrictHandlerWithOptions(h, nil, gen.StrictHTTPServerOptions{
		RequestErrorHandlerFunc: hooks.Request, ResponseErrorHandlerFunc: hooks.Response,
	})
	gen.HandlerWithOptions(strict, gen.StdHTTPServerOptions{
		BaseURL: to.Base(), BaseRouter: to, ErrorHandlerFunc: hooks.Request,
	})
}

package opsapi

import (
	"context"

	"phonebill/adapters/rest"
	gen "phonebill/adapters/rest/internal/opsgen"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/staff"
)

const requestsListed = "요청 목록을 조회하였습니다"

// ListRequests returns one page of customers' requests, or those that were made under a trace id.
func (h *Handlers) ListRequests(
	ctx context.Context, r gen.ListRequestsRequestObject,
) (gen.ListRequestsResponseObject, error) {
	p := r.Params
	if p.TraceID != nil {
		return h.findRequests(ctx, p)
	}
	at, err := rest.ParsePage(p.LineNumber, nil, nil, p.Page, p.Size)
	if err != nil {
		return nil, err
	}
	if p.Kind == nil {
		return nil, fault.InvalidField("kind", "필수 항목입니다")
	}
	f := staff.Filter{Page: at.Page, Size: at.Size}
	if len(at.Lines) > 0 {
		f.Line = at.Lines[0]
	}
	if p.UserID != nil {
		f.UserID = auth.UserID(*p.UserID)
	}
	if p.State != nil {
		f.State = string(*p.State)
	}
	page, total, err := h.Requests.List(ctx, by(ctx), staff.Kind(*p.Kind), f)
	if err != nil {
		return nil, err
	}
	return gen.ListRequests200JSONResponse{Success: true, Message: requestsListed, Data: gen.RequestsData{
		Items: toRequests(page), Pagination: rest.Pagination(at.Page, at.Size, total),
	}}, nil
}

func (h *Handlers) findRequests(ctx context.Context, p gen.ListRequestsParams) (gen.ListRequestsResponseObject, error) {
	if p.Kind != nil || p.LineNumber != nil || p.UserID != nil || p.State != nil || p.Page != nil && *p.Page != 1 {
		return nil, fault.InvalidField("traceId", "다른 조건과 함께 사용할 수 없습니다")
	}
	trace, err := staff.ParseTraceID(*p.TraceID)
	if err != nil {
		return nil, err
	}
	found, err := h.Requests.Find(ctx, by(ctx), trace)
	if err != nil {
		return nil, err
	}
	return gen.ListRequests200JSONResponse{Success: true, Message: requestsListed, Data: gen.RequestsData{
		Items: toRequests(found), Pagination: rest.Pagination(1, max(len(found), 1), len(found)),
	}}, nil
}

// CancelRequest cancels a customer's request.
func (h *Handlers) CancelRequest(
	ctx context.Context, r gen.CancelRequestRequestObject,
) (gen.CancelRequestResponseObject, error) {
	if err := h.Requests.Cancel(ctx, by(ctx), id.ID(r.RequestID), r.Body.Reason); err != nil {
		return nil, err
	}
	return gen.CancelRequest200JSONResponse{Success: true, Message: "요청을 취소하였습니다"}, nil
}

func toRequests(page []staff.Request) []gen.CustomerRequest {
	out := make([]gen.CustomerRequest, len(page))
	for i, r := range page {
		out[i] = gen.CustomerRequest{
			RequestID: [16]byte(r.ID), Kind: gen.RequestKind(r.Kind), UserID: string(r.UserID), State: gen.RequestState(r.State),
			Subject: r.Subject, RequestedAt: r.RequestedAt, ProcessedAt: rest.OptionalTime(r.ProcessedAt),
			NextAt:     rest.OptionalTime(r.NextAt),
			LineNumber: rest.Optional(r.Line), Code: rest.Optional(r.Code), TraceID: rest.Optional(r.TraceID),
			Cancellable: r.Cancellable,
		}
	}
	return out
}

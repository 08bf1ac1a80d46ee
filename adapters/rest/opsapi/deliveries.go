package opsapi

import (
	"context"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	gen "phonebill/adapters/rest/internal/opsgen"
	"phonebill/adapters/rest/middleware"
	"phonebill/core/audit/trail"
	"phonebill/core/delivery"
	"phonebill/core/id"
)

// by returns the caller as the audit trail names it.
func by(ctx context.Context) trail.By {
	p := contract.Principal(ctx)
	return trail.By{Name: string(p.UserID), Roles: p.Roles, IP: middleware.ClientOf(ctx).IP}
}

// ListDeliveries returns one page of the deliveries to the MVNO AP server.
func (h *Handlers) ListDeliveries(
	ctx context.Context, r gen.ListDeliveriesRequestObject,
) (gen.ListDeliveriesResponseObject, error) {
	at, err := rest.ParsePage(nil, nil, nil, r.Params.Page, r.Params.Size)
	if err != nil {
		return nil, err
	}
	kind, f := toFilter(r.Params, at)
	page, total, err := h.Desk.List(ctx, by(ctx), kind, f)
	if err != nil {
		return nil, err
	}
	return gen.ListDeliveries200JSONResponse{Success: true, Message: "전달 현황을 조회하였습니다",
		Data: gen.DeliveriesData{
			Items: toDeliveries(page), Pagination: rest.Pagination(at.Page, at.Size, total),
		}}, nil
}

// ReplayDelivery makes a result be delivered once more.
func (h *Handlers) ReplayDelivery(
	ctx context.Context, r gen.ReplayDeliveryRequestObject,
) (gen.ReplayDeliveryResponseObject, error) {
	if err := h.Desk.Replay(ctx, by(ctx), id.ID(r.EventID), r.Body.Reason); err != nil {
		return nil, err
	}
	return gen.ReplayDelivery202JSONResponse{Success: true, Message: "결과를 다시 전달합니다"}, nil
}

func toFilter(p gen.ListDeliveriesParams, at rest.PageQuery) (delivery.Kind, delivery.Filter) {
	kind, f := delivery.BillResult, delivery.Filter{Page: at.Page, Size: at.Size}
	if p.Kind != nil {
		kind = toDeliveryKind(*p.Kind)
	}
	if p.State != nil {
		f.State = delivery.State(*p.State)
	}
	if p.Since != nil {
		f.Since = *p.Since
	}
	return kind, f
}

// toKind returns the API's name of a kind of request: an inquiry, whose result is a bill, or a change.
func toKind(kind string) gen.RequestKind {
	if kind == string(delivery.ChangeResult) {
		return gen.RequestKindCHANGE
	}
	return gen.RequestKindINQUIRY
}

// toDeliveryKind accepts the current and the older names of the kinds.
func toDeliveryKind(kind gen.ListDeliveriesParamsKind) delivery.Kind {
	switch kind {
	case gen.ListDeliveriesParamsKindCHANGE, gen.ListDeliveriesParamsKindChange:
		return delivery.ChangeResult
	case gen.ListDeliveriesParamsKindINQUIRY, gen.ListDeliveriesParamsKindBill:
	}
	return delivery.BillResult
}

func toDeliveries(page []delivery.Listed) []gen.Delivery {
	out := make([]gen.Delivery, len(page))
	for i, t := range page {
		out[i] = gen.Delivery{
			EventID: [16]byte(t.ID), LineNumber: rest.Optional(t.Line), Sequence: rest.Optional(t.Sequence),
			Kind: toKind(string(t.Kind)), State: gen.DeliveryState(t.State), Attempts: t.Attempts,
			FinalAt: t.FinalAt, NextAt: rest.OptionalTime(t.NextAt), DeliveredAt: rest.OptionalTime(t.DeliveredAt),
			ReplayedAt:   rest.OptionalTime(t.ReplayedAt),
			LastAttempts: make([]gen.DeliveryAttempt, len(t.Last)),
		}
		for k, m := range t.Last {
			out[i].LastAttempts[k] = gen.DeliveryAttempt{
				At: m.At, State: gen.DeliveryState(m.State), Note: rest.Optional(m.Note),
			}
		}
	}
	return out
}

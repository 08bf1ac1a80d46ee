package opsapi

import (
	"context"

	"phonebill/adapters/rest/edge"
	"phonebill/adapters/rest/gate"
	gen "phonebill/adapters/rest/internal/opsgen"
	"phonebill/adapters/rest/paging"
	"phonebill/core/delivery"
	"phonebill/core/id"
	"phonebill/core/staff/audittrail"
)

// by is who asks, for the audit log.
func by(ctx context.Context) audittrail.By {
	p := gate.Principal(ctx)
	return audittrail.By{Name: string(p.UserID), Roles: p.Roles, IP: edge.ClientOf(ctx).IP}
}

// ListDeliveries answers one page of results and what became of telling them.
func (h *Handlers) ListDeliveries(ctx context.Context, r gen.ListDeliveriesRequestObject) (gen.ListDeliveriesResponseObject, error) {
	at, err := paging.Parse(nil, nil, nil, r.Params.Page, r.Params.Size)
	if err != nil {
		return nil, err
	}
	kind, f := toFilter(r.Params, at)
	page, total, err := h.Desk.List(ctx, by(ctx), kind, f)
	if err != nil {
		return nil, err
	}
	return gen.ListDeliveries200JSONResponse{Success: true, Message: "전달 현황을 조회하였습니다", Data: gen.DeliveriesData{
		Items: toDeliveries(page), Pagination: paging.Of(at.Page, at.Size, total),
	}}, nil
}

// ReplayDelivery has a result told again.
func (h *Handlers) ReplayDelivery(ctx context.Context, r gen.ReplayDeliveryRequestObject) (gen.ReplayDeliveryResponseObject, error) {
	if err := h.Desk.Replay(ctx, by(ctx), id.ID(r.EventID), r.Body.Reason); err != nil {
		return nil, err
	}
	return gen.ReplayDelivery202JSONResponse{Success: true, Message: "결과를 다시 전달합니다"}, nil
}

func toFilter(p gen.ListDeliveriesParams, at paging.Range) (delivery.Kind, delivery.Filter) {
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

// toKind names the kind of a request in the words of the API: an inquiry, whose result is a bill, or a change.
func toKind(kind string) gen.RequestKind {
	if kind == string(delivery.ChangeResult) {
		return gen.RequestKindCHANGE
	}
	return gen.RequestKindINQUIRY
}

// toDeliveryKind also reads the older names.
func toDeliveryKind(kind gen.ListDeliveriesParamsKind) delivery.Kind {
	switch kind {
	case gen.ListDeliveriesParamsKindCHANGE, gen.ListDeliveriesParamsKindChange:
		return delivery.ChangeResult
	case gen.ListDeliveriesParamsKindINQUIRY, gen.ListDeliveriesParamsKindBill:
	}
	return delivery.BillResult
}

func toDeliveries(page []delivery.Told) []gen.Delivery {
	out := make([]gen.Delivery, len(page))
	for i, t := range page {
		out[i] = gen.Delivery{
			EventID: [16]byte(t.ID), Kind: toKind(string(t.Kind)), State: gen.DeliveryState(t.State), Attempts: t.Attempts,
			FinalAt: t.FinalAt, NextAt: moment(t.NextAt), DeliveredAt: moment(t.DeliveredAt), ReplayedAt: moment(t.ReplayedAt),
			LastAttempts: make([]gen.DeliveryAttempt, len(t.Last)),
		}
		if t.Line != "" {
			out[i].LineNumber = new(t.Line)
		}
		if t.Sequence != 0 {
			out[i].Sequence = new(t.Sequence)
		}
		for k, m := range t.Last {
			out[i].LastAttempts[k] = gen.DeliveryAttempt{At: m.At, State: gen.DeliveryState(m.State)}
			if m.Note != "" {
				out[i].LastAttempts[k].Note = new(m.Note)
			}
		}
	}
	return out
}

package opsapi

import (
	"context"

	"phonebill/adapters/rest"
	gen "phonebill/adapters/rest/internal/opsgen"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/staff/cases"
)

const parkedMessage = "확인이 필요한 상품 변경을 조회하였습니다"

// ListParkedChanges returns one page of the orders that wait for a decision by staff.
func (h *Handlers) ListParkedChanges(
	ctx context.Context, r gen.ListParkedChangesRequestObject,
) (gen.ListParkedChangesResponseObject, error) {
	at, err := rest.ParsePage(nil, nil, nil, r.Params.Page, r.Params.Size)
	if err != nil {
		return nil, err
	}
	page, total, err := h.Parked.List(ctx, by(ctx), at.Page, at.Size)
	if err != nil {
		return nil, err
	}
	return gen.ListParkedChanges200JSONResponse{Success: true, Message: parkedMessage, Data: gen.ParkedChangesData{
		Items: toParked(page), Pagination: rest.Pagination(at.Page, at.Size, total),
	}}, nil
}

// ResolveParkedChange records how a parked order ended: a first person proposes it, a second one confirms it.
func (h *Handlers) ResolveParkedChange(
	ctx context.Context, r gen.ResolveParkedChangeRequestObject,
) (gen.ResolveParkedChangeResponseObject, error) {
	verdict, err := h.Parked.Resolve(ctx, by(ctx), cases.Decision{
		Order: id.ID(r.RequestID), Outcome: string(r.Body.Outcome), Reason: r.Body.Reason,
	})
	if err != nil {
		return nil, err
	}
	data := gen.ResolvedData{
		RequestID: r.RequestID, Outcome: r.Body.Outcome, Result: gen.ResolvedDataResult(verdict.String()),
	}
	if verdict == product.Confirmed {
		return gen.ResolveParkedChange200JSONResponse{
			Success: true, Message: "상품 변경 요청을 처리하였습니다", Data: data,
		}, nil
	}
	data.WaitsFor = new(gen.ResolvedDataWaitsForANOTHERPERSON)
	return gen.ResolveParkedChange202JSONResponse{
		Success: true, Message: "제안을 등록하였습니다. 다른 담당자의 확인이 필요합니다", Data: data,
	}, nil
}

func toParked(page []product.ParkedOrder) []gen.ParkedChange {
	out := make([]gen.ParkedChange, len(page))
	for i, o := range page {
		out[i] = gen.ParkedChange{
			RequestID: [16]byte(o.ID), TransactionID: [16]byte(o.TransactionID), FromProductCode: o.From, ToProductCode: o.To,
			EffectiveDate: o.EffectiveDate.String(), RequestedAt: o.RequestedAt, ParkedAt: o.ParkedAt, Sends: o.Sends,
			Reconciles: o.Reconciles, LineNumber: rest.Optional(o.Line), KosOrder: rest.Optional(o.KOSOrder),
		}
		if p := o.Proposal; p != (product.Resolution{}) {
			out[i].Proposal = &gen.Proposal{
				Outcome: gen.ResolveOutcome(p.Outcome), Reason: p.Reason, By: string(p.By), At: p.At,
				ExpiresAt: p.At.Add(product.ProposalLifetime),
			}
		}
	}
	return out
}

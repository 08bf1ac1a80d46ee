// Package productapi serves openapi/product.yaml: it translates between the wire and the use cases catalog and change.
// Begin with Handlers (productapi.go).
package productapi

import (
	"context"
	"time"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	gen "phonebill/adapters/rest/internal/productgen"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/product/catalog"
	"phonebill/core/product/change"
	"phonebill/core/request"
	"phonebill/ports"
)

// Handlers implements the generated strict server.
type Handlers struct {
	Catalog *catalog.Service
	Changes *change.Service
	Now     ports.Clock
}

// GetHome returns what the main screen needs; KOS is not asked.
func (h *Handlers) GetHome(ctx context.Context, _ gen.GetHomeRequestObject) (gen.GetHomeResponseObject, error) {
	p := contract.Principal(ctx)
	return gen.GetHome200JSONResponse{
		Success: true, Message: "메인 화면을 조회하였습니다", Data: toHome(p, h.Catalog.Home(ctx, p)),
	}, nil
}

// GetProductMenu returns what the menu of plan changes needs.
func (h *Handlers) GetProductMenu(
	ctx context.Context, r gen.GetProductMenuRequestObject,
) (gen.GetProductMenuResponseObject, error) {
	asked, err := line.Optional(r.Params.LineNumber)
	if err != nil {
		return nil, err
	}
	p := contract.Principal(ctx)
	screen, err := h.Catalog.Menu(ctx, p, asked)
	if err != nil {
		return nil, err
	}
	return gen.GetProductMenu200JSONResponse{
		Success: true, Message: "상품 변경 메뉴를 조회하였습니다", Data: toMenu(screen, p.Lines),
	}, nil
}

// GetProductCustomer returns the customer and the plan of a line.
func (h *Handlers) GetProductCustomer(
	ctx context.Context, r gen.GetProductCustomerRequestObject,
) (gen.GetProductCustomerResponseObject, error) {
	n, err := line.Parse(r.LineNumber)
	if err != nil {
		return nil, err
	}
	screen, err := h.Catalog.Customer(ctx, contract.Principal(ctx), n)
	if err != nil {
		return nil, err
	}
	return gen.GetProductCustomer200JSONResponse{
		Success: true, Message: "고객 정보를 조회하였습니다", Data: toCustomer(screen, h.Changes.EffectiveDays()),
	}, nil
}

// ListAvailableProducts returns the plans that a line can change to.
func (h *Handlers) ListAvailableProducts(
	ctx context.Context, r gen.ListAvailableProductsRequestObject,
) (gen.ListAvailableProductsResponseObject, error) {
	query, err := toQuery(r.Params)
	if err != nil {
		return nil, err
	}
	offer, err := h.Catalog.Available(ctx, contract.Principal(ctx), query)
	if err != nil {
		return nil, err
	}
	return gen.ListAvailableProducts200JSONResponse{
		Success: true, Message: "변경 가능한 상품을 조회하였습니다", Data: toOffer(offer),
	}, nil
}

// ValidateProductChange runs the three pre-checks of a change without requesting it.
func (h *Handlers) ValidateProductChange(
	ctx context.Context, r gen.ValidateProductChangeRequestObject,
) (gen.ValidateProductChangeResponseObject, error) {
	n, err := line.Parse(r.Body.LineNumber)
	if err != nil {
		return nil, err
	}
	c := change.Command{Line: n, From: r.Body.CurrentProductCode, To: r.Body.TargetProductCode}
	verdict, err := h.Changes.PreCheck(ctx, contract.Principal(ctx), c)
	if err != nil {
		return nil, err
	}
	message := product.CheckOKMessage
	if !verdict.OK() {
		message = product.CheckFailedMessage
	}
	return gen.ValidateProductChange200JSONResponse{
		Success: true, Message: message, Data: toVerdict(verdict, h.Changes.EffectiveDays()),
	}, nil
}

// ChangeProduct requests a plan change.
func (h *Handlers) ChangeProduct(
	ctx context.Context, r gen.ChangeProductRequestObject,
) (gen.ChangeProductResponseObject, error) {
	n, err := line.Parse(r.Body.LineNumber)
	if err != nil {
		return nil, err
	}
	c := change.Command{Line: n, From: r.Body.CurrentProductCode, To: r.Body.TargetProductCode}
	if day := r.Body.ChangeEffectiveDate; day != nil {
		if c.Effective, err = calendar.ParseDate("changeEffectiveDate", *day); err != nil {
			return nil, err
		}
	}
	if c.Key, err = request.OptionalKey(r.Params.IdempotencyKey); err != nil {
		return nil, err
	}
	o, err := h.Changes.Request(ctx, contract.Principal(ctx), c)
	if err != nil {
		return nil, err
	}
	if o.State != product.Completed {
		return accepted(o, h.Now()), nil
	}
	return gen.ChangeProduct200JSONResponse{
		Body:    gen.ProductChangeEnvelope{Success: true, Message: product.ChangedMessage, Data: toDone(o.Order)},
		Headers: gen.ChangeProduct200ResponseHeaders{IdempotencyReplayed: o.Replayed},
	}, nil
}

// GetProductChange returns the state of a change, after waiting for its end if the caller asks for that.
func (h *Handlers) GetProductChange(
	ctx context.Context, r gen.GetProductChangeRequestObject,
) (gen.GetProductChangeResponseObject, error) {
	var wait time.Duration
	if r.Params.Wait != nil {
		wait = time.Duration(*r.Params.Wait) * time.Second
	}
	o, err := h.Changes.Get(ctx, contract.Principal(ctx), id.ID(r.RequestID), wait)
	if err != nil {
		return nil, err
	}
	return gen.GetProductChange200JSONResponse{Success: true, Message: statusMessage(o), Data: toStatus(o)}, nil
}

// CancelProductChange cancels a change that has not been sent to KOS.
func (h *Handlers) CancelProductChange(
	ctx context.Context, r gen.CancelProductChangeRequestObject,
) (gen.CancelProductChangeResponseObject, error) {
	o, err := h.Changes.Cancel(ctx, contract.Principal(ctx), id.ID(r.RequestID))
	if err != nil {
		return nil, err
	}
	return gen.CancelProductChange200JSONResponse{Success: true, Message: statusMessage(o), Data: toStatus(o)}, nil
}

// ListProductHistory returns one page of the caller's changes.
func (h *Handlers) ListProductHistory(
	ctx context.Context, r gen.ListProductHistoryRequestObject,
) (gen.ListProductHistoryResponseObject, error) {
	filter, err := toFilter(r.Params)
	if err != nil {
		return nil, err
	}
	rows, total, err := h.Changes.History(ctx, contract.Principal(ctx), filter)
	if err != nil {
		return nil, err
	}
	return gen.ListProductHistory200JSONResponse{
		Success: true, Message: "상품 변경 이력을 조회하였습니다", Data: toHistory(rows, filter.Page, filter.Size, total),
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

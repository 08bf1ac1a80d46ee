// Package billapi serves openapi/bill.yaml: it translates between the wire and the verb inquiry. Begin with Handlers
// (billapi.go).
package billapi

import (
	"context"
	"time"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	gen "phonebill/adapters/rest/internal/billgen"
	"phonebill/core/bill"
	"phonebill/core/bill/inquiry"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/request"
	"phonebill/ports"
)

// Handlers implements the generated strict server.
type Handlers struct {
	Inquiries *inquiry.Service
	Now       ports.Clock
}

// GetBillMenu returns what the bill screen needs: lines and months to choose from.
func (h *Handlers) GetBillMenu(
	ctx context.Context, r gen.GetBillMenuRequestObject,
) (gen.GetBillMenuResponseObject, error) {
	asked, err := line.Optional(r.Params.LineNumber)
	if err != nil {
		return nil, err
	}
	menu, err := h.Inquiries.Menu(ctx, contract.Principal(ctx), asked)
	if err != nil {
		return nil, err
	}
	return gen.GetBillMenu200JSONResponse{
		Success: true, Message: "요금 조회 메뉴를 조회하였습니다", Data: toMenu(menu),
	}, nil
}

// InquireBill returns the bill of a line and month, or a request id when the bill takes longer (202).
func (h *Handlers) InquireBill(
	ctx context.Context, r gen.InquireBillRequestObject,
) (gen.InquireBillResponseObject, error) {
	n, err := line.Parse(r.Body.LineNumber)
	if err != nil {
		return nil, err
	}
	month := ""
	if r.Body.InquiryMonth != nil {
		month = *r.Body.InquiryMonth
	}
	key, err := request.OptionalKey(r.Params.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	result, err := h.Inquiries.AskOnce(ctx, contract.Principal(ctx), n, month, key)
	if err != nil {
		return nil, err
	}
	if result.Bill == nil {
		return accepted(result, h.Now()), nil
	}
	return gen.InquireBill200JSONResponse{
		Body: gen.BillInquiryEnvelope{Success: true, Message: "요금조회가 완료되었습니다", Data: toAnswer(result)},
		Headers: gen.InquireBill200ResponseHeaders{
			IdempotencyReplayed: result.Replayed, CacheStatus: cacheStatus(result.Inquiry.Source),
		},
	}, nil
}

// GetBill is InquireBill as a read, without an idempotency key.
func (h *Handlers) GetBill(ctx context.Context, r gen.GetBillRequestObject) (gen.GetBillResponseObject, error) {
	n, err := line.Parse(r.Params.LineNumber)
	if err != nil {
		return nil, err
	}
	result, err := h.Inquiries.Ask(ctx, contract.Principal(ctx), n, r.Month)
	switch {
	case err != nil:
		return nil, asRead(err)
	case result.Bill == nil:
		later := accepted(result, h.Now())
		return gen.GetBill202JSONResponse{Body: later.Body, Headers: gen.GetBill202ResponseHeaders{
			Location: later.Headers.Location, RetryAfter: later.Headers.RetryAfter,
		}}, nil
	}
	return gen.GetBill200JSONResponse{
		Body:    gen.BillInquiryEnvelope{Success: true, Message: "요금조회가 완료되었습니다", Data: toAnswer(result)},
		Headers: gen.GetBill200ResponseHeaders{CacheStatus: cacheStatus(result.Inquiry.Source)},
	}, nil
}

// GetBillInquiry returns the state of an inquiry, after waiting for its end if the caller asks for that.
func (h *Handlers) GetBillInquiry(
	ctx context.Context, r gen.GetBillInquiryRequestObject,
) (gen.GetBillInquiryResponseObject, error) {
	var wait time.Duration
	if r.Params.Wait != nil {
		wait = time.Duration(*r.Params.Wait) * time.Second
	}
	result, err := h.Inquiries.Get(ctx, contract.Principal(ctx), id.ID(r.RequestID), wait)
	if err != nil {
		return nil, err
	}
	return gen.GetBillInquiry200JSONResponse{
		Success: true, Message: statusMessage(result.Inquiry.Status), Data: toStatus(result),
	}, nil
}

// ListBillHistory returns one page of the caller's inquiries.
func (h *Handlers) ListBillHistory(
	ctx context.Context, r gen.ListBillHistoryRequestObject,
) (gen.ListBillHistoryResponseObject, error) {
	filter, err := toFilter(r.Params)
	if err != nil {
		return nil, err
	}
	rows, total, err := h.Inquiries.History(ctx, contract.Principal(ctx), filter)
	if err != nil {
		return nil, err
	}
	return gen.ListBillHistory200JSONResponse{
		Success: true, Message: "요금조회 이력을 조회하였습니다", Data: toHistory(rows, filter.Page, filter.Size, total),
	}, nil
}

func statusMessage(s bill.Status) string {
	switch s {
	case bill.Completed:
		return "요금조회가 완료되었습니다"
	case bill.Failed, bill.Timeout:
		return "요금 조회 신청에 실패하였습니다"
	case bill.Processing:
		return "요금조회를 처리하고 있습니다"
	default:
		return ""
	}
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

package timeline

import (
	"phonebill/core/audit"
	"phonebill/core/request"
)

// Plain is what is stored about a request of a product that has no states of its own (docs/adding-a-product.md).
type Plain struct {
	Row        request.Request
	Calls      []audit.Call // made for it, oldest first
	Deliveries Deliveries
	Gaps       []Gap
}

// Timeline returns the timeline of the request.
func (p Plain) Timeline() Timeline {
	begin := Event{
		At: p.Row.RequestedAt, Source: Request, Type: Requested, Text: "고객이 신청하였습니다",
		Facts: facts("kind", string(p.Row.Kind)),
	}
	s := Timeline{
		Kind: Kind(p.Row.Kind), Status: string(p.Row.Status), Missing: p.Gaps,
		Events: mergeEvents([]Event{begin}, callEvents(p.Calls), p.end(), p.Deliveries.events()),
	}
	if p.Row.Status == request.Processing {
		s.NextAt = p.Row.NextAttemptAt
	}
	return s.truncated()
}

// end returns how the request ended, or that it is parked.
func (p Plain) end() []Event {
	e := Event{
		At: p.Row.ProcessedAt, Source: Request,
		Facts: facts("attempts", number(p.Row.Attempts), "code", string(p.Row.Code), "note", p.Row.Note),
	}
	switch p.Row.Status {
	case request.Completed:
		e.Type, e.Text = Completed, "처리가 완료되었습니다"
	case request.Failed:
		e.Type, e.Text = Failed, "처리하지 못하였습니다"
	case request.Cancelled:
		e.Type, e.Text = Cancelled, "신청이 취소되었습니다"
	case request.Parked:
		e.At, e.Type, e.Text = p.Row.RequestedAt, Parked, "결과를 확인할 수 없어 담당자의 확인을 기다립니다"
	case request.Processing:
		return nil
	}
	return []Event{e}
}

package timeline

import (
	"phonebill/core/audit"
	"phonebill/core/bill"
	"phonebill/core/freshness"
)

// How an inquiry got its result: from a copy or from KOS (UFR-BILL-030).
const (
	FromCache    EventType = "ANSWERED_FROM_CACHE"
	FromKOS      EventType = "ANSWERED_FROM_KOS"
	Stale        EventType = "ANSWERED_STALE"
	TimedOut     EventType = "TIMED_OUT"
	RenewedEarly EventType = "RENEWED_EARLY"
)

// Inquiry is what is stored about one bill inquiry.
type Inquiry struct {
	Line       string       // masked
	Row        bill.Inquiry // its line and its summary may be left out
	Calls      []audit.Call // made for it, oldest first
	Deliveries Deliveries
	Gaps       []Gap
}

// Timeline returns the timeline of the inquiry.
func (q Inquiry) Timeline() Timeline {
	begin := Event{
		At: q.Row.RequestedAt, Source: Request, Type: Requested, Text: "고객이 요금 조회를 신청하였습니다",
		Facts: facts("month", q.Row.Month.String()),
	}
	calls := callEvents(q.Calls)
	if q.Row.Source == freshness.FromCache {
		calls = renewals(calls)
	}
	s := Timeline{
		Kind: Bill, Line: q.Line, Status: string(q.Row.Status), Missing: q.Gaps,
		Events: mergeEvents([]Event{begin}, calls, q.end(), q.Deliveries.events()),
	}
	if !q.Row.Status.Final() {
		s.NextAt = q.Row.NextAttemptAt
	}
	return s.truncated()
}

// renewals marks the calls of an inquiry that was served from a copy: they were refreshes in the background.
func renewals(calls []Event) []Event {
	for i := range calls {
		if calls[i].Type == CalledKOS {
			calls[i].Type, calls[i].Text = RenewedEarly, calls[i].Text+": 자주 조회되는 요금을 만료 전에 갱신하였습니다"
		}
	}
	return calls
}

// end returns the event of the end, if the inquiry has ended.
func (q Inquiry) end() []Event {
	e := Event{At: q.Row.ProcessedAt}
	switch q.Row.Status {
	case bill.Completed:
		e.Source, e.Type, e.Text = q.answer()
		e.Facts = facts("source", string(q.Row.Source), "asOf", timeText(q.Row.AsOf), "attempts", number(q.Row.Attempts))
	case bill.Failed, bill.Timeout:
		e.Source, e.Type, e.Text = Request, Failed, "요금을 조회하지 못하였습니다: "+q.Row.Reason()
		if q.Row.Status == bill.Timeout {
			e.Type = TimedOut
		}
		e.Facts = facts("code", string(q.Row.FailureCode), "attempts", number(q.Row.Attempts))
	case bill.Processing:
		return nil
	}
	return []Event{e}
}

func (q Inquiry) answer() (Source, EventType, string) {
	switch q.Row.Source {
	case freshness.FromCache:
		return Cache, FromCache, "보관 중인 요금이 유효하여 KOS를 기다리지 않고 답하였습니다"
	case freshness.FromStale:
		if q.Row.Attempts == 0 {
			return Cache, Stale,
				"KOS를 호출할 수 없어 보관 중인 이전 요금으로 답하였습니다 (회로 차단기 열림, 호출 한도 소진 또는 연결 불가)"
		}
		return Cache, Stale, "KOS에서 요금을 받지 못하여 보관 중인 이전 요금으로 답하였습니다"
	case freshness.FromKOS:
	}
	if len(q.Calls) == 0 && len(q.Gaps) == 0 {
		return KOS, FromKOS,
			"KOS의 응답으로 답하였습니다. 이 요청의 호출 기록은 없습니다: 같은 요금을 먼저 조회한 요청의 응답을 함께 " +
				"사용하였거나 기록의 보관 기간이 지났습니다"
	}
	return KOS, FromKOS, "KOS의 응답으로 답하였습니다"
}

package timeline

import (
	"time"

	"phonebill/core/audit"
	"phonebill/core/fault"
	"phonebill/core/product"
)

// What can happen to a plan change (ADR 21, UFR-PROD-040).
const (
	CheckPassed      EventType = "CHECK_PASSED"
	CheckFailed      EventType = "CHECK_FAILED"
	Dispatched       EventType = "DISPATCHED"
	Waiting          EventType = "WAITING"
	NotSent          EventType = "NOT_SENT"
	Unknown          EventType = "UNKNOWN"
	StillUnknown     EventType = "STILL_UNKNOWN"
	NotAtKOS         EventType = "NOT_AT_KOS"
	Parked           EventType = "PARKED"
	Proposed         EventType = "PROPOSED"
	Resolved         EventType = "RESOLVED"
	AskedAgain       EventType = "ASKED_AGAIN"
	Cancelled        EventType = "CANCELLED"
	CustomerNotified EventType = "CUSTOMER_TOLD"
)

// Step is one state that an order was stored in.
type Step struct {
	At     time.Time
	State  product.State
	Code   string // result code, when there is one
	Sends  int    // attempts that were or may have been on the wire
	Note   string // why KOS could not be asked, when it could not
	NextAt time.Time
}

// Decision is one person's decision about a parked order. Applied is true when it was the second person's and took
// effect.
type Decision struct {
	product.Resolution
	Applied bool
}

// Order is what is stored about one plan change.
type Order struct {
	Line       string        // masked
	Row        product.Order // its line and its customer may be left out
	Steps      []Step        // oldest first, as all here
	Decisions  []Decision
	Calls      []audit.Call
	Deliveries Deliveries
	NotifiedAt time.Time // when the customer was notified; zero = not (yet)
	Notices    int       // attempts to notify the customer
	Gaps       []Gap
}

// Timeline returns the timeline of the order.
func (o Order) Timeline() Timeline {
	s := Timeline{
		Kind: Change, Line: o.Line, Status: string(o.Row.State), Missing: o.Gaps,
		Events: foldRepeatedChecks(mergeEvents(o.decisionEvents(), o.stateEvents(), callEvents(o.Calls),
			o.Deliveries.events(), o.noticeEvents())),
	}
	if !o.Row.State.Final() && o.Row.State != product.Parked {
		s.NextAt = o.Row.NextAttemptAt
	}
	return s.truncated()
}

// stateEvents begin with the request itself; a first step that only repeats it is left out.
func (o Order) stateEvents() []Event {
	r := o.Row
	all := []Event{{
		At: r.RequestedAt, Source: Request, Type: Requested, Text: "고객이 상품 변경을 신청하였습니다",
		Facts: facts("from", r.From, "to", r.To, "effectiveDate", r.EffectiveDate.String(),
			"transactionId", r.TransactionID.String()),
	}}
	before := Step{State: product.Requested}
	for i, s := range o.Steps {
		if i > 0 || s.State != product.Requested {
			all = append(all, o.stepEvents(before, s)...)
		}
		before = s
	}
	return all
}

// stepEvents returns the events that led from one stored state to the next one.
func (o Order) stepEvents(before, s Step) []Event {
	e := Event{At: s.At, Source: Request, Facts: facts("sends", number(s.Sends), "code", s.Code)}
	switch s.State {
	case product.Requested:
		e = waiting(e, s, Waiting, "사전 체크에 필요한 정보를 KOS에서 받지 못하여 대기합니다")
	case product.Validated:
		e = validated(e, before, s)
	case product.Dispatched:
		e.Type, e.Text = Dispatched, "KOS에 보내기 전에 전송 시도를 저장하였습니다"
		if before.State == product.Requested { // the steps do not say whether it is checked again later
			passed := Event{At: s.At, Source: Check, Type: CheckPassed, Text: "사전 체크를 통과하였습니다", Facts: facts()}
			return []Event{passed, e}
		}
	case product.Unknown:
		e = unknown(e, before, s)
	case product.Parked:
		e.Type, e.Text = Parked, "KOS에 물어도 결과를 판단할 수 없어 담당자의 확인을 기다립니다"
	case product.Completed:
		e.Type, e.Text = Completed, "상품 변경이 완료되었습니다"
		e.Facts = facts("sends", number(s.Sends), "code", s.Code, "kosOrder", o.Row.KOSOrder)
	case product.Failed:
		e = o.failed(e, s)
	case product.Cancelled:
		e.Type, e.Text = Cancelled, "고객이 신청을 취소하였습니다"
		if s.Note != "" { // that of a member of staff
			e.Source, e.Text = Staff, "담당자가 고객의 신청을 취소하였습니다"
		}
	}
	return []Event{e}
}

// validated returns the event of an order that has passed its check and waits to be sent again.
func validated(e Event, before, s Step) Event {
	switch before.State { //nolint:exhaustive // all others have not been sent
	case product.Unknown:
		e.Source, e.Type, e.Text = KOS, NotAtKOS, "KOS에 이 변경이 없음을 확인하였습니다. 같은 거래 번호로 다시 보냅니다"
		return e
	case product.Dispatched:
		return waiting(e, s, NotSent, "KOS에 보내지 않은 것이 확실합니다. 대기 후 다시 보냅니다")
	default:
		return waiting(e, s, Waiting, "사전 체크에 필요한 정보를 KOS에서 받지 못하여 대기합니다")
	}
}

func waiting(e Event, s Step, what EventType, text string) Event {
	e.Source, e.Type, e.Text = Queue, what, text+notAskedTexts[s.Note]
	e.Facts = facts("sends", number(s.Sends), "nextAt", timeText(s.NextAt), "why", s.Note)
	return e
}

// notAskedTexts say for staff why a call was not sent (ports.NotAskedError).
var notAskedTexts = map[string]string{
	"OPEN": " (회로 차단기 열림)", "QUOTA": " (KOS 호출 한도 소진)", "NOT_SENT": " (KOS에 연결할 수 없음)",
	"REFUSED": " (KOS가 인증 키를 거절함)",
}

func unknown(e Event, before, s Step) Event {
	e.Facts = facts("sends", number(s.Sends), "nextAt", timeText(s.NextAt), "why", s.Note)
	switch before.State { //nolint:exhaustive // all others have been sent just now
	case product.Parked:
		e.Source, e.Type, e.Text = Staff, AskedAgain, "담당자의 결정에 따라 KOS에 다시 확인합니다"
	case product.Unknown:
		e.Type, e.Text = StillUnknown, "결과를 아직 알 수 없습니다. 다시 확인합니다"+notAskedTexts[s.Note]
	default:
		e.Type, e.Text = Unknown, "KOS의 확답을 받지 못하여 결과를 알 수 없습니다. KOS에 확인합니다"
	}
	return e
}

// failed distinguishes a failed check from a refusal by KOS or a person: the code of a check is our own.
func (o Order) failed(e Event, s Step) Event {
	e.Type, e.Text = Failed, "상품 변경을 하지 못하였습니다: "+o.Row.FailureReason
	switch fault.Code(s.Code) { //nolint:exhaustive // the codes of checks (product.Order)
	case fault.ValidationFailed, fault.LineSuspended, fault.LineNotFound:
		e.Source, e.Type, e.Text = Check, CheckFailed, "사전 체크에 실패하였습니다: "+o.Row.FailureReason
	}
	return e
}

func (o Order) decisionEvents() []Event {
	all := make([]Event, len(o.Decisions))
	for i, w := range o.Decisions {
		all[i] = Event{
			At: w.At, Source: Staff, Type: Proposed,
			Text:  "담당자가 처리 결과를 제안하였습니다. 다른 담당자의 확인이 필요합니다",
			Facts: facts("by", string(w.By), "outcome", string(w.Outcome), "reason", w.Reason),
		}
		if w.Applied {
			all[i].Type, all[i].Text = Resolved, "다른 담당자가 같은 결과를 확인하여 처리하였습니다"
		}
	}
	return all
}

func (o Order) noticeEvents() []Event {
	if o.NotifiedAt.IsZero() {
		return nil
	}
	return []Event{{
		At: o.NotifiedAt, Source: Notice, Type: CustomerNotified, Text: "고객에게 결과를 알렸습니다",
		Facts: facts("attempts", number(o.Notices)),
	}}
}

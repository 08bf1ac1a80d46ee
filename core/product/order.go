package product

import (
	"slices"
	"time"

	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
)

// State of a change order.
type State string

// The states. Completed, Rejected and Cancelled are final; Parked waits for a person.
const (
	Requested  State = "REQUESTED"  // stored; facts not checked yet
	Validated  State = "VALIDATED"  // pre-check passed; not sent
	Dispatched State = "DISPATCHED" // attempt stored, about to be or being sent
	Unknown    State = "UNKNOWN"    // sent, outcome not known (ADR 21)
	Parked     State = "PARKED"     // ambiguous: a person decides
	Completed  State = "COMPLETED"
	Failed     State = "FAILED"
	Cancelled  State = "CANCELLED"
)

// Queue is what a worker takes orders from.
type Queue uint8

// The queues. Orders that are begun come first: each has used calls of the budget already, which would be wasted if new
// ones went ahead.
const (
	Begun Queue = iota // checked or sent
	New                // never checked
)

// Of reports whether an order in that state waits in the queue.
func (q Queue) Of(s State) bool {
	switch s {
	case Requested:
		return q == New
	case Validated, Dispatched, Unknown:
		return q == Begun
	case Parked, Completed, Failed, Cancelled:
	}
	return false
}

// Event is what can happen to an order.
type Event uint8

// The events.
const (
	CheckPassed   Event = iota // the pre-check passed
	CheckFailed                // the pre-check failed
	Sending                    // an attempt is stored before the wire is touched
	NotSent                    // the attempt provably never reached KOS
	AcceptedByKOS              // KOS has it
	RefusedByKOS               // KOS refused it
	NoAnswer                   // sent, but no verdict came back
	NotAtKOS                   // KOS provably does not know the transaction
	Ambiguous                  // reconciliation cannot decide
	Cancel                     // the customer takes it back
	AskAgain                   // a person has a parked order asked about again
)

// next is the state machine of ADR 21 and UFR-PROD-040, cell by cell; a missing cell is forbidden.
var next = map[State]map[Event]State{
	Requested:  {CheckPassed: Validated, CheckFailed: Failed, Cancel: Cancelled},
	Validated:  {CheckPassed: Validated, Sending: Dispatched, CheckFailed: Failed, Cancel: Cancelled},
	Dispatched: {NotSent: Validated, AcceptedByKOS: Completed, RefusedByKOS: Failed, NoAnswer: Unknown},
	Unknown: {NotAtKOS: Validated, AcceptedByKOS: Completed, RefusedByKOS: Failed, NoAnswer: Unknown,
		Ambiguous: Parked},
	Parked:    {AcceptedByKOS: Completed, RefusedByKOS: Failed, AskAgain: Unknown},
	Completed: {},
	Failed:    {},
	Cancelled: {},
}

// Final reports whether nothing can happen any more.
func (s State) Final() bool { return len(next[s]) == 0 }

// checkHolds is how long a passed check is valid when the order could not be sent at once. Without it an order whose
// check used up the budget's last call would check anew when the next one is free, and never be sent while others do
// the same. KOS checks again anyway.
const checkHolds = 2 * time.Minute

// Waits between the steps of a reconciliation (S-QUIET, S-LEASE).
const (
	QuietPeriod = 10 * time.Second
	parkAfter   = 24 * time.Hour
	minSilences = 40 // questions since it was sent before an order is parked, however old it is: about 20 minutes
	resendWait  = 5 * time.Second
	maxRecheck  = 5 * time.Minute // between checks of an order whose facts KOS keeps failing on

	// maxHold is the longest wait for KOS, however long it is down, silent, or refuses changes: an order is final 60 s
	// after KOS is back (S-RECOVERY). A quarter of spread is added, and the time of a last failing call: 10 s, or 5 s
	// and the quiet period.
	maxHold = 30 * time.Second

	// maxSends is how many attempts may end without a verdict before an order is parked: some 20 minutes. Each costs
	// the quiet period and a wait of at most maxHold: 28 take 17 min when KOS fails at once, 24 min when each hangs for
	// 5 s and all waits have the largest spread.
	maxSends = 28
)

// spread adds up to a quarter, other orders other parts of it, so that those of one moment do not come back together.
func (o Order) spread(wait time.Duration) time.Duration {
	const parts = 64
	return wait + wait/4*time.Duration(o.ID[len(o.ID)-1]%parts)/parts
}

// Order is one request to change one line's plan. TransactionID and EffectiveDate are made once, stored before the
// first call and reused in every attempt (ADR 21, ADR 22).
type Order struct {
	ID            id.ID
	TransactionID id.ID
	UserID        auth.UserID
	CustomerID    string
	Line          line.Number
	From, To      string // plan codes
	FromName      string // empty until the facts are known
	// To, as the list described it when the order was checked; before that as our copy did, if it knew it
	Target        Plan
	Rule          EffectiveRule
	EffectiveDate calendar.Date
	State         State
	CheckedAt     time.Time // when the pre-check said yes; zero until then
	RequestedAt   time.Time
	ProcessedAt   time.Time // zero until final
	ResultCode    string    // KOS result code or public error code; empty until known
	ResultMessage string
	FailureReason string
	KOSOrder      string // KOS's order number; empty until accepted
	Sends         int    // attempts that were or may have been on the wire; 0 = KOS cannot have seen the order
	Silences      int    // silences since it was last sent: that of the attempt, then those of the questions
	NextAttemptAt time.Time
	WaitingForKOS bool   // KOS could not be asked at the last attempt; the order waits for that
	Note          string // for staff: why KOS could not be asked this time; kept with the step alone (core/timeline)
	TraceID       string // of the call that made it; empty for those of older releases
	Fence         int64  // lease under which it was claimed; the store refuses older ones
	Version       int64  // raised by each write; the store refuses what was made of an older one
}

// Apply moves the order; CONFLICT when the event is forbidden in its state.
func (o Order) Apply(e Event) (Order, error) {
	to, ok := next[o.State][e]
	if !ok {
		return o, fault.New(fault.StateConflict).WithDetail("state", o.Public())
	}
	o.State = to
	return o, nil
}

// AnswerKind is the kind of KOS's answer to an attempt or to a question about one.
type AnswerKind uint8

// The kinds of KOS's answers.
const (
	AnswerAccepted  AnswerKind = iota // done, or accepted for its effective date
	AnswerRefused                     // a business answer: refused
	AnswerNotSent                     // provably never reached KOS: breaker, quota, no connection
	AnswerUnknown                     // anything else (ADR 21: never FAILED)
	AnswerAbsent                      // KOS does not know the transaction (questions only)
	AnswerNoQuery                     // this KOS cannot be asked about transactions (questions only)
	AnswerAmbiguous                   // the line's plans have more than one explanation (InferFromPlans only)
)

// Answer is KOS's answer to a change or to a question about one. A refusal is a value, not an error.
type Answer struct {
	Kind       AnswerKind
	Code       string  // KOS result code, "" when none came
	Refusal    Refusal // when refused
	KOSOrder   string
	RetryAfter time.Duration // when not sent: when a try makes sense; 0 = no idea
	Why        string        // when not sent: the reason, for staff
}

// Refusal is the reason of KOS's refusal, in our terms.
type Refusal uint8

// The refusals of R-KOS-CODES (E101 … E110, E003, E001).
const (
	RefusedOther Refusal = iota
	RefusedContractTerm
	RefusedIncompatible
	RefusedUnpaid
	RefusedNotOnSale
	RefusedOperator
	RefusedNotCurrent
	RefusedLine
)

// Reason returns the Korean text for the customer: what is wrong and what to do.
func (r Refusal) Reason() string {
	switch r {
	case RefusedContractTerm:
		return "약정 기간 중에는 변경할 수 없는 상품입니다. 약정 만료 후 다시 신청해주세요"
	case RefusedIncompatible:
		return "사용 중인 단말기와 호환되지 않는 상품입니다. 다른 상품을 선택해주세요"
	case RefusedUnpaid:
		return "미납 요금이 있어 변경할 수 없습니다. 미납 요금을 납부한 후 다시 신청해주세요"
	case RefusedNotOnSale:
		return "현재 판매 중인 상품이 아닙니다"
	case RefusedOperator:
		return "가입하신 사업자의 상품이 아닙니다"
	case RefusedNotCurrent:
		return "현재 이용 중인 상품 정보가 일치하지 않습니다. 다시 조회한 후 신청해주세요"
	case RefusedLine:
		return "이용 중인 회선이 아니어서 상품을 변경할 수 없습니다"
	case RefusedOther:
		return "통신사에서 변경을 거절하였습니다. 고객센터로 문의해주세요"
	default:
		return "통신사에서 변경을 거절하였습니다. 고객센터로 문의해주세요"
	}
}

// Messages of UFR-PROD-030 and UFR-PROD-040, verbatim.
const (
	CheckOKMessage     = "상품 사전 체크에 성공하였습니다"
	CheckFailedMessage = "상품 사전 체크에 실패하였습니다"
	ChangedMessage     = "상품 변경이 완료되었습니다"
	ChangeFailed       = "상품 변경 요청을 실패하였습니다"
	ChangeCancelled    = "상품 변경 요청이 취소되었습니다"
)

// WithPlanNames fills in what is known of the plans: the customer is shown what was ordered, even if the plan is
// changed later. c describes the line's own plan, which the list may not contain any more; its zero value describes
// nothing.
func (o Order) WithPlanNames(plans PlansCopy, c Customer) Order {
	described := Plan{}
	if c.PlanCode == o.From {
		described = c.Plan
	}
	if name := plans.Named(o.From, described).Name; name != "" {
		o.FromName = name
	}
	if p, ok := plans.Find(o.To); ok {
		o.Target = p
	}
	return o
}

// WaitForKOS postpones an order that could not be checked because KOS could not be asked: by after, and at least by
// resendWait.
func (o Order) WaitForKOS(after time.Duration, now time.Time) Order {
	o.NextAttemptAt, o.WaitingForKOS = now.Add(o.spread(min(max(resendWait, after), maxHold))), true
	return o
}

// Recheck postpones an order whose facts KOS was asked for and did not return: by half of the time it has waited so
// far, so that a line on which KOS keeps failing leaves the calls to others.
func (o Order) Recheck(now time.Time) Order {
	o.NextAttemptAt, o.WaitingForKOS = now.Add(o.spread(min(max(resendWait, now.Sub(o.RequestedAt)/2), maxRecheck))), true
	return o
}

// ToCheck reports whether the order must be checked before it is sent. One that may have been sent is not checked: an
// earlier attempt may have been applied late, and facts that show it would fail the checks ("already your plan") and
// end a success as FAILED. KOS knows the transaction and repeats its answer.
func (o Order) ToCheck(now time.Time) bool {
	return o.Sends == 0 && now.Sub(o.CheckedAt) > checkHolds
}

// Overdue reports whether the order was never sent and its day is over: KOS is not asked to change a plan in the past.
func (o Order) Overdue(now time.Time) bool {
	return o.Sends == 0 && calendar.DateOf(now).After(o.EffectiveDate)
}

// Renew gives an overdue order a new transaction id and a new day by the same rule (ADR 22).
func (o Order) Renew(transaction id.ID, now time.Time) Order {
	o.TransactionID, o.EffectiveDate = transaction, o.Rule.Day(now)
	return o
}

// CancelByCustomer cancels the order for its customer, which is possible while KOS cannot have seen it; CONFLICT after
// that.
func (o Order) CancelByCustomer(now time.Time) (Order, error) {
	if o.Sends > 0 {
		return o, fault.New(fault.StateConflict).WithDetail("state", o.Public())
	}
	o, err := o.Apply(Cancel)
	o.ProcessedAt, o.ResultMessage, o.FailureReason = now, ChangeCancelled, "고객이 신청을 취소하였습니다"
	return o, err
}

// ApplyVerdict applies a pre-check's verdict.
func (o Order) ApplyVerdict(v Verdict, now time.Time) (Order, error) {
	o.WaitingForKOS = false
	if v.OK() {
		o.CheckedAt = now
		return o.Apply(CheckPassed)
	}
	o, err := o.Apply(CheckFailed)
	if err != nil {
		return o, err
	}
	code := fault.ValidationFailed
	if v.LineNotInUse() {
		code = fault.LineSuspended
	}
	o.ProcessedAt, o.ResultCode = now, string(code)
	o.ResultMessage, o.FailureReason = CheckFailedMessage, v.FailureReason()
	return o, nil
}

// FailUnknownLine ends an order whose line KOS does not know.
func (o Order) FailUnknownLine(now time.Time) (Order, error) {
	o.WaitingForKOS = false
	o, err := o.Apply(CheckFailed)
	o.ProcessedAt, o.ResultCode = now, string(fault.LineNotFound)
	o.ResultMessage, o.FailureReason = CheckFailedMessage, "회선 정보를 찾을 수 없습니다"
	return o, err
}

// FailureCode returns the error code of a failed order: that of the check that failed, else CHANGE_DENIED, which KOS
// and staff decide. It is empty while the order has not failed.
func (o Order) FailureCode() fault.Code {
	if o.State != Failed {
		return ""
	}
	code := fault.Code(o.ResultCode)
	ours := []fault.Code{fault.ValidationFailed, fault.LineSuspended, fault.LineNotFound}
	if !slices.Contains(ours, code) {
		return fault.ChangeDenied
	}
	return code
}

// FailureError returns the error that the customer sees for a failed order: 409 (404 for an unknown line), with the
// request id.
func (o Order) FailureError() error {
	return fault.New(o.FailureCode()).WithMessage(o.ResultMessage+": "+o.FailureReason).
		WithDetail("requestId", o.ID.String())
}

// Account returns the account for which the order is made.
func (o Order) Account() auth.Holder {
	return auth.Holder{UserID: o.UserID, CustomerID: o.CustomerID}
}

// Send marks the order as about to be sent once more; the caller stores it before touching the wire.
func (o Order) Send() (Order, error) {
	o, err := o.Apply(Sending)
	if err == nil {
		o.Sends++
		o.Silences = 0
		o.WaitingForKOS = false
	}
	return o, err
}

// ApplyAnswer applies KOS's answer to a send or, when the order is Unknown, to a question about it.
func (o Order) ApplyAnswer(a Answer, now time.Time) (Order, error) {
	switch a.Kind {
	case AnswerAccepted:
		o, err := o.Apply(AcceptedByKOS)
		o.ProcessedAt, o.ResultCode, o.KOSOrder = now, a.Code, a.KOSOrder
		o.ResultMessage, o.FailureReason = ChangedMessage, ""
		return o, err
	case AnswerRefused:
		o, err := o.Apply(RefusedByKOS)
		o.ProcessedAt, o.ResultCode = now, a.Code
		o.ResultMessage, o.FailureReason = ChangeFailed, a.Refusal.Reason()
		return o, err
	case AnswerNotSent:
		o.Note = a.Why
		wait := min(a.RetryAfter, maxHold)
		if wait <= 0 {
			wait = resendWait
		}
		if o.State == Unknown { // the question was not sent; the order is as unknown as before
			o.NextAttemptAt = now.Add(wait)
			return o, nil
		}
		o.NextAttemptAt, o.WaitingForKOS = now.Add(wait), true
		o.Sends-- // it never was on the wire: an order with Sends 0 is one that KOS cannot have seen
		return o.Apply(NotSent)
	case AnswerAbsent:
		if o.Sends >= maxSends { // what keeps KOS from taking it will not go away by itself
			return o.Apply(Ambiguous)
		}
		o.NextAttemptAt = now.Add(o.spread(o.resendAfter()))
		return o.Apply(NotAtKOS)
	case AnswerAmbiguous:
		return o.Apply(Ambiguous)
	case AnswerUnknown, AnswerNoQuery:
		return o.waitUnanswered(now)
	default:
		return o.waitUnanswered(now)
	}
}

// InferFromPlans returns what the line's plans show about an Unknown order whose transaction KOS cannot be asked about.
// A schedule made under another transaction, or a plan that no order of ours asked for, is ambiguous: a person decides.
func (o Order) InferFromPlans(c Customer, now time.Time) Answer {
	next, begun := c.Scheduled, !o.EffectiveDate.After(calendar.DateOf(now))
	switch {
	case c.PlanCode == o.To && begun, next != nil && o.explains(*next):
		return Answer{Kind: AnswerAccepted, Code: "0000"}
	case c.PlanCode == o.From && next == nil:
		return Answer{Kind: AnswerAbsent}
	default:
		return Answer{Kind: AnswerAmbiguous}
	}
}

// explains reports whether the schedule was made by this order.
func (o Order) explains(s Scheduled) bool {
	if !s.TransactionID.IsZero() {
		return s.TransactionID == o.TransactionID
	}
	return s.PlanCode == o.To && s.EffectiveDate == o.EffectiveDate
}

// mayExplain reports whether the schedule is for the plan ordered, and KOS leaves out the values by which it differs
// from another order's.
func (o Order) mayExplain(s Scheduled) bool {
	return s.PlanCode == o.To && s.TransactionID.IsZero() && s.EffectiveDate.IsZero()
}

// resendAfter returns how long an order that KOS provably does not know waits before it is sent again: not at all the
// first time, then 10, 20, 30, 30 … s (maxHold). A line on which KOS keeps failing costs a change and a question in 40
// s at most; when many do, the breaker keeps the calls for others.
func (o Order) resendAfter() time.Duration {
	return min(time.Duration(max(o.Sends, 1)-1)*QuietPeriod, maxHold)
}

// waitUnanswered waits the quiet period, then 20 and 30 s, and 30 s each time however long KOS is silent (maxHold); in
// the end it parks the order for a person. An order may be old because KOS was down before it was sent; KOS is asked
// about it all the same.
func (o Order) waitUnanswered(now time.Time) (Order, error) {
	if o.State == Unknown && o.Silences >= minSilences && now.Sub(o.RequestedAt) > parkAfter {
		return o.Apply(Ambiguous)
	}
	wait := min(time.Duration(o.Silences+1)*QuietPeriod, maxHold)
	o.Silences++
	o.NextAttemptAt = now.Add(o.spread(wait))
	return o.Apply(NoAnswer)
}

// HistoryFilter selects rows of a customer's own change history; zero values do not filter. From and To are days in
// Seoul, both included.
type HistoryFilter struct {
	UserID   auth.UserID
	Lines    []line.Number
	From, To calendar.Date
	Status   string // as Order.Public returns it; empty = any
	Page     int    // from 1
	Size     int
}

// CancelledByStaff is why an order ended that staff took back for its customer.
const CancelledByStaff = "고객센터에서 신청을 취소하였습니다"

// Outcome is the outcome of a parked order that a person states.
type Outcome string

// The outcomes. Completed and failed are final; reconcile lets KOS be asked again.
const (
	OutcomeCompleted Outcome = "COMPLETED"
	OutcomeFailed    Outcome = "FAILED"
	OutcomeAskAgain  Outcome = "RECONCILE"
)

// Outcomes lists every outcome.
func Outcomes() []Outcome { return []Outcome{OutcomeCompleted, OutcomeFailed, OutcomeAskAgain} }

// Resolution is one person's decision about a parked order. Its zero value is none.
type Resolution struct {
	Outcome Outcome
	Reason  string // for staff and the audit log; the customer never sees it
	By      auth.UserID
	At      time.Time
}

// maxResolveReason is the longest reason of a resolution, in characters after trimming.
const maxResolveReason = 500

// ParseResolution trims the reason; VALIDATION_ERROR names the field that is wrong.
func ParseResolution(outcome, reason string, by auth.UserID, at time.Time) (Resolution, error) {
	r := Resolution{Outcome: Outcome(outcome), By: by, At: at}
	switch r.Outcome {
	case OutcomeCompleted, OutcomeFailed, OutcomeAskAgain:
	default:
		return Resolution{}, fault.InvalidField("outcome", "COMPLETED, FAILED, RECONCILE 중 하나여야 합니다")
	}
	var err error
	if r.Reason, err = auth.ParseReasonUpTo(maxResolveReason, reason); err != nil {
		return Resolution{}, err
	}
	return r, nil
}

// ProposalLifetime is how long a proposal waits for a second person.
const ProposalLifetime = 24 * time.Hour

// Confirmable reports whether a second person can still confirm the proposal at now.
func (r Resolution) Confirmable(now time.Time) bool {
	return !r.At.IsZero() && now.Before(r.At.Add(ProposalLifetime))
}

// Judgement is what the rule of four eyes makes of a resolution.
type Judgement uint8

// The judgements.
const (
	Proposed  Judgement = iota // remembered: another person must say the same
	Confirmed                  // the second person has said the same: it is done
)

// String returns the name in the API and the audit log.
func (j Judgement) String() string {
	if j == Confirmed {
		return ResultResolved
	}
	return "PROPOSED"
}

// Judge applies the rule of four eyes: what one person proposes is applied when another one states the same outcome
// within ProposalLifetime. A different outcome is a proposal of its own. So is a correction by the first person, and a
// decision at the console about a proposal made at the gateway, or the other way round: an account of the operating
// system and a user id may be one human. An exact repetition by the same person fails with CONFLICT. proposal is the
// last one that was not carried out, or none.
func (r Resolution) Judge(proposal Resolution) (Judgement, error) {
	switch {
	case !proposal.Confirmable(r.At):
		return Proposed, nil
	case proposal.Outcome == r.Outcome && !proposal.By.Same(r.By) && proposal.By.IsAtConsole() == r.By.IsAtConsole():
		return Confirmed, nil
	case proposal.By.Same(r.By) && proposal.Outcome == r.Outcome && proposal.Reason == r.Reason:
		return Proposed, fault.New(fault.StateConflict).WithMessage("다른 담당자의 확인이 필요합니다")
	default:
		return Proposed, nil
	}
}

// What a resolved order shows. The operator's reason is not for the customer.
const (
	ResultResolved   = "RESOLVED"
	ResolvedAsFailed = "통신사에서 상품 변경이 처리되지 않은 것으로 확인되었습니다. 다시 신청해주세요"
)

// Resolve applies a confirmed resolution to a parked order; CONFLICT when it is not parked any more.
func (o Order) Resolve(r Resolution) (Order, error) {
	if o.State != Parked {
		return o, fault.New(fault.StateConflict).WithMessage("확인 대기 중인 요청이 아닙니다").WithDetail("state", o.Public())
	}
	switch r.Outcome {
	case OutcomeCompleted:
		return o.ApplyAnswer(Answer{Kind: AnswerAccepted, Code: ResultResolved, KOSOrder: o.KOSOrder}, r.At)
	case OutcomeFailed:
		o, err := o.ApplyAnswer(Answer{Kind: AnswerRefused, Code: ResultResolved}, r.At)
		o.FailureReason = ResolvedAsFailed
		return o, err
	case OutcomeAskAgain:
		o.Silences, o.NextAttemptAt = 0, r.At
		return o.Apply(AskAgain)
	default:
		return o, fault.InvalidField("outcome", "COMPLETED, FAILED, RECONCILE 중 하나여야 합니다")
	}
}

// ParkedOrder is one parked order as staff see it.
type ParkedOrder struct {
	ID            id.ID
	TransactionID id.ID
	Line          string // masked; empty when what is stored cannot be read
	From, To      string // plan codes
	EffectiveDate calendar.Date
	RequestedAt   time.Time
	ParkedAt      time.Time
	Sends         int
	Reconciles    int
	KOSOrder      string     // empty when KOS returned none
	Proposal      Resolution // the last one that was not carried out, or none; it may be too old to be confirmed
}

// MaxParkedCounted is the largest number of parked orders that a list counts; page x size goes no further (S-PAGE).
const MaxParkedCounted = 10_000

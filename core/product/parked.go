package product

import (
	"time"

	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
)

// Outcome is the outcome of a parked order that a person states.
type Outcome string

// The outcomes. Completed and failed are final; reconcile lets KOS be asked again.
const (
	OutcomeCompleted Outcome = "COMPLETED"
	OutcomeFailed    Outcome = "FAILED"
	OutcomeReconcile Outcome = "RECONCILE"
)

// Outcomes lists every outcome.
func Outcomes() []Outcome { return []Outcome{OutcomeCompleted, OutcomeFailed, OutcomeReconcile} }

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
	case OutcomeCompleted, OutcomeFailed, OutcomeReconcile:
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
	case OutcomeReconcile:
		o.Reconciles, o.NextAttemptAt = 0, r.At
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

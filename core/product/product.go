// Package product holds plans, customers' contracts, the pre-check of a plan change and the change order with its state
// machine (UFR-PROD-010…040). Begin with Order (order.go).
package product

import (
	"cmp"
	"slices"
	"time"

	"phonebill/core/calendar"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
	"phonebill/core/personal"
)

// Plan is a tariff. What KOS leaves out is unknown: it is empty or nil, never 0 won.
type Plan struct {
	Code, Name     string
	MonthlyFee     *money.Won // won a month; nil when KOS states none
	DataAllowance  string     // shown as text: 「무제한」, 「50GB」
	VoiceAllowance string
	SMSAllowance   string
	NetworkType    string // 5G, LTE, 3G
	Description    string
	OnSale         bool
	SaleUnknown    bool // KOS does not say whether it is on sale; OnSale is false then
	OperatorCode   string
}

// Or returns the plan with what is not known of it taken from another description of the same plan.
func (p Plan) Or(o Plan) Plan {
	if p.Code != o.Code {
		return p
	}
	if p.MonthlyFee == nil {
		p.MonthlyFee = o.MonthlyFee
	}
	if p.SaleUnknown {
		p.OnSale, p.SaleUnknown = o.OnSale, o.SaleUnknown
	}
	p.Name, p.DataAllowance, p.VoiceAllowance = cmp.Or(p.Name, o.Name), cmp.Or(p.DataAllowance, o.DataAllowance),
		cmp.Or(p.VoiceAllowance, o.VoiceAllowance)
	p.SMSAllowance, p.NetworkType = cmp.Or(p.SMSAllowance, o.SMSAllowance), cmp.Or(p.NetworkType, o.NetworkType)
	p.Description, p.OperatorCode = cmp.Or(p.Description, o.Description), cmp.Or(p.OperatorCode, o.OperatorCode)
	return p
}

// Dearer returns how many won a month more the plan costs than another one (negative = cheaper); nil when a fee is not
// known.
func (p Plan) Dearer(than Plan) *money.Won {
	if p.MonthlyFee == nil || than.MonthlyFee == nil {
		return nil
	}
	return new(*p.MonthlyFee - *than.MonthlyFee)
}

// LineStatus is the state of a line at the carrier.
type LineStatus string

// The line states.
const (
	LineActive     LineStatus = "ACTIVE"
	LineSuspended  LineStatus = "SUSPENDED"
	LineTerminated LineStatus = "TERMINATED"
)

// Customer is what KOS knows about the contract of one line.
type Customer struct {
	CustomerID   string
	Line         line.Number
	Name         personal.Name
	OperatorCode string
	LineStatus   LineStatus
	PlanCode     string     // in force today
	Plan         Plan       // the same as KOS describes it with the customer; zero when it gives the code alone
	Scheduled    *Scheduled // nil when no change is scheduled
	Contract     Contract
}

// Scheduled is an accepted change whose day has not come yet.
type Scheduled struct {
	PlanCode      string
	Plan          Plan          // the same as KOS describes it with the customer; zero when it gives the code alone
	EffectiveDate calendar.Date // zero when KOS gives none
	TransactionID id.ID         // under which it was ordered; zero when it was none of ours or KOS does not state it
}

// Contract is the term of a line; what KOS does not state is zero or nil.
type Contract struct {
	Date, TermEnd       calendar.Date
	EarlyTerminationFee *money.Won
}

// CustomerCopy is a customer as KOS stated it at AsOf. It is doubtful when a release stored it that wrote 0 won for an
// amount that KOS had left out: values that may be invented are left out then, and the copy is never fresh.
type CustomerCopy struct {
	Customer Customer
	AsOf     time.Time
	Doubtful bool
}

// Limits returns the copy's lifetimes: within, but never fresh when it is doubtful.
func (c CustomerCopy) Limits(within freshness.Limits) freshness.Limits {
	return limits(c.Doubtful, within)
}

// PlansCopy is the plan list as KOS stated it at AsOf; doubtful as CustomerCopy is.
type PlansCopy struct {
	Plans    []Plan
	AsOf     time.Time
	Doubtful bool
}

// Limits returns the copy's lifetimes: within, but never fresh when it is doubtful.
func (c PlansCopy) Limits(within freshness.Limits) freshness.Limits {
	return limits(c.Doubtful, within)
}

func limits(doubtful bool, within freshness.Limits) freshness.Limits {
	if doubtful {
		return within.NeverFresh()
	}
	return within
}

// Find returns the plan with the code; ok is false when there is none.
func (c PlansCopy) Find(code string) (p Plan, ok bool) {
	for _, p := range c.Plans {
		if p.Code == code {
			return p, true
		}
	}
	return Plan{}, false
}

// Named returns the plan with the code. What the list does not know of it is taken from described, as KOS describes the
// plan with a customer; a plan of which neither knows anything has its code and nothing else.
func (c PlansCopy) Named(code string, described Plan) Plan {
	p, ok := c.Find(code)
	if !ok {
		p = Plan{Code: code, SaleUnknown: true}
	}
	return p.Or(described)
}

// Available returns the plans a line may change to: on sale, of the operator (empty = any), without those that it has
// or will have.
func (c PlansCopy) Available(operator string, without ...string) []Plan {
	out := make([]Plan, 0, len(c.Plans))
	for _, p := range c.Plans {
		if p.OnSale && !slices.Contains(without, p.Code) && (operator == "" || p.OperatorCode == operator) {
			out = append(out, p)
		}
	}
	return out
}

// Public returns the processStatus of the API (R-CANCEL): PENDING while KOS cannot have seen the order, which is as
// long as it can be cancelled (CancelByCustomer); PROCESSING from the first attempt until it is final, also while its
// outcome is unknown, while it waits to be sent again and while it is parked.
func (o Order) Public() string {
	switch o.State {
	case Completed, Failed, Cancelled:
		return string(o.State)
	case Requested, Validated:
		if o.Sends == 0 {
			return "PENDING"
		}
	case Dispatched, Unknown, Parked:
	}
	return "PROCESSING"
}

// Notice is an order that has ended and whose customer must be notified.
type Notice struct {
	Order    Order
	Attempts int       // made before this one
	Lease    time.Time // until when it is claimed; the store refuses a worker with an older one
}

// Waits between two attempts to notify a customer.
const (
	firstNoticeWait = 10 * time.Second
	maxNoticeWait   = 15 * time.Minute
	noticeDoublings = 7 // 10 s twice that often is past the longest wait
)

// Wait returns how long a notice waits after a failed attempt: 10, 20, 40 … s, at most 15 min, with jitter over the
// upper half; rnd is in [0,1). It is tried until it succeeds.
func (n Notice) Wait(rnd float64) time.Duration {
	wait := min(firstNoticeWait<<min(n.Attempts, noticeDoublings), maxNoticeWait)
	return wait/2 + time.Duration(rnd*float64(wait/2))
}

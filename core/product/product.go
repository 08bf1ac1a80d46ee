// Package product holds plans, customers' contracts, the pre-check of a plan change and the change order with its state
// machine (UFR-PROD-010…040).
package product

import (
	"slices"
	"time"

	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
	"phonebill/core/personal"
)

// Plan is a tariff.
type Plan struct {
	Code, Name     string
	MonthlyFee     money.Won
	DataAllowance  string // shown as text: 「무제한」, 「50GB」
	VoiceAllowance string
	SMSAllowance   string
	NetworkType    string // 5G, LTE, 3G
	Description    string
	OnSale         bool
	OperatorCode   string
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
	Scheduled    *Scheduled // nil when no change is scheduled
	Contract     Contract
}

// Scheduled is an accepted change whose day has not come yet.
type Scheduled struct {
	PlanCode      string
	EffectiveDate calendar.Date
	TransactionID id.ID // under which it was ordered; zero when it was none of ours or KOS does not tell
}

// Contract is the term of a line; dates are zero when KOS tells none.
type Contract struct {
	Date, TermEnd       calendar.Date
	EarlyTerminationFee money.Won
}

// CustomerCopy is a customer as KOS told it at AsOf.
type CustomerCopy struct {
	Customer Customer
	AsOf     time.Time
}

// PlansCopy is the plan list as KOS told it at AsOf.
type PlansCopy struct {
	Plans []Plan
	AsOf  time.Time
}

// Find answers the plan with the code; ok is false when there is none.
func (c PlansCopy) Find(code string) (p Plan, ok bool) {
	for _, p := range c.Plans {
		if p.Code == code {
			return p, true
		}
	}
	return Plan{}, false
}

// Named answers the plan with the code. It never invents: a plan that the list does not know has its code and nothing else.
func (c PlansCopy) Named(code string) Plan {
	if p, ok := c.Find(code); ok {
		return p
	}
	return Plan{Code: code}
}

// Available are the plans a line may change to: on sale, of the operator (empty = any), without those that it has or will have.
func (c PlansCopy) Available(operator string, without ...string) []Plan {
	out := make([]Plan, 0, len(c.Plans))
	for _, p := range c.Plans {
		if p.OnSale && !slices.Contains(without, p.Code) && (operator == "" || p.OperatorCode == operator) {
			out = append(out, p)
		}
	}
	return out
}

// Package bill holds a phone bill as KOS states it, copies of bills, and the inquiry: one customer's request for one
// bill, which is request history, queue entry and outbox entry in one (UFR-BILL-010…040). Begin with Bill (bill.go).
package bill

import (
	"time"

	"phonebill/core/calendar"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
)

// Bill is the bill of one line and month: the nine facts of UFR-BILL-030. What KOS leaves out is unknown, and is nil,
// empty or the zero date here: it is never 0 won.
type Bill struct {
	Line                     line.Number
	Month                    calendar.Month
	ProductCode              string
	ProductName              string
	ContractInfo             string    // KOS's text, as printed on the bill
	Contract                 *Contract // nil when KOS states nothing of it
	Total                    money.Won // as KOS states it, or charges less discounts where both are complete
	Charges                  []Item    // nil when KOS lists none; an empty list is a statement of KOS
	Discounts                []Item    // likewise
	Usage                    Usage
	TerminationFee           *money.Won // if the contract ended today
	DeviceInstallment        *money.Won // balance left
	DeviceInstallmentMonthly *money.Won
	Payment                  Payment
}

// Contract is the term the customer is bound to.
type Contract struct {
	Months     *int
	Start, End calendar.Date
}

// Item is one line of charges or discounts. Its amount is nil when KOS states none that can be read.
type Item struct {
	Name   string
	Amount *money.Won
}

// Sum is charges less discounts, in won; complete is false when a part of that is not known, and the sum then means
// nothing.
func (b Bill) Sum() (sum money.Won, complete bool) {
	charged, all := total(b.Charges)
	taken, whole := total(b.Discounts)
	return charged - taken, all && whole && b.Charges != nil && b.Discounts != nil
}

// total adds up the known amounts and says whether all are known.
func total(items []Item) (sum money.Won, known bool) {
	known = true
	for _, i := range items {
		if i.Amount == nil {
			known = false
			continue
		}
		sum += *i.Amount
	}
	return sum, known
}

// Usage is the metered use. The texts are shown; the numbers are nil when KOS states none or the plan is unlimited.
type Usage struct {
	Voice, SMS, Data                            string
	VoiceMinutes, SMSCount, DataMegabytes       *int
	VoiceUnlimited, SMSUnlimited, DataUnlimited bool
}

// PaymentStatus says whether a bill is paid.
type PaymentStatus string

// The payment states.
const (
	Paid    PaymentStatus = "PAID"
	Unpaid  PaymentStatus = "UNPAID"
	Overdue PaymentStatus = "OVERDUE"
)

// Payment is the billing and payment state.
type Payment struct {
	BillingDate, DueDate calendar.Date
	Status               PaymentStatus
	Method               string // empty when KOS states none
}

// AddsUp reports false when the total is not charges less discounts, although KOS lists the charges and no listed
// amount is missing. A bill without a list of discounts is taken to have none here. One that does not add up is
// flagged, not hidden.
func (b Bill) AddsUp() bool {
	charged, all := total(b.Charges)
	taken, whole := total(b.Discounts)
	return b.Charges == nil || !all || !whole || charged-taken == b.Total
}

// Summary returns the line shown in the history: 「5G 프리미엄 플랜, 89,000원」.
func (b Bill) Summary() string { return b.ProductName + ", " + b.Total.String() }

// Trust says how far a stored copy may be believed. The zero value is full trust.
type Trust uint8

// The degrees of trust. Releases up to b0e8e26 stored 0 won for an amount that KOS had left out, and tore discount
// texts at the comma of the thousands, so their copies mix KOS's values with invented ones.
const (
	Trusted Trust = iota // stored as KOS said it
	// stored by such a release: values that may be invented are left out, and the copy is never fresh and never final
	Doubtful
	MadeUp // likewise, and its total may be made up as well: the bill is not shown at all
)

// Copy is a bill as KOS stated it at AsOf. Every statement is kept as a version of its own, so that histories and
// deliveries can refer to exactly what the customer saw.
type Copy struct {
	Version id.ID
	Bill    Bill
	AsOf    time.Time
	Trust   Trust
	Holder  string // the customer that KOS named for the line with the bill; empty where a release did not ask
}

// Unproven returns the copy without a full trust where it is not known whose bill it is: never fresh and never final.
func (c Copy) Unproven() Copy {
	if c.Holder == "" {
		c.Trust = max(c.Trust, Doubtful)
	}
	return c
}

// Final reports that the bill will never change: it is settled, and the copy is trusted.
func (c Copy) Final() bool { return c.Trust == Trusted && c.settled() }

// settled reports that the bill was paid and its month over when KOS stated it. The calendar alone closes nothing:
// payment state, instalment balance and termination fee move after the month's end.
func (c Copy) settled() bool {
	return c.Bill.Payment.Status == Paid && calendar.MonthOf(c.AsOf).After(c.Bill.Month)
}

// Limits returns the copy's lifetimes: within, unless the bill is settled. A copy that is not trusted is never fresh:
// KOS is asked again, and until it responds a doubtful copy counts as a stale one.
func (c Copy) Limits(within freshness.Limits) freshness.Limits {
	switch {
	case c.Trust == MadeUp:
		return freshness.Nothing
	case c.Final():
		return freshness.Final
	case c.settled():
		within.Hard = freshness.Final.Hard
	}
	if c.Trust == Doubtful {
		return within.NeverFresh()
	}
	return within
}

// HiddenBy reports that the customer has changed something since, at epoch, that the copy may not know of. A change
// moves no bill that is settled.
func (c Copy) HiddenBy(epoch time.Time) bool { return !c.settled() && c.AsOf.Before(epoch) }

// SelectableMonths returns the months a customer may ask for: the last n including the current one, newest first (ADR
// 18).
func SelectableMonths(now time.Time, n int) []calendar.Month {
	months := make([]calendar.Month, n)
	for i := range months {
		months[i] = calendar.MonthOf(now).Add(-i)
	}
	return months
}

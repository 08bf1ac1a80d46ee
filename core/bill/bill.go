// Package bill holds a phone bill as KOS tells it, copies of bills, and the inquiry: one customer's question for one
// bill, which is request history, queue entry and outbox entry in one (UFR-BILL-010…040).
package bill

import (
	"time"

	"phonebill/core/calendar"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
)

// Bill is the bill of one line and month: the nine facts of UFR-BILL-030.
type Bill struct {
	Line                     line.Number
	Month                    calendar.Month
	ProductCode              string
	ProductName              string
	ContractInfo             string    // KOS's text, as printed on the bill
	Contract                 *Contract // nil when KOS tells no dates
	Total                    money.Won // as KOS states it
	Charges                  []Item
	Discounts                []Item
	Usage                    Usage
	TerminationFee           money.Won // if the contract ended today
	DeviceInstallment        money.Won // balance left
	DeviceInstallmentMonthly *money.Won
	Payment                  Payment
}

// Contract is the term the customer is bound to.
type Contract struct {
	Months     int
	Start, End calendar.Date
}

// Item is one line of charges or discounts.
type Item struct {
	Name   string
	Amount money.Won
}

// Usage is what was used. The texts are shown; the numbers are nil when KOS tells none or the plan is unlimited.
type Usage struct {
	Voice, SMS, Data                            string
	VoiceMinutes, SMSCount, DataMegabytes       *int
	VoiceUnlimited, SMSUnlimited, DataUnlimited bool
}

// PaymentStatus tells whether a bill is paid.
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
	Method               string // empty when KOS tells none
}

// AddsUp tells whether the stated total is charges less discounts. One that does not is flagged, not hidden (api.md).
func (b Bill) AddsUp() bool {
	var sum money.Won
	for _, c := range b.Charges {
		sum += c.Amount
	}
	for _, d := range b.Discounts {
		sum -= d.Amount
	}
	return sum == b.Total
}

// Summary is the line shown in the history: 「5G 프리미엄 플랜, 89,000원」.
func (b Bill) Summary() string { return b.ProductName + ", " + b.Total.String() }

// Copy is a bill as KOS told it at AsOf. Every telling is kept as a version of its own, so that histories and
// deliveries can refer to exactly what the customer saw.
type Copy struct {
	Version id.ID
	Bill    Bill
	AsOf    time.Time
}

// Final tells that the bill will never change (decision 13): it is paid, and its month was over when it was told. The calendar alone closes
// nothing: payment state, instalment balance and termination fee move after the month's end.
func (c Copy) Final() bool {
	return c.Bill.Payment.Status == Paid && calendar.MonthOf(c.AsOf).After(c.Bill.Month)
}

// Limits are the copy's lifetimes: within, unless it is final.
func (c Copy) Limits(within freshness.Limits) freshness.Limits {
	if c.Final() {
		return freshness.Final
	}
	return within
}

// HiddenBy tells that the customer has changed something since, at epoch, that the copy may not know of (decision 11). A change moves no
// bill that is final.
func (c Copy) HiddenBy(epoch time.Time) bool { return !c.Final() && c.AsOf.Before(epoch) }

// SelectableMonths are the months a customer may ask for: the last n including the current one, newest first (decision 6).
func SelectableMonths(now time.Time, n int) []calendar.Month {
	months := make([]calendar.Month, n)
	for i := range months {
		months[i] = calendar.MonthOf(now).Add(-i)
	}
	return months
}

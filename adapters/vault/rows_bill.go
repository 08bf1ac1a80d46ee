package vault

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"time"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
	"phonebill/ports"
)

// currentForm is the version of the rows below that distinguish a value that KOS left out from 0 won. A row without it,
// or with a lower one, is from a release that did not. The version byte of the sealed form stays as it is, and a row
// keeps the keys of the form before it, so that the release before can still read what this one writes while both run:
// it reads a missing value as 0, as it always did.
const currentForm = 2

// Bills returns the sealer of bill copies, format version 1.
func Bills(v ports.Vault) ports.Sealer[bill.Copy] {
	return sealer[bill.Copy, billRow]{v, "bill", 1, toBillRow, fromBillRow}
}

type billRow struct {
	Form int `json:"form,omitempty"`
	// of a copy that was read in an older form: writing it again does not make it more trusted
	Trust       bill.Trust `json:"trust,omitempty"`
	Version     string     `json:"v"`
	Holder      string     `json:"holder,omitempty"`
	AsOf        time.Time  `json:"asOf"`
	Line        string     `json:"line"`
	Month       string     `json:"month"`
	ProductCode string     `json:"productCode"`
	ProductName string     `json:"productName"`
	Info        string     `json:"contractInfo"`
	// with both dates: the release before shows a missing one as 0000-00-00
	Contract    *termRow    `json:"contract,omitempty"`
	Term        *termRow    `json:"term,omitempty"` // any other
	Total       money.Won   `json:"total"`
	Charges     []bill.Item `json:"charges"`
	Discounts   []bill.Item `json:"discounts"`
	Usage       bill.Usage  `json:"usage"`
	Termination *money.Won  `json:"terminationFee,omitempty"`
	Device      *money.Won  `json:"device,omitempty"`
	Monthly     *money.Won  `json:"deviceMonthly,omitempty"`
	Billing     string      `json:"billingDate"`
	Due         string      `json:"dueDate"`
	Payment     string      `json:"payment"`
	Method      string      `json:"method"`
}

type termRow struct {
	Months *int   `json:"months,omitempty"`
	Start  string `json:"start"`
	End    string `json:"end"`
}

func toBillRow(c bill.Copy) billRow {
	b := c.Bill
	row := billRow{
		Form: currentForm, Trust: c.Trust, Version: c.Version.String(), Holder: c.Holder, AsOf: c.AsOf,
		Line: b.Line.Digits(), Month: b.Month.String(),
		ProductCode: b.ProductCode, ProductName: b.ProductName, Info: b.ContractInfo, Total: b.Total, Charges: b.Charges,
		Discounts: b.Discounts, Usage: b.Usage, Termination: b.TerminationFee, Device: b.DeviceInstallment,
		Monthly: b.DeviceInstallmentMonthly, Billing: day(b.Payment.BillingDate), Due: day(b.Payment.DueDate),
		Payment: string(b.Payment.Status), Method: b.Payment.Method,
	}
	if t := b.Contract; t != nil {
		term := &termRow{t.Months, day(t.Start), day(t.End)}
		if t.Start.IsZero() || t.End.IsZero() {
			row.Term = term
		} else {
			row.Contract = term
		}
	}
	return row
}

func fromBillRow(r billRow) (bill.Copy, error) {
	if r.Form < currentForm {
		r = r.doubted()
	}
	version, err1 := id.Parse(r.Version)
	n, err2 := line.Parse(r.Line)
	m, err3 := calendar.ParseMonth(r.Month)
	billing, err4 := parseDay(r.Billing)
	due, err5 := parseDay(r.Due)
	b := bill.Bill{
		Line: n, Month: m, ProductCode: r.ProductCode, ProductName: r.ProductName, ContractInfo: r.Info, Total: r.Total,
		Charges: r.Charges, Discounts: r.Discounts, Usage: r.Usage, TerminationFee: r.Termination,
		DeviceInstallment:        r.Device,
		DeviceInstallmentMonthly: r.Monthly,
		Payment: bill.Payment{BillingDate: billing, DueDate: due, Status: bill.PaymentStatus(r.Payment),
			Method: r.Method},
	}
	var err6, err7 error
	if t := cmp.Or(r.Contract, r.Term); t != nil {
		b.Contract = &bill.Contract{Months: t.Months}
		b.Contract.Start, err6 = parseDay(t.Start)
		b.Contract.End, err7 = parseDay(t.End)
	}
	return bill.Copy{Version: version, Bill: b, AsOf: r.AsOf, Trust: r.Trust, Holder: r.Holder},
		errors.Join(err1, err2, err3, err4, err5, err6, err7)
}

// doubted returns a row of a release that wrote 0 for what KOS had left out: each 0 that may be such a one is left out,
// and so are discounts that may be torn. Where a charge or the discounts are lost by that, and the total is their sum,
// the total may have been invented from them.
func (r billRow) doubted() billRow {
	parts, omitted := money.Won(0), false
	charges := slices.Clone(r.Charges)
	for i, c := range charges {
		if c.Amount = some(c.Amount); c.Amount == nil {
			omitted = true
		} else {
			parts += *c.Amount
		}
		charges[i] = c
	}
	for _, d := range r.Discounts {
		if d.Amount != nil {
			parts -= *d.Amount
		}
	}
	if slices.ContainsFunc(r.Discounts, torn) {
		omitted, r.Discounts = true, []bill.Item{{Name: "할인"}}
	}
	r.Charges, r.Termination, r.Device = charges, some(r.Termination), some(r.Device)
	if r.Contract != nil {
		r.Contract = &termRow{some(r.Contract.Months), r.Contract.Start, r.Contract.End}
	}
	r.Trust = bill.Doubtful
	if omitted && parts == r.Total {
		r.Trust = bill.MadeUp
	}
	return r
}

// some is n unless it is 0.
func some[T ~int | ~int64](n *T) *T {
	if n != nil && *n == 0 {
		return nil
	}
	return n
}

// torn reports that a discount may be a piece of one: it has no amount, or the end of another's is in its name.
func torn(d bill.Item) bool {
	return d.Amount == nil || *d.Amount == 0 || tornName.MatchString(d.Name)
}

var tornName = regexp.MustCompile(`[0-9]\s*원`)

// day returns empty for no date.
func day(d calendar.Date) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}

func parseDay(s string) (calendar.Date, error) {
	if s == "" {
		return calendar.Date{}, nil
	}
	return calendar.ParseDate("date", s)
}

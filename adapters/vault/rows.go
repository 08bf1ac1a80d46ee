package vault

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"time"

	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
	"phonebill/core/personal"
	"phonebill/core/product"
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

// Inquiries returns the sealer of inquiries, format version 1.
func Inquiries(v ports.Vault) ports.Sealer[bill.Inquiry] {
	return sealer[bill.Inquiry, inquiryRow]{v, "inquiry", 1, toInquiryRow, fromInquiryRow}
}

type inquiryRow struct {
	ID          string    `json:"id"`
	UserID      string    `json:"user"`
	CustomerID  string    `json:"customer"`
	Line        string    `json:"line"`
	Month       string    `json:"month"`
	Status      string    `json:"status"`
	Source      string    `json:"source,omitempty"`
	Requested   time.Time `json:"requested"`
	Processed   time.Time `json:"processed,omitzero"`
	AsOf        time.Time `json:"asOf,omitzero"`
	Version     string    `json:"version,omitempty"`
	Summary     string    `json:"summary,omitempty"`
	FailureCode string    `json:"failure,omitempty"`
	Attempts    int       `json:"attempts,omitempty"`
	NextAttempt time.Time `json:"next,omitzero"`
	Fence       int64     `json:"fence,omitempty"`
	TraceID     string    `json:"trace,omitempty"`
}

func toInquiryRow(q bill.Inquiry) inquiryRow {
	row := inquiryRow{
		ID: q.ID.String(), UserID: string(q.UserID), CustomerID: q.CustomerID, Line: q.Line.Digits(), Month: q.Month.String(),
		Status: string(q.Status), Source: string(q.Source), Requested: q.RequestedAt, Processed: q.ProcessedAt, AsOf: q.AsOf,
		Summary: q.Summary, FailureCode: string(q.FailureCode), Attempts: q.Attempts, NextAttempt: q.NextAttemptAt,
		Fence:   q.Fence,
		TraceID: q.TraceID,
	}
	if !q.Version.IsZero() {
		row.Version = q.Version.String()
	}
	return row
}

func fromInquiryRow(r inquiryRow) (bill.Inquiry, error) {
	own, err1 := id.Parse(r.ID)
	n, err2 := line.Parse(r.Line)
	m, err3 := calendar.ParseMonth(r.Month)
	var version id.ID
	var err4 error
	if r.Version != "" {
		version, err4 = id.Parse(r.Version)
	}
	return bill.Inquiry{
		ID: own, UserID: auth.UserID(r.UserID), CustomerID: r.CustomerID, Line: n, Month: m, Status: bill.Status(r.Status),
		Source: freshness.Source(r.Source), RequestedAt: r.Requested, ProcessedAt: r.Processed, AsOf: r.AsOf,
		Version: version, Summary: r.Summary, FailureCode: fault.Code(r.FailureCode), Attempts: r.Attempts,
		NextAttemptAt: r.NextAttempt, Fence: r.Fence,
		TraceID: r.TraceID,
	}, errors.Join(err1, err2, err3, err4)
}

// BillMonths returns the sealer of copies of the months that have a bill, format version 1.
func BillMonths(v ports.Vault) ports.Sealer[bill.MonthsCopy] {
	return sealer[bill.MonthsCopy, monthsRow]{v, "months", 1, toMonthsRow, fromMonthsRow}
}

type monthsRow struct {
	Line   string    `json:"line"`
	Months []string  `json:"months"`
	Holder string    `json:"holder"`
	AsOf   time.Time `json:"asOf"`
}

func toMonthsRow(c bill.MonthsCopy) monthsRow {
	row := monthsRow{Line: c.Line.Digits(), Holder: c.Holder, AsOf: c.AsOf}
	for _, m := range c.Months {
		row.Months = append(row.Months, m.String())
	}
	return row
}

func fromMonthsRow(r monthsRow) (bill.MonthsCopy, error) {
	n, err := line.Parse(r.Line)
	c := bill.MonthsCopy{Line: n, Holder: r.Holder, AsOf: r.AsOf}
	for _, s := range r.Months {
		m, wrong := calendar.ParseMonth(s)
		c.Months, err = append(c.Months, m), errors.Join(err, wrong)
	}
	return c, err
}

// Customers returns the sealer of customer copies, format version 1.
func Customers(v ports.Vault) ports.Sealer[product.CustomerCopy] {
	return sealer[product.CustomerCopy, customerRow]{v, "customer", 1, toCustomerRow, fromCustomerRow}
}

// Plans returns the sealer of plan lists, format version 1.
func Plans(v ports.Vault) ports.Sealer[product.PlansCopy] {
	return sealer[product.PlansCopy, plansRow]{v, "plans", 1, toPlansRow, fromPlansRow}
}

// plansRow has the keys that the release before knows: those of Go's fields.
type plansRow struct {
	Form  int            `json:"form,omitempty"`
	Doubt bool           `json:"doubtful,omitempty"` // it was read in an older form
	Plans []product.Plan // plans hold nothing that JSON would mask
	AsOf  time.Time
}

func toPlansRow(c product.PlansCopy) plansRow {
	return plansRow{currentForm, c.Doubtful, c.Plans, c.AsOf}
}

// fromPlansRow reads a row: a list of the release before may have 0 won, or a plan not on sale, where KOS left that
// out.
func fromPlansRow(r plansRow) (product.PlansCopy, error) {
	c := product.PlansCopy{Plans: r.Plans, AsOf: r.AsOf, Doubtful: r.Doubt || r.Form < currentForm}
	if r.Form < currentForm {
		for i, p := range c.Plans {
			c.Plans[i].MonthlyFee, c.Plans[i].SaleUnknown = some(p.MonthlyFee), !p.OnSale
		}
	}
	return c, nil
}

// planRow is a plan as KOS describes it with a customer.
type planRow struct {
	Code        string     `json:"code"`
	Name        string     `json:"name,omitempty"`
	Fee         *money.Won `json:"fee,omitempty"`
	Data        string     `json:"data,omitempty"`
	Voice       string     `json:"voice,omitempty"`
	SMS         string     `json:"sms,omitempty"`
	Network     string     `json:"network,omitempty"`
	Description string     `json:"description,omitempty"`
	OnSale      bool       `json:"onSale,omitempty"`
	SaleUnknown bool       `json:"saleUnknown,omitempty"`
	Operator    string     `json:"operator,omitempty"`
}

func toPlanRow(p product.Plan) *planRow {
	if p == (product.Plan{}) {
		return nil
	}
	return &planRow{
		p.Code, p.Name, p.MonthlyFee, p.DataAllowance, p.VoiceAllowance, p.SMSAllowance, p.NetworkType, p.Description,
		p.OnSale, p.SaleUnknown, p.OperatorCode,
	}
}

func (r *planRow) plan() product.Plan {
	if r == nil {
		return product.Plan{}
	}
	return product.Plan{
		Code: r.Code, Name: r.Name, MonthlyFee: r.Fee, DataAllowance: r.Data, VoiceAllowance: r.Voice, SMSAllowance: r.SMS,
		NetworkType: r.Network, Description: r.Description, OnSale: r.OnSale, SaleUnknown: r.SaleUnknown,
		OperatorCode: r.Operator,
	}
}

type customerRow struct {
	Form       int        `json:"form,omitempty"`
	Doubt      bool       `json:"doubtful,omitempty"` // it was read in an older form
	AsOf       time.Time  `json:"asOf"`
	CustomerID string     `json:"customerId"`
	Line       string     `json:"line"`
	Name       string     `json:"name"`
	Operator   string     `json:"operator"`
	Status     string     `json:"status"`
	Plan       string     `json:"plan"`
	Described  *planRow   `json:"described,omitempty"`
	NextPlan   string     `json:"nextPlan,omitempty"`
	Next       *planRow   `json:"nextDescribed,omitempty"`
	NextDate   string     `json:"nextDate,omitempty"`
	NextOrder  string     `json:"nextOrder,omitempty"` // transaction id; rows of before it was kept have none
	Since      string     `json:"contractDate"`
	TermEnd    string     `json:"termEnd"`
	Fee        *money.Won `json:"fee,omitempty"`
}

func toCustomerRow(c product.CustomerCopy) customerRow {
	x := c.Customer
	row := customerRow{
		Form: currentForm, Doubt: c.Doubtful, AsOf: c.AsOf, CustomerID: x.CustomerID, Line: x.Line.Digits(),
		Name: x.Name.Reveal(), Operator: x.OperatorCode,
		Status: string(x.LineStatus), Plan: x.PlanCode, Since: day(x.Contract.Date), TermEnd: day(x.Contract.TermEnd),
		Fee: x.Contract.EarlyTerminationFee, Described: toPlanRow(x.Plan),
	}
	if x.Scheduled != nil {
		row.NextPlan, row.NextDate, row.Next = x.Scheduled.PlanCode, day(x.Scheduled.EffectiveDate),
			toPlanRow(x.Scheduled.Plan)
		if !x.Scheduled.TransactionID.IsZero() {
			row.NextOrder = x.Scheduled.TransactionID.String()
		}
	}
	return row
}

// fromCustomerRow reads a row: a fee of 0 won that the release before wrote may be one that KOS left out.
func fromCustomerRow(r customerRow) (product.CustomerCopy, error) {
	if r.Form < currentForm {
		r.Fee, r.Doubt = some(r.Fee), true
	}
	n, err1 := line.Parse(r.Line)
	since, err2 := parseDay(r.Since)
	end, err3 := parseDay(r.TermEnd)
	next, err4 := parseDay(r.NextDate)
	c := product.Customer{
		CustomerID: r.CustomerID, Line: n, Name: personal.NewName(r.Name), OperatorCode: r.Operator,
		LineStatus: product.LineStatus(r.Status), PlanCode: r.Plan, Plan: r.Described.plan(),
		Contract: product.Contract{Date: since, TermEnd: end, EarlyTerminationFee: r.Fee},
	}
	if r.NextPlan != "" {
		order, _ := id.Parse(r.NextOrder) // none is none
		c.Scheduled = &product.Scheduled{
			PlanCode: r.NextPlan, Plan: r.Next.plan(), EffectiveDate: next, TransactionID: order,
		}
	}
	return product.CustomerCopy{Customer: c, AsOf: r.AsOf, Doubtful: r.Doubt}, errors.Join(err1, err2, err3, err4)
}

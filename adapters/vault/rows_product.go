package vault

import (
	"errors"
	"time"

	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/ports"
)

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

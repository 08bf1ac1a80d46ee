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

// Customers answers the sealer of customer copies, format version 1.
func Customers(v ports.Vault) ports.Sealer[product.CustomerCopy] {
	return sealer[product.CustomerCopy, customerRow]{v, "customer", 1, toCustomerRow, fromCustomerRow}
}

// Plans answers the sealer of plan lists, format version 1.
func Plans(v ports.Vault) ports.Sealer[product.PlansCopy] {
	same := func(c product.PlansCopy) product.PlansCopy { return c } // plans hold nothing that JSON would mask
	return sealer[product.PlansCopy, product.PlansCopy]{
		v, "plans", 1, same, func(c product.PlansCopy) (product.PlansCopy, error) { return c, nil },
	}
}

type customerRow struct {
	AsOf       time.Time `json:"asOf"`
	CustomerID string    `json:"customerId"`
	Line       string    `json:"line"`
	Name       string    `json:"name"`
	Operator   string    `json:"operator"`
	Status     string    `json:"status"`
	Plan       string    `json:"plan"`
	NextPlan   string    `json:"nextPlan,omitempty"`
	NextDate   string    `json:"nextDate,omitempty"`
	NextOrder  string    `json:"nextOrder,omitempty"` // transaction id; rows of before it was kept have none
	Since      string    `json:"contractDate"`
	TermEnd    string    `json:"termEnd"`
	Fee        money.Won `json:"fee"`
}

func toCustomerRow(c product.CustomerCopy) customerRow {
	x := c.Customer
	row := customerRow{
		AsOf: c.AsOf, CustomerID: x.CustomerID, Line: x.Line.Digits(), Name: x.Name.Reveal(), Operator: x.OperatorCode,
		Status: string(x.LineStatus), Plan: x.PlanCode, Since: day(x.Contract.Date), TermEnd: day(x.Contract.TermEnd),
		Fee: x.Contract.EarlyTerminationFee,
	}
	if x.Scheduled != nil {
		row.NextPlan, row.NextDate = x.Scheduled.PlanCode, day(x.Scheduled.EffectiveDate)
		if !x.Scheduled.TransactionID.IsZero() {
			row.NextOrder = x.Scheduled.TransactionID.String()
		}
	}
	return row
}

func fromCustomerRow(r customerRow) (product.CustomerCopy, error) {
	n, err1 := line.Parse(r.Line)
	since, err2 := parseDay(r.Since)
	end, err3 := parseDay(r.TermEnd)
	next, err4 := parseDay(r.NextDate)
	c := product.Customer{
		CustomerID: r.CustomerID, Line: n, Name: personal.NewName(r.Name), OperatorCode: r.Operator,
		LineStatus: product.LineStatus(r.Status), PlanCode: r.Plan,
		Contract: product.Contract{Date: since, TermEnd: end, EarlyTerminationFee: r.Fee},
	}
	if r.NextPlan != "" {
		order, _ := id.Parse(r.NextOrder) // none is none
		c.Scheduled = &product.Scheduled{PlanCode: r.NextPlan, EffectiveDate: next, TransactionID: order}
	}
	return product.CustomerCopy{Customer: c, AsOf: r.AsOf}, errors.Join(err1, err2, err3, err4)
}

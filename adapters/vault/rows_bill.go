package vault

import (
	"errors"
	"time"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
	"phonebill/ports"
)

// Bills answers the sealer of bill copies, format version 1.
func Bills(v ports.Vault) ports.Sealer[bill.Copy] {
	return sealer[bill.Copy, billRow]{v, "bill", 1, toBillRow, fromBillRow}
}

type billRow struct {
	Version     string      `json:"v"`
	AsOf        time.Time   `json:"asOf"`
	Line        string      `json:"line"`
	Month       string      `json:"month"`
	ProductCode string      `json:"productCode"`
	ProductName string      `json:"productName"`
	Info        string      `json:"contractInfo"`
	Contract    *termRow    `json:"contract,omitempty"`
	Total       money.Won   `json:"total"`
	Charges     []bill.Item `json:"charges"`
	Discounts   []bill.Item `json:"discounts"`
	Usage       bill.Usage  `json:"usage"`
	Termination money.Won   `json:"terminationFee"`
	Device      money.Won   `json:"device"`
	Monthly     *money.Won  `json:"deviceMonthly,omitempty"`
	Billing     string      `json:"billingDate"`
	Due         string      `json:"dueDate"`
	Payment     string      `json:"payment"`
	Method      string      `json:"method"`
}

type termRow struct {
	Months int    `json:"months"`
	Start  string `json:"start"`
	End    string `json:"end"`
}

func toBillRow(c bill.Copy) billRow {
	b := c.Bill
	row := billRow{
		Version: c.Version.String(), AsOf: c.AsOf, Line: b.Line.Digits(), Month: b.Month.String(), ProductCode: b.ProductCode,
		ProductName: b.ProductName, Info: b.ContractInfo, Total: b.Total, Charges: b.Charges, Discounts: b.Discounts, Usage: b.Usage,
		Termination: b.TerminationFee, Device: b.DeviceInstallment, Monthly: b.DeviceInstallmentMonthly,
		Billing: day(b.Payment.BillingDate), Due: day(b.Payment.DueDate), Payment: string(b.Payment.Status), Method: b.Payment.Method,
	}
	if b.Contract != nil {
		row.Contract = &termRow{b.Contract.Months, day(b.Contract.Start), day(b.Contract.End)}
	}
	return row
}

func fromBillRow(r billRow) (bill.Copy, error) {
	version, err1 := id.Parse(r.Version)
	n, err2 := line.Parse(r.Line)
	m, err3 := calendar.ParseMonth(r.Month)
	billing, err4 := parseDay(r.Billing)
	due, err5 := parseDay(r.Due)
	b := bill.Bill{
		Line: n, Month: m, ProductCode: r.ProductCode, ProductName: r.ProductName, ContractInfo: r.Info, Total: r.Total,
		Charges: r.Charges, Discounts: r.Discounts, Usage: r.Usage, TerminationFee: r.Termination, DeviceInstallment: r.Device,
		DeviceInstallmentMonthly: r.Monthly,
		Payment:                  bill.Payment{BillingDate: billing, DueDate: due, Status: bill.PaymentStatus(r.Payment), Method: r.Method},
	}
	var err6, err7 error
	if r.Contract != nil {
		b.Contract = &bill.Contract{Months: r.Contract.Months}
		b.Contract.Start, err6 = parseDay(r.Contract.Start)
		b.Contract.End, err7 = parseDay(r.Contract.End)
	}
	return bill.Copy{Version: version, Bill: b, AsOf: r.AsOf}, errors.Join(err1, err2, err3, err4, err5, err6, err7)
}

// day is empty for no date.
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

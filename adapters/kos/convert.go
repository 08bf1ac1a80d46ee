package kos

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/ports"
)

// answerData is the envelope's part that depends on the operation.
type answerData[T any] struct {
	Data maybe[T] `json:"data"`
}

// dataOf unmarshals the data of an answer whose envelope is valid; missing is the error text when there are none.
func dataOf[T any](body []byte, missing string) (T, error) {
	var in answerData[T]
	if err := json.Unmarshal(body, &in); err != nil || in.Data.v == nil {
		var none T
		return none, unusable(missing)
	}
	return *in.Data.v, nil
}

type billData struct {
	ProductCode              trimmed                  `json:"productCode"`
	ProductName              trimmed                  `json:"productName"`
	ContractInfo             trimmed                  `json:"contractInfo"`
	ContractMonths           count                    `json:"contractMonths"`
	ContractStart            digitsOnly               `json:"contractStart"`
	ContractEnd              digitsOnly               `json:"contractEnd"`
	BillingMonth             digitsOnly               `json:"billingMonth"`
	Charge                   amount                   `json:"charge"`
	Charges                  maybe[[]maybe[itemData]] `json:"charges"`
	DiscountInfo             json.RawMessage          `json:"discountInfo"`
	Usage                    maybe[usageData]         `json:"usage"`
	EstimatedCancellationFee amount                   `json:"estimatedCancellationFee"`
	DeviceInstallment        amount                   `json:"deviceInstallment"`
	DeviceInstallmentMonthly amount                   `json:"deviceInstallmentMonthly"`
	BillingPaymentInfo       maybe[paymentData]       `json:"billingPaymentInfo"`
}

type itemData struct {
	Name   trimmed `json:"name"`
	Amount amount  `json:"amount"`
}

type usageData struct {
	Voice trimmed `json:"voice"`
	SMS   trimmed `json:"sms"`
	Data  trimmed `json:"data"`
}

type paymentData struct {
	BillingDate   digitsOnly `json:"billingDate"`
	DueDate       digitsOnly `json:"dueDate"`
	PaymentStatus trimmed    `json:"paymentStatus"`
	PaymentMethod trimmed    `json:"paymentMethod"`
}

// readBill converts an answer to the bill that was asked for. Every field may be missing except those without which it
// is no bill: its plan, its month, and a total that is stated or follows from complete parts. A bill of another month
// is mixedUp.
func readBill(body []byte, n line.Number, m calendar.Month) (bill.Bill, error) {
	d, err := dataOf[billData](body, "no bill")
	switch {
	case err != nil:
		return bill.Bill{}, err
	case d.BillingMonth == "":
		return bill.Bill{}, unusable("bill without a month")
	case string(d.BillingMonth) != m.Compact():
		return bill.Bill{}, mixedUp("bill of another month")
	case d.ProductCode == "" || d.ProductName == "":
		return bill.Bill{}, unusable("bill without a plan")
	}
	b := bill.Bill{
		Line: n, Month: m, ProductCode: string(d.ProductCode), ProductName: string(d.ProductName),
		ContractInfo: string(d.ContractInfo), Contract: term(d), Charges: items(d.Charges),
		Discounts: discounts(d.DiscountInfo), Usage: usage(d.Usage.orZero()),
		TerminationFee: d.EstimatedCancellationFee.won, DeviceInstallment: d.DeviceInstallment.won,
		DeviceInstallmentMonthly: d.DeviceInstallmentMonthly.won, Payment: payment(d.BillingPaymentInfo.orZero()),
	}
	if err := plausible(b, d.Charge.won); err != nil {
		return bill.Bill{}, err
	}
	sum, complete := b.Sum()
	switch {
	case d.Charge.won != nil:
		b.Total = *d.Charge.won
	case complete && len(b.Charges) > 0:
		b.Total = sum
	default:
		return bill.Bill{}, unusable("bill without an amount")
	}
	return b, nil
}

// maxWon is more than any customer is charged. Within it no sum of a bill's amounts overflows: an answer has room for
// some ten thousand amounts.
const maxWon money.Won = 1_000_000_000_000

// plausible returns an error for amounts that cannot be right: amounts beyond maxWon, fees that would be paid to the
// customer, discounts that would be added. Charges and the total may be negative: corrections and credits are. Missing
// amounts are ignored.
func plausible(b bill.Bill, total *money.Won) error {
	signed := []*money.Won{total}
	unsigned := []*money.Won{b.TerminationFee, b.DeviceInstallment, b.DeviceInstallmentMonthly}
	for _, c := range b.Charges {
		signed = append(signed, c.Amount)
	}
	for _, d := range b.Discounts {
		unsigned = append(unsigned, d.Amount)
	}
	beyond := func(w *money.Won) bool { return w != nil && (*w < -maxWon || *w > maxWon) }
	if slices.ContainsFunc(signed, beyond) || slices.ContainsFunc(unsigned, implausible) {
		return unusable("implausible amount")
	}
	return nil
}

// implausible reports whether an amount that is never negative cannot be right.
func implausible(w *money.Won) bool { return w != nil && (*w < 0 || *w > maxWon) }

// fee returns the amount of a fee; nil when it is missing or implausible, because the rest of the answer is good.
func (a amount) fee() *money.Won {
	if implausible(a.won) {
		return nil
	}
	return a.won
}

// term returns the contract's term; nil when KOS states nothing of it.
func term(d billData) *bill.Contract {
	c := bill.Contract{Months: d.ContractMonths.n, Start: d.ContractStart.date(), End: d.ContractEnd.date()}
	if c == (bill.Contract{}) {
		return nil
	}
	return &c
}

// items converts a list of amounts. It keeps an unreadable item: a sum without it would be wrong.
func items(in maybe[[]maybe[itemData]]) []bill.Item {
	if in.v == nil {
		return nil
	}
	out := make([]bill.Item, len(*in.v))
	for i, a := range *in.v {
		out[i] = bill.Item{Name: string(a.orZero().Name), Amount: a.orZero().Amount.won}
	}
	return out
}

const unlimited = "무제한"

// usage keeps the texts and parses numbers where it can.
func usage(in usageData) bill.Usage {
	u := bill.Usage{Voice: string(in.Voice), SMS: string(in.SMS), Data: string(in.Data)}
	u.VoiceUnlimited, u.SMSUnlimited, u.DataUnlimited =
		strings.HasPrefix(u.Voice, unlimited), strings.HasPrefix(u.SMS, unlimited), strings.HasPrefix(u.Data, unlimited)
	u.VoiceMinutes, u.SMSCount, u.DataMegabytes = minutes(u.Voice), messages(u.SMS), megabytes(u.Data)
	return u
}

var (
	minutesPattern = regexp.MustCompile(`^(?:([0-9][0-9,]*)\s*시간)?\s*(?:([0-9][0-9,]*)\s*분)?$`)
	countPattern   = regexp.MustCompile(`^([0-9][0-9,]*)\s*건$`)
	dataPattern    = regexp.MustCompile(`^([0-9][0-9,]*(?:\.[0-9]+)?)\s*([KMGT])B$`)
)

// minutes parses 250분 and 4시간 10분; it returns nil for anything else.
func minutes(s string) *int {
	found := minutesPattern.FindStringSubmatch(s)
	if found == nil || found[1] == "" && found[2] == "" {
		return nil
	}
	return whole(number(found[1])*60 + number(found[2]))
}

// messages parses 300건; it returns nil for anything else.
func messages(s string) *int {
	found := countPattern.FindStringSubmatch(s)
	if found == nil {
		return nil
	}
	return whole(number(found[1]))
}

// megabytes parses 23.5GB and rounds it (1 GB = 1024 MB); it returns nil for anything else.
func megabytes(s string) *int {
	found := dataPattern.FindStringSubmatch(strings.ToUpper(s))
	if found == nil {
		return nil
	}
	scale := map[string]float64{"K": 1. / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}[found[2]]
	return whole(number(found[1]) * scale)
}

// number parses digits with commas; the patterns match nothing else. An empty string is 0.
func number(s string) float64 {
	f, _ := strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
	return f
}

// whole rounds f; it returns nil for a number beyond 32 bits.
func whole(f float64) *int {
	if f > math.MaxInt32 {
		return nil
	}
	n := int(math.Round(f))
	return &n
}

// payment converts the payment. The status is empty when KOS sends none, or an unknown one.
func payment(in paymentData) bill.Payment {
	p := bill.Payment{BillingDate: in.BillingDate.date(), DueDate: in.DueDate.date(), Method: string(in.PaymentMethod)}
	switch in.PaymentStatus {
	case "완료":
		p.Status = bill.Paid
	case "미납":
		p.Status = bill.Unpaid
	case "연체":
		p.Status = bill.Overdue
	}
	return p
}

type monthsData struct {
	AvailableMonths maybe[[]digitsOnly] `json:"availableMonths"`
}

// monthList are the months of a line that have a bill, and how many entries of KOS's list are no month.
type monthList struct {
	months     []calendar.Month
	unreadable int
}

// readMonths converts an answer to the months that have a bill. Entries that are no month are left out; a list that has
// nothing else is unusable, because it would hide every bill. An empty list is one.
func readMonths(body []byte) (monthList, error) {
	d, err := dataOf[monthsData](body, "no months")
	if err != nil {
		return monthList{}, err
	}
	if d.AvailableMonths.v == nil {
		return monthList{}, unusable("months without a list")
	}
	var list monthList
	for _, in := range *d.AvailableMonths.v {
		switch m := in.month(); {
		case m.IsZero():
			list.unreadable++
		case !slices.Contains(list.months, m):
			list.months = append(list.months, m)
		}
	}
	if list.unreadable > 0 && len(list.months) == 0 {
		return monthList{unreadable: list.unreadable}, unusable("no month that can be read")
	}
	return list, nil
}

type customerData struct {
	CustomerID       trimmed              `json:"customerId"`
	CustomerName     trimmed              `json:"customerName"`
	OperatorCode     trimmed              `json:"operatorCode"`
	LineStatus       trimmed              `json:"lineStatus"`
	CurrentProduct   maybe[planData]      `json:"currentProduct"`
	ScheduledProduct maybe[scheduledData] `json:"scheduledProduct"`
	Contract         maybe[contractData]  `json:"contract"`
}

type planData struct {
	ProductCode    trimmed `json:"productCode"`
	ProductName    trimmed `json:"productName"`
	MonthlyFee     amount  `json:"monthlyFee"`
	DataAllowance  trimmed `json:"dataAllowance"`
	VoiceAllowance trimmed `json:"voiceAllowance"`
	SMSAllowance   trimmed `json:"smsAllowance"`
	NetworkType    trimmed `json:"networkType"`
	Description    trimmed `json:"description"`
	OperatorCode   trimmed `json:"operatorCode"`
	Status         trimmed `json:"status"`
}

type scheduledData struct {
	planData

	EffectiveDate digitsOnly `json:"effectiveDate"`
	TransactionID trimmed    `json:"transactionId"`
}

type contractData struct {
	ContractStart       digitsOnly `json:"contractStart"`
	ContractEnd         digitsOnly `json:"contractEnd"`
	EarlyTerminationFee amount     `json:"earlyTerminationFee"`
}

// readCustomer converts an answer to the line's customer. An unknown line status is kept: the pre-check has a text for
// it. The plans are kept as KOS describes them here, because the plan list may no longer have them.
func readCustomer(body []byte, n line.Number) (product.Customer, error) {
	d, err := dataOf[customerData](body, "no customer")
	if err != nil {
		return product.Customer{}, err
	}
	current := d.CurrentProduct.orZero()
	if d.CustomerID == "" {
		return product.Customer{}, unusable("customer without id")
	}
	if d.OperatorCode == "" || current.ProductCode == "" {
		named := ports.NamedError{Customer: string(d.CustomerID)}
		return product.Customer{}, fmt.Errorf("%w: %w", unusable("customer without operator or plan"), named)
	}
	t := d.Contract.orZero()
	c := product.Customer{
		CustomerID: string(d.CustomerID), Line: n, Name: personal.NewName(string(d.CustomerName)),
		OperatorCode: string(d.OperatorCode),
		LineStatus:   product.LineStatus(d.LineStatus), PlanCode: string(current.ProductCode), Plan: plan(current),
		Contract: product.Contract{
			Date: t.ContractStart.date(), TermEnd: t.ContractEnd.date(), EarlyTerminationFee: t.EarlyTerminationFee.fee(),
		},
	}
	// Without this check a change would be decided as if nothing was scheduled.
	if d.ScheduledProduct.present && d.ScheduledProduct.orZero().ProductCode == "" {
		return product.Customer{}, unusable("customer with a scheduled plan that cannot be read")
	}
	if s := d.ScheduledProduct.orZero(); s.ProductCode != "" {
		c.Scheduled = &product.Scheduled{
			PlanCode: string(s.ProductCode), Plan: plan(s.planData), EffectiveDate: s.EffectiveDate.date(),
			TransactionID: transactionOf(string(s.TransactionID)),
		}
	}
	return c, nil
}

// plan converts a plan; it returns the zero plan when KOS sends only the code.
func plan(d planData) product.Plan {
	if d == (planData{ProductCode: d.ProductCode}) {
		return product.Plan{}
	}
	return product.Plan{
		Code: string(d.ProductCode), Name: string(d.ProductName), MonthlyFee: d.MonthlyFee.fee(),
		DataAllowance:  string(d.DataAllowance),
		VoiceAllowance: string(d.VoiceAllowance), SMSAllowance: string(d.SMSAllowance), NetworkType: string(d.NetworkType),
		Description: string(d.Description), OnSale: d.Status == "ACTIVE", SaleUnknown: d.Status == "",
		OperatorCode: string(d.OperatorCode),
	}
}

type plansData struct {
	Products maybe[[]maybe[planData]] `json:"products"`
}

// readPlans converts an answer to the plan list. A plan without a code is left out, because it could not be ordered. A
// list without any plan is unusable: it would replace a good copy.
func readPlans(body []byte) ([]product.Plan, error) {
	d, err := dataOf[plansData](body, "no plan list")
	if err != nil {
		return nil, err
	}
	var out []product.Plan
	for _, in := range d.Products.orZero() {
		p := in.orZero()
		if p.ProductCode == "" {
			continue
		}
		listed := plan(p)
		listed.Code, listed.SaleUnknown = string(p.ProductCode), p.Status == ""
		out = append(out, listed)
	}
	if len(out) == 0 {
		return nil, unusable("no plans")
	}
	return out, nil
}

type changeData struct {
	TransactionID  trimmed `json:"transactionId"`
	KosOrderNumber trimmed `json:"kosOrderNumber"`
	NewProductCode trimmed `json:"newProductCode"`
	ProcessResult  trimmed `json:"processResult"`
}

// readChange returns KOS's order number. What KOS echoes must be what was sent.
func readChange(body []byte, transaction, plan string) (string, error) {
	d, err := dataOf[changeData](body, "no change")
	switch {
	case err != nil:
		return "", err
	case d.TransactionID == "" || d.NewProductCode == "":
		return "", unusable("change without its transaction or plan")
	case string(d.TransactionID) != transaction:
		return "", mixedUp("change of another transaction")
	case string(d.NewProductCode) != plan:
		return "", mixedUp("change to another plan")
	case d.ProcessResult != "" && d.ProcessResult != "정상":
		return "", mixedUp("code and processResult contradict each other")
	}
	return string(d.KosOrderNumber), nil
}

type changeStatusData struct {
	TransactionID trimmed `json:"transactionId"`
	State         trimmed `json:"state"`
	ResultCode    trimmed `json:"resultCode"`
}

// readChangeStatus returns what KOS knows of the transaction. Missing data mean that KOS does not know it; unreadable
// data do not.
func readChangeStatus(body []byte, transaction string) (product.Answer, error) {
	var in answerData[json.RawMessage]
	if err := json.Unmarshal(body, &in); err != nil {
		return product.Answer{}, unusable("not a change status")
	}
	if in.Data.v == nil {
		return product.Answer{Kind: product.AnswerAbsent, Code: codeOK}, nil
	}
	d, err := dataOf[changeStatusData](body, "change status that is none")
	switch {
	case err != nil:
		return product.Answer{}, err
	case d.TransactionID == "":
		return product.Answer{}, unusable("status without its transaction")
	case string(d.TransactionID) != transaction:
		return product.Answer{}, mixedUp("status of another transaction")
	}
	switch d.State {
	case "APPLIED":
		return product.Answer{Kind: product.AnswerAccepted, Code: codeOK}, nil
	case "REFUSED":
		return refused(string(d.ResultCode)), nil
	case "RECEIVED":
		return product.Answer{Kind: product.AnswerUnknown}, nil
	default:
		return product.Answer{}, unusable("unknown state")
	}
}

// transactionOf parses a transaction id. A change ordered elsewhere may have an id of another form: it becomes some id
// that is none of ours.
func transactionOf(s string) id.ID {
	if s == "" {
		return id.ID{}
	}
	if ours, err := id.Parse(s); err == nil {
		return ours
	}
	digest := sha256.Sum256([]byte(s))
	return id.ID(digest[:16])
}

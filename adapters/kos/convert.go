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

// answerData is the part of an answer that the operation is about.
type answerData[T any] struct {
	Data maybe[T] `json:"data"`
}

// dataOf reads the data of an answer whose envelope is good.
func dataOf[T any](body []byte, missing string) (T, error) {
	var in answerData[T]
	if err := json.Unmarshal(body, &in); err != nil || in.Data.v == nil {
		var none T
		return none, unusable(missing)
	}
	return *in.Data.v, nil
}

type billData struct {
	ProductCode              words                    `json:"productCode"`
	ProductName              words                    `json:"productName"`
	ContractInfo             words                    `json:"contractInfo"`
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
	Name   words  `json:"name"`
	Amount amount `json:"amount"`
}

type usageData struct {
	Voice words `json:"voice"`
	SMS   words `json:"sms"`
	Data  words `json:"data"`
}

type paymentData struct {
	BillingDate   digitsOnly `json:"billingDate"`
	DueDate       digitsOnly `json:"dueDate"`
	PaymentStatus words      `json:"paymentStatus"`
	PaymentMethod words      `json:"paymentMethod"`
}

// readBill turns an answer into the bill that was asked for. Every field may be missing but those without which it is
// no bill: its plan, its month, and a total that is stated or follows from complete parts. A bill of another month is
// not the answer to the question.
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
		Line: n, Month: m, ProductCode: string(d.ProductCode), ProductName: string(d.ProductName), ContractInfo: string(d.ContractInfo),
		Contract: term(d), Charges: items(d.Charges), Discounts: discounts(d.DiscountInfo), Usage: usage(d.Usage.or()),
		TerminationFee: d.EstimatedCancellationFee.won, DeviceInstallment: d.DeviceInstallment.won,
		DeviceInstallmentMonthly: d.DeviceInstallmentMonthly.won, Payment: payment(d.BillingPaymentInfo.or()),
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

// mostWon is more than anybody is charged. Within it no sum of a bill's amounts overflows: an answer has room for some ten thousand.
const mostWon money.Won = 1_000_000_000_000

// plausible refuses what cannot be meant: amounts beyond all measure, fees that would be paid to the customer, discounts that would be
// added. Charges and the total may be negative: corrections and credits are. An amount that is missing says nothing.
func plausible(b bill.Bill, total *money.Won) error {
	signed, unsigned := []*money.Won{total}, []*money.Won{b.TerminationFee, b.DeviceInstallment, b.DeviceInstallmentMonthly}
	for _, c := range b.Charges {
		signed = append(signed, c.Amount)
	}
	for _, d := range b.Discounts {
		unsigned = append(unsigned, d.Amount)
	}
	beyond := func(w *money.Won) bool { return w != nil && (*w < -mostWon || *w > mostWon) }
	if slices.ContainsFunc(signed, beyond) || slices.ContainsFunc(unsigned, implausible) {
		return unusable("amount that cannot be meant")
	}
	return nil
}

// implausible tells of an amount that is never negative.
func implausible(w *money.Won) bool { return w != nil && (*w < 0 || *w > mostWon) }

// fee is the amount of a fee; nil when it is missing or cannot be meant, for the rest of the answer is good.
func (a amount) fee() *money.Won {
	if implausible(a.won) {
		return nil
	}
	return a.won
}

// term is nil when KOS states nothing of the contract's term.
func term(d billData) *bill.Contract {
	c := bill.Contract{Months: d.ContractMonths.n, Start: d.ContractStart.date(), End: d.ContractEnd.date()}
	if c == (bill.Contract{}) {
		return nil
	}
	return &c
}

// items keeps an item of which nothing can be read: a sum without it would be wrong.
func items(in maybe[[]maybe[itemData]]) []bill.Item {
	if in.v == nil {
		return nil
	}
	out := make([]bill.Item, len(*in.v))
	for i, a := range *in.v {
		out[i] = bill.Item{Name: string(a.or().Name), Amount: a.or().Amount.won}
	}
	return out
}

const unlimited = "무제한"

// usage keeps the texts and reads numbers where it can.
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

// minutes reads 250분 and 4시간 10분; nil for anything else.
func minutes(s string) *int {
	found := minutesPattern.FindStringSubmatch(s)
	if found == nil || found[1] == "" && found[2] == "" {
		return nil
	}
	return whole(number(found[1])*60 + number(found[2]))
}

// messages reads 300건; nil for anything else.
func messages(s string) *int {
	found := countPattern.FindStringSubmatch(s)
	if found == nil {
		return nil
	}
	return whole(number(found[1]))
}

// megabytes reads 23.5GB, rounded (1 GB = 1024 MB); nil for anything else.
func megabytes(s string) *int {
	found := dataPattern.FindStringSubmatch(strings.ToUpper(s))
	if found == nil {
		return nil
	}
	scale := map[string]float64{"K": 1. / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}[found[2]]
	return whole(number(found[1]) * scale)
}

// number reads digits with commas; the patterns let nothing else pass, and nothing is 0.
func number(s string) float64 {
	f, _ := strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
	return f
}

// whole rounds; nil for a number that cannot be meant.
func whole(f float64) *int {
	if f > math.MaxInt32 {
		return nil
	}
	n := int(math.Round(f))
	return &n
}

// payment leaves the status empty when KOS tells none, or one that we do not know.
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

type customerData struct {
	CustomerID       words                `json:"customerId"`
	CustomerName     words                `json:"customerName"`
	OperatorCode     words                `json:"operatorCode"`
	LineStatus       words                `json:"lineStatus"`
	CurrentProduct   maybe[planData]      `json:"currentProduct"`
	ScheduledProduct maybe[scheduledData] `json:"scheduledProduct"`
	Contract         maybe[contractData]  `json:"contract"`
}

type planData struct {
	ProductCode    words  `json:"productCode"`
	ProductName    words  `json:"productName"`
	MonthlyFee     amount `json:"monthlyFee"`
	DataAllowance  words  `json:"dataAllowance"`
	VoiceAllowance words  `json:"voiceAllowance"`
	SMSAllowance   words  `json:"smsAllowance"`
	NetworkType    words  `json:"networkType"`
	Description    words  `json:"description"`
	OperatorCode   words  `json:"operatorCode"`
	Status         words  `json:"status"`
}

type scheduledData struct {
	planData

	EffectiveDate digitsOnly `json:"effectiveDate"`
	TransactionID words      `json:"transactionId"`
}

type contractData struct {
	ContractStart       digitsOnly `json:"contractStart"`
	ContractEnd         digitsOnly `json:"contractEnd"`
	EarlyTerminationFee amount     `json:"earlyTerminationFee"`
}

// readCustomer turns an answer into the line's customer. A line status that we do not know is kept: the pre-check has
// a word for it. The plans are kept as KOS describes them here, for the plan list may not know them any more.
func readCustomer(body []byte, n line.Number) (product.Customer, error) {
	d, err := dataOf[customerData](body, "no customer")
	if err != nil {
		return product.Customer{}, err
	}
	current := d.CurrentProduct.or()
	if d.CustomerID == "" {
		return product.Customer{}, unusable("customer without id")
	}
	if d.OperatorCode == "" || current.ProductCode == "" {
		named := ports.NamedError{Customer: string(d.CustomerID)}
		return product.Customer{}, fmt.Errorf("%w: %w", unusable("customer without operator or plan"), named)
	}
	t := d.Contract.or()
	c := product.Customer{
		CustomerID: string(d.CustomerID), Line: n, Name: personal.NewName(string(d.CustomerName)), OperatorCode: string(d.OperatorCode),
		LineStatus: product.LineStatus(d.LineStatus), PlanCode: string(current.ProductCode), Plan: plan(current),
		Contract: product.Contract{
			Date: t.ContractStart.date(), TermEnd: t.ContractEnd.date(), EarlyTerminationFee: t.EarlyTerminationFee.fee(),
		},
	}
	if d.ScheduledProduct.said && d.ScheduledProduct.or().ProductCode == "" { // a change would be decided as if nothing was scheduled
		return product.Customer{}, unusable("customer with a scheduled plan that cannot be read")
	}
	if s := d.ScheduledProduct.or(); s.ProductCode != "" {
		c.Scheduled = &product.Scheduled{
			PlanCode: string(s.ProductCode), Plan: plan(s.planData), EffectiveDate: s.EffectiveDate.date(),
			TransactionID: transactionOf(string(s.TransactionID)),
		}
	}
	return c, nil
}

// plan is a plan as KOS describes it; zero when it gives the code alone.
func plan(d planData) product.Plan {
	if d == (planData{ProductCode: d.ProductCode}) {
		return product.Plan{}
	}
	return product.Plan{
		Code: string(d.ProductCode), Name: string(d.ProductName), MonthlyFee: d.MonthlyFee.fee(), DataAllowance: string(d.DataAllowance),
		VoiceAllowance: string(d.VoiceAllowance), SMSAllowance: string(d.SMSAllowance), NetworkType: string(d.NetworkType),
		Description: string(d.Description), OnSale: d.Status == "ACTIVE", SaleUnknown: d.Status == "", OperatorCode: string(d.OperatorCode),
	}
}

type plansData struct {
	Products maybe[[]maybe[planData]] `json:"products"`
}

// readPlans turns an answer into the plan list. A plan without a code is left out: there is nothing by which it could
// be ordered. A list without any plan is unusable: it would replace a good copy.
func readPlans(body []byte) ([]product.Plan, error) {
	d, err := dataOf[plansData](body, "no plan list")
	if err != nil {
		return nil, err
	}
	var out []product.Plan
	for _, in := range d.Products.or() {
		p := in.or()
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
	TransactionID  words `json:"transactionId"`
	KosOrderNumber words `json:"kosOrderNumber"`
	NewProductCode words `json:"newProductCode"`
	ProcessResult  words `json:"processResult"`
}

// readChange returns KOS's order number; what KOS echoes must be what was sent.
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
	TransactionID words `json:"transactionId"`
	State         words `json:"state"`
	ResultCode    words `json:"resultCode"`
}

// readChangeStatus returns what KOS knows of the transaction. Data that are missing mean that it knows nothing; data
// that cannot be read do not.
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

// transactionOf reads a transaction id. What was ordered elsewhere may have one of another kind: that is some id, and none of ours.
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

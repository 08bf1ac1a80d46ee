package kos

import (
	"crypto/sha256"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"phonebill/adapters/kos/internal/kosgen"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
	"phonebill/core/personal"
	"phonebill/core/product"
)

// readBill turns an answer into the bill that was asked for. Fields that kos.yaml allows to be missing may be; a bill of another
// month, without a plan or without any amount is unusable.
func readBill(body []byte, n line.Number, m calendar.Month) (bill.Bill, error) {
	var in kosgen.BillAnswer
	switch err := json.Unmarshal(body, &in); {
	case err != nil:
		return bill.Bill{}, unusable("not a bill")
	case in.Data == nil:
		return bill.Bill{}, unusable("no bill")
	case in.Data.BillingMonth != m.Compact():
		return bill.Bill{}, unusable("bill of another month")
	case in.Data.ProductCode == "" || in.Data.ProductName == "":
		return bill.Bill{}, unusable("bill without a plan")
	}
	d := in.Data
	b := bill.Bill{
		Line: n, Month: m, ProductCode: d.ProductCode, ProductName: d.ProductName, ContractInfo: text(d.ContractInfo),
		Contract: term(d), Charges: items(d.Charges), Usage: usage(d.Usage), TerminationFee: won(d.EstimatedCancellationFee),
		DeviceInstallment: won(d.DeviceInstallment), Payment: payment(d.BillingPaymentInfo),
	}
	if d.DeviceInstallmentMonthly != nil {
		monthly := won(d.DeviceInstallmentMonthly)
		b.DeviceInstallmentMonthly = &monthly
	}
	var err error
	if b.Discounts, err = discounts(d.DiscountInfo); err != nil {
		return bill.Bill{}, err
	}
	if b.Total, err = total(d, b); err != nil {
		return bill.Bill{}, err
	}
	if err = plausible(b); err != nil {
		return bill.Bill{}, err
	}
	return b, nil
}

// mostWon is more than anybody is charged. Within it no sum of a bill's amounts overflows: an answer has room for some ten thousand.
const mostWon money.Won = 1_000_000_000_000

// plausible refuses what cannot be meant: amounts beyond all measure, fees that would be paid to the customer, discounts that would be
// added. Charges and the total may be negative: corrections and credits are.
func plausible(b bill.Bill) error {
	signed, unsigned := []money.Won{b.Total}, []money.Won{b.TerminationFee, b.DeviceInstallment}
	for _, c := range b.Charges {
		signed = append(signed, c.Amount)
	}
	for _, d := range b.Discounts {
		unsigned = append(unsigned, d.Amount)
	}
	if b.DeviceInstallmentMonthly != nil {
		unsigned = append(unsigned, *b.DeviceInstallmentMonthly)
	}
	beyond := func(w money.Won) bool { return w < -mostWon || w > mostWon }
	if slices.ContainsFunc(signed, beyond) || slices.ContainsFunc(unsigned, implausible) {
		return unusable("amount that cannot be meant")
	}
	return nil
}

// implausible tells of an amount that is never negative.
func implausible(w money.Won) bool { return w < 0 || w > mostWon }

// total is what KOS states; where it states none, kos.yaml says how it comes about. Without charges either it would be invented.
func total(d *kosgen.Bill, b bill.Bill) (money.Won, error) {
	if d.Charge != nil {
		return won(d.Charge), nil
	}
	if len(b.Charges) == 0 {
		return 0, unusable("bill without an amount")
	}
	var sum money.Won
	for _, c := range b.Charges {
		sum += c.Amount
	}
	for _, c := range b.Discounts {
		sum -= c.Amount
	}
	return sum, nil
}

// term is nil when KOS tells no dates.
func term(d *kosgen.Bill) *bill.Contract {
	c := bill.Contract{Start: date(d.ContractStart), End: date(d.ContractEnd)}
	if c.Start.IsZero() && c.End.IsZero() {
		return nil
	}
	if d.ContractMonths != nil {
		c.Months = *d.ContractMonths
	}
	return &c
}

func items(in *[]kosgen.Amount) []bill.Item {
	if in == nil {
		return nil
	}
	out := make([]bill.Item, len(*in))
	for i, a := range *in {
		out[i] = bill.Item{Name: a.Name, Amount: money.Won(a.Amount)}
	}
	return out
}

// discounts come as a list, or as text from older billing runs.
func discounts(in *kosgen.DiscountInfo) ([]bill.Item, error) {
	if in == nil {
		return nil, nil
	}
	if list, err := in.AsDiscountInfo0(); err == nil {
		return items(&list), nil
	}
	said, err := in.AsDiscountInfo1()
	if err != nil {
		return nil, unusable("discounts are neither list nor text")
	}
	return discountText(said), nil
}

var discountPattern = regexp.MustCompile(`\s*([^,]*?)\s*([0-9][0-9,]*)\s*원\s*(?:,|$)`)

// discountText reads 「가족할인 10000원, 선택약정할인 14,750원」. Words without an amount are kept with the amount 0: the customer sees
// what KOS wrote, nothing is invented, and a total that does not follow from it is flagged by bill.AddsUp.
func discountText(said string) []bill.Item {
	var out []bill.Item
	rest := 0
	keep := func(words string) {
		for word := range strings.SplitSeq(words, ",") {
			if word = strings.TrimSpace(word); word != "" {
				out = append(out, bill.Item{Name: word})
			}
		}
	}
	for _, at := range discountPattern.FindAllStringSubmatchIndex(said, -1) {
		amount, err := strconv.ParseInt(strings.ReplaceAll(said[at[4]:at[5]], ",", ""), 10, 64)
		if err != nil {
			continue
		}
		keep(said[rest:at[0]])
		name := said[at[2]:at[3]]
		if name == "" {
			name = "할인"
		}
		out = append(out, bill.Item{Name: name, Amount: money.Won(amount)})
		rest = at[1]
	}
	keep(said[rest:])
	return out
}

const unlimited = "무제한"

// usage keeps the texts and reads numbers where it can.
func usage(in *kosgen.Usage) bill.Usage {
	if in == nil {
		return bill.Usage{}
	}
	u := bill.Usage{Voice: text(in.Voice), SMS: text(in.Sms), Data: text(in.Data)}
	u.VoiceUnlimited, u.SMSUnlimited, u.DataUnlimited =
		strings.HasPrefix(u.Voice, unlimited), strings.HasPrefix(u.SMS, unlimited), strings.HasPrefix(u.Data, unlimited)
	u.VoiceMinutes, u.SMSCount, u.DataMegabytes = minutes(u.Voice), count(u.SMS), megabytes(u.Data)
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

// count reads 300건; nil for anything else.
func count(s string) *int {
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
func payment(in *kosgen.BillingPaymentInfo) bill.Payment {
	if in == nil {
		return bill.Payment{}
	}
	p := bill.Payment{BillingDate: date(in.BillingDate), DueDate: date(in.DueDate), Method: text(in.PaymentMethod)}
	switch text(in.PaymentStatus) {
	case "완료":
		p.Status = bill.Paid
	case "미납":
		p.Status = bill.Unpaid
	case "연체":
		p.Status = bill.Overdue
	}
	return p
}

// readCustomer turns an answer into the line's customer. A line status that we do not know is kept: the pre-check has a word for it.
func readCustomer(body []byte, n line.Number) (product.Customer, error) {
	var in kosgen.CustomerAnswer
	switch err := json.Unmarshal(body, &in); {
	case err != nil:
		return product.Customer{}, unusable("not a customer")
	case in.Data == nil:
		return product.Customer{}, unusable("no customer")
	case in.Data.CustomerId == "" || in.Data.LineStatus == "" || in.Data.OperatorCode == "" || in.Data.CurrentProduct.ProductCode == "":
		return product.Customer{}, unusable("customer without id, status, operator or plan")
	}
	d := in.Data
	c := product.Customer{
		CustomerID: d.CustomerId, Line: n, Name: personal.NewName(d.CustomerName), OperatorCode: d.OperatorCode,
		LineStatus: product.LineStatus(d.LineStatus), PlanCode: d.CurrentProduct.ProductCode,
	}
	if s := d.ScheduledProduct; s != nil && s.ProductCode != "" {
		c.Scheduled = &product.Scheduled{
			PlanCode: s.ProductCode, EffectiveDate: date(&s.EffectiveDate), TransactionID: transactionOf(s.TransactionId),
		}
	}
	if t := d.Contract; t != nil {
		c.Contract = product.Contract{
			Date: date(t.ContractStart), TermEnd: date(t.ContractEnd), EarlyTerminationFee: won(t.EarlyTerminationFee),
		}
		if implausible(c.Contract.EarlyTerminationFee) {
			return product.Customer{}, unusable("fee that cannot be meant")
		}
	}
	return c, nil
}

// readPlans turns an answer into the plan list. An empty list, or a plan without code, name, operator or fee, is unusable: it would
// replace a good copy.
func readPlans(body []byte) ([]product.Plan, error) {
	var in kosgen.ProductsAnswer
	var fees struct {
		Data struct {
			Products []struct {
				MonthlyFee *int64 `json:"monthlyFee"`
			} `json:"products"`
		} `json:"data"`
	}
	switch {
	case json.Unmarshal(body, &in) != nil || json.Unmarshal(body, &fees) != nil:
		return nil, unusable("not a plan list")
	case in.Data == nil || len(in.Data.Products) == 0:
		return nil, unusable("no plans")
	}
	out := make([]product.Plan, len(in.Data.Products))
	for i, p := range in.Data.Products {
		if p.ProductCode == "" || p.ProductName == "" || p.OperatorCode == "" || fees.Data.Products[i].MonthlyFee == nil {
			return nil, unusable("plan without code, name, operator or fee")
		}
		if implausible(money.Won(p.MonthlyFee)) {
			return nil, unusable("fee that cannot be meant")
		}
		out[i] = product.Plan{
			Code: p.ProductCode, Name: p.ProductName, MonthlyFee: money.Won(p.MonthlyFee), DataAllowance: text(p.DataAllowance),
			VoiceAllowance: text(p.VoiceAllowance), SMSAllowance: text(p.SmsAllowance), NetworkType: text(p.NetworkType),
			Description: text(p.Description), OnSale: p.Status == "ACTIVE", OperatorCode: p.OperatorCode,
		}
	}
	return out, nil
}

// readChange answers KOS's order number; what it echoes must be what was sent.
func readChange(body []byte, transaction, plan string) (string, error) {
	var in kosgen.ProductChangeAnswer
	switch {
	case json.Unmarshal(body, &in) != nil:
		return "", unusable("not a change")
	case in.Data == nil:
		return "", unusable("no change")
	case in.Data.TransactionId != transaction:
		return "", unusable("change of another transaction")
	case in.Data.NewProductCode != plan:
		return "", unusable("change to another plan")
	case in.Data.ProcessResult != nil && *in.Data.ProcessResult != "정상":
		return "", unusable("code and processResult contradict each other")
	}
	return in.Data.KosOrderNumber, nil
}

// readChangeStatus answers what KOS knows of the transaction.
func readChangeStatus(body []byte, transaction string) (product.Answer, error) {
	var in kosgen.ProductChangeStatusAnswer
	switch {
	case json.Unmarshal(body, &in) != nil:
		return product.Answer{}, unusable("not a change status")
	case in.Data == nil:
		return product.Answer{Kind: product.AnswerAbsent, Code: codeOK}, nil
	case in.Data.TransactionId != transaction:
		return product.Answer{}, unusable("status of another transaction")
	}
	switch in.Data.State {
	case "APPLIED":
		return product.Answer{Kind: product.AnswerAccepted, Code: codeOK}, nil
	case "REFUSED":
		return refused(text(in.Data.ResultCode)), nil
	case "RECEIVED":
		return product.Answer{Kind: product.AnswerUnknown}, nil
	default:
		return product.Answer{}, unusable("unknown state")
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return strings.TrimSpace(*s)
}

func won(n *int64) money.Won {
	if n == nil {
		return 0
	}
	return money.Won(*n)
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

// date reads yyyyMMdd; what is none is no date.
func date(s *string) calendar.Date {
	t := text(s)
	if len(t) != 8 {
		return calendar.Date{}
	}
	d, err := calendar.ParseDate("date", t[:4]+"-"+t[4:6]+"-"+t[6:])
	if err != nil {
		return calendar.Date{}
	}
	return d
}

package kossim

import (
	"fmt"

	"phonebill/adapters/kos/internal/kosgen"
	"phonebill/core/calendar"
)

// How many months have a bill, the current one included.
const (
	billMonths    = 12
	newBillMonths = 2 // of a new customer
)

// billed returns how many months of the line have a bill, the current one included.
func (l *subscriber) billed() int {
	if months, special := map[Scenario]int{NoBill: 0, NewCustomer: newBillMonths}[l.scenario]; special {
		return months
	}
	return billMonths
}

// months lists the billing months of a line, newest first.
func (l *subscriber) months(today calendar.Date) []string {
	out := []string{}
	for i := range l.billed() {
		out = append(out, today.Month().Add(-i).Compact())
	}
	return out
}

// bill returns the bill of a month; false when there is none. It depends only on the line, the month and the accepted
// changes, and charge = sum(charges) - sum(discounts) always holds.
func (l *subscriber) bill(month string, today calendar.Date) (kosgen.Bill, bool) {
	m, err := parseMonth(month)
	if err != nil || m.After(today.Month()) || today.Month().Add(1-l.billed()).After(m) {
		return kosgen.Bill{}, false
	}
	last := m.Add(1).First().AddDays(-1)
	if last.After(today) {
		last = today
	}
	code, _ := l.planOn(last)
	p, _ := planOf(code) // only plans of the catalogue are ever accepted
	c := l.contractIn(m)
	info, months, start, end, fee := c.text(), termMonths, c.start.Compact(), c.end.Compact(), c.terminationFee()
	monthly := l.instalment()
	balance := monthly * c.remaining
	charges := l.charges(p, month, monthly)
	discounts := l.discounts(p)
	charge := sum(charges) - sum(discounts)
	out := kosgen.Bill{
		ProductCode: p.code, ProductName: p.name, BillingMonth: month,
		ContractInfo: &info, ContractMonths: &months, ContractStart: &start, ContractEnd: &end,
		Charge: &charge, Charges: &charges, DiscountInfo: l.discountInfo(discounts, month), Usage: l.usage(p, month),
		EstimatedCancellationFee: &fee, DeviceInstallment: &balance, BillingPaymentInfo: l.payment(m, today.Month()),
	}
	if monthly > 0 {
		out.DeviceInstallmentMonthly = &monthly
	}
	return out, true
}

func (l *subscriber) charges(p plan, month string, instalment int64) []kosgen.Amount {
	out := []kosgen.Amount{{Name: "월정액", Amount: p.fee}}
	if instalment > 0 {
		out = append(out, kosgen.Amount{Name: "단말기 할부금", Amount: instalment})
	}
	if extra := []int64{0, 3_300, 5_500}[pick(l.number, "extra", 3)]; extra > 0 {
		out = append(out, kosgen.Amount{Name: "부가서비스", Amount: extra})
	}
	if micro := int64(pick(l.number, "micro"+month, 8)) * 1_100; micro > 4_400 {
		out = append(out, kosgen.Amount{Name: "소액결제", Amount: micro})
	}
	return out
}

func (l *subscriber) discounts(p plan) []kosgen.Amount {
	out := []kosgen.Amount{}
	switch pick(l.number, "discount", 4) {
	case 0:
		return out
	case 1:
		out = append(out, kosgen.Amount{Name: "가족할인", Amount: 10_000})
	case 2:
		out = append(out, kosgen.Amount{Name: "선택약정할인", Amount: p.fee / 4})
	default:
		out = append(out, kosgen.Amount{Name: "가족할인", Amount: 5_000}, kosgen.Amount{
			Name: "선택약정할인", Amount: p.fee / 4,
		})
	}
	return out
}

// discountInfo returns a list, or in one month of four a text, as older billing runs send it.
func (l *subscriber) discountInfo(discounts []kosgen.Amount, month string) *kosgen.DiscountInfo {
	var out kosgen.DiscountInfo
	if len(discounts) == 0 || pick(l.number, "text"+month, 4) != 0 {
		_ = out.FromDiscountInfo0(discounts) // a slice of names and numbers always marshals
		return &out
	}
	text := ""
	for i, d := range discounts {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s %d원", d.Name, d.Amount)
	}
	_ = out.FromDiscountInfo1(text) // a string always marshals
	return &out
}

// usage returns texts; sms is missing in one month of four, and on a plan without limits all are 「무제한」.
func (l *subscriber) usage(p plan, month string) *kosgen.Usage {
	voice, sms, data := unlimited, unlimited, unlimited
	if p.dataGB > 0 {
		voice = fmt.Sprintf("%d분", pick(l.number, "voice"+month, 300))
		sms = fmt.Sprintf("%d건", pick(l.number, "sms"+month, 100))
		data = gigabytes(int64(pick(l.number, "data"+month, int(p.dataGB*10))))
	}
	out := &kosgen.Usage{Voice: &voice, Sms: &sms, Data: &data}
	if pick(l.number, "nosms"+month, 4) == 0 {
		out.Sms = nil
	}
	return out
}

// payment returns the payment of a month: past months are paid, the current one is not yet; an unpaid line owes the
// last two as well.
func (l *subscriber) payment(m, current calendar.Month) *kosgen.BillingPaymentInfo {
	billed := m.Add(1).First().AddDays(-1).Compact()
	due := m.Add(1).First().AddDays(24).Compact()
	out := &kosgen.BillingPaymentInfo{BillingDate: &billed, DueDate: &due}
	status := "완료"
	switch {
	case m == current:
		status = "미납"
	case l.scenario == Unpaid && m.After(current.Add(-3)):
		status = "연체"
	default:
		method := []string{"카드", "계좌이체"}[pick(l.number, "method", 2)]
		out.PaymentMethod = &method
	}
	out.PaymentStatus = &status
	return out
}

func sum(in []kosgen.Amount) (total int64) {
	for _, a := range in {
		total += a.Amount
	}
	return total
}

// gigabytes prints tenths of a gigabyte: 23.5GB, 50GB.
func gigabytes(tenths int64) string {
	if tenths%10 == 0 {
		return fmt.Sprintf("%dGB", tenths/10)
	}
	return fmt.Sprintf("%d.%dGB", tenths/10, tenths%10)
}

// parseMonth reads yyyyMM.
func parseMonth(s string) (calendar.Month, error) {
	if len(s) != 6 {
		return calendar.Month{}, errMalformed
	}
	return calendar.ParseMonth(s[:4] + "-" + s[4:])
}

// parseDay reads yyyyMMdd.
func parseDay(s string) (calendar.Date, error) {
	if len(s) != 8 {
		return calendar.Date{}, errMalformed
	}
	return calendar.ParseDate("effectiveDate", s[:4]+"-"+s[4:6]+"-"+s[6:])
}

package mvnoap

import (
	"time"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"phonebill/adapters/mvnoap/internal/apgen"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/money"
	"phonebill/core/product"
	"phonebill/ports"
)

func billResult(i delivery.Item[ports.BillResult]) apgen.BillResult {
	q := i.Body.Inquiry
	out := apgen.BillResult{
		RequestId: openapi_types.UUID(q.ID), LineNumber: q.Line.Hyphenated(), Sequence: i.Sequence, Month: q.Month.String(),
		Status: apgen.BillResultStatus(q.Status.Public()),
	}
	if q.Status.Failure() {
		code, message := string(q.FailureCode), q.Reason()
		out.ErrorCode, out.ErrorMessage = &code, &message
		return out
	}
	source, asOf := apgen.BillResultSource(q.Source), q.AsOf.UTC()
	out.Source, out.AsOf = &source, &asOf
	if i.Body.Bill != nil {
		out.BillInfo = billInfo(*i.Body.Bill)
	}
	return out
}

func billInfo(b bill.Bill) *apgen.BillInfo {
	out := &apgen.BillInfo{
		ProductCode: b.ProductCode, ProductName: b.ProductName, ContractInfo: text(b.ContractInfo),
		BillingMonth: b.Month.String(), TotalAmount: int64(b.Total), Charges: amounts(b.Charges),
		DiscountInfo: amounts(b.Discounts), Usage: usage(b.Usage),
		TerminationFee: won(b.TerminationFee), DeviceInstallment: won(b.DeviceInstallment),
		DeviceInstallmentMonthly: won(b.DeviceInstallmentMonthly), PaymentInfo: payment(b.Payment),
	}
	if !b.AddsUp() {
		mismatch := true
		out.AmountMismatch = &mismatch
	}
	if c := b.Contract; c != nil {
		out.Contract = &apgen.Contract{Months: c.Months, StartDate: day(c.Start), EndDate: day(c.End)}
	}
	return out
}

// payment returns nil when KOS states nothing of it.
func payment(p bill.Payment) *apgen.PaymentInfo {
	if p == (bill.Payment{}) {
		return nil
	}
	out := &apgen.PaymentInfo{BillingDate: day(p.BillingDate), DueDate: day(p.DueDate), PaymentMethod: text(p.Method)}
	if p.Status != "" {
		out.PaymentStatus = new(apgen.PaymentInfoPaymentStatus(p.Status))
	}
	return out
}

// amounts returns nil when KOS lists none; an empty list is a statement of KOS.
func amounts(in []bill.Item) *[]apgen.Amount {
	if in == nil {
		return nil
	}
	out := make([]apgen.Amount, len(in))
	for i, item := range in {
		out[i] = apgen.Amount{Name: text(item.Name), Amount: won(item.Amount)}
	}
	return &out
}

func won(w *money.Won) *int64 { return (*int64)(w) }

// usage returns nil when KOS states nothing of it.
func usage(u bill.Usage) *apgen.Usage {
	if u == (bill.Usage{}) {
		return nil
	}
	return &apgen.Usage{
		Voice: text(u.Voice), Sms: text(u.SMS), Data: text(u.Data), VoiceMinutes: whole(u.VoiceMinutes),
		SmsCount: whole(u.SMSCount), DataMegabytes: whole(u.DataMegabytes), VoiceUnlimited: yes(u.VoiceUnlimited),
		SmsUnlimited:  yes(u.SMSUnlimited),
		DataUnlimited: yes(u.DataUnlimited),
	}
}

func changeResult(i delivery.Item[ports.ChangeResult]) apgen.ProductChangeResult {
	o := i.Body.Order
	out := apgen.ProductChangeResult{
		RequestId: openapi_types.UUID(o.ID), LineNumber: o.Line.Hyphenated(), Sequence: i.Sequence, NewProductCode: o.To,
		ProcessResult: apgen.ProductChangeResultProcessResultDone, Message: o.ResultMessage,
		FailureReason: text(o.FailureReason),
	}
	if o.State != product.Completed {
		out.ProcessResult = apgen.ProductChangeResultProcessResultFailed
	}
	return out
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func yes(b bool) *bool {
	if !b {
		return nil
	}
	return &b
}

func whole(n *int) *int64 {
	if n == nil {
		return nil
	}
	out := int64(*n)
	return &out
}

func day(d calendar.Date) *openapi_types.Date {
	if d.IsZero() {
		return nil
	}
	t, err := time.Parse(time.DateOnly, d.String())
	if err != nil {
		return nil
	}
	return &openapi_types.Date{Time: t}
}

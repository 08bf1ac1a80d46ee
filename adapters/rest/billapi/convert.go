package billapi

import (
	"math"
	"time"

	gen "phonebill/adapters/rest/internal/billgen"
	"phonebill/adapters/rest/internal/commongen"
	"phonebill/adapters/rest/paging"
	"phonebill/adapters/rest/problem"
	"phonebill/core/bill"
	"phonebill/core/bill/inquiry"
	"phonebill/core/calendar"
	"phonebill/core/money"
)

func toMenu(m inquiry.Menu) gen.BillMenuData {
	data := gen.BillMenuData{
		CustomerInfo: gen.CustomerInfo{CustomerID: m.CustomerID, LineNumber: m.Line.Hyphenated()},
		CurrentMonth: m.Current.String(),
	}
	for _, n := range m.Lines {
		data.Lines = append(data.Lines, n.Hyphenated())
	}
	for _, month := range m.Months {
		data.AvailableMonths = append(data.AvailableMonths, month.String())
	}
	return data
}

// accepted is the 202: when to look again and where.
func accepted(r inquiry.Result, now time.Time) gen.InquireBill202JSONResponse {
	q := r.Inquiry
	seconds := max(1, int(math.Ceil(q.NextAttemptAt.Sub(now).Seconds())))
	return gen.InquireBill202JSONResponse{
		Body: gen.BillInquiryAcceptedEnvelope{
			Success: true, Message: "요금조회 요청이 접수되었습니다",
			Data: gen.BillInquiryAcceptedData{
				RequestID: [16]byte(q.ID), Status: gen.BillInquiryAcceptedDataStatus(q.Status.Public()), EstimatedSeconds: seconds,
			},
		},
		Headers: gen.InquireBill202ResponseHeaders{
			Location: "/api/v1/bills/inquiry/" + q.ID.String(), RetryAfter: min(seconds, 5), IdempotencyReplayed: r.Replayed,
		},
	}
}

func toAnswer(r inquiry.Result) gen.BillInquiryData {
	return gen.BillInquiryData{
		RequestID: [16]byte(r.Inquiry.ID), Status: gen.BillInquiryDataStatus(r.Inquiry.Status),
		Source: commongen.DataSource(r.Inquiry.Source), AsOf: r.Inquiry.AsOf, BillInfo: toBill(*r.Bill),
	}
}

func toStatus(r inquiry.Result) gen.BillInquiryStatusData {
	q := r.Inquiry
	data := gen.BillInquiryStatusData{
		RequestID: [16]byte(q.ID), Status: gen.InquiryStatus(q.Status.Public()), Progress: progress(q),
		LineNumber: q.Line.Hyphenated(), InquiryMonth: q.Month.String(), RequestedAt: q.RequestedAt,
		FailureCode: problem.FailureCode(q.PublicFailure()), FailureReason: text(q.Reason()), ErrorMessage: text(q.Reason()),
	}
	if q.Status != bill.Processing {
		data.ProcessedAt = &q.ProcessedAt
	}
	if r.Bill != nil {
		info, source := toBill(*r.Bill), commongen.DataSource(q.Source)
		data.BillInfo, data.Source, data.AsOf = &info, &source, &q.AsOf
	}
	return data
}

// progress is a percentage: each attempt at KOS is a step, that under way too.
func progress(q bill.Inquiry) int {
	if q.Status != bill.Processing {
		return 100
	}
	return 100 * min(q.Attempts, bill.MaxAttempts) / (bill.MaxAttempts + 1)
}

// toBill leaves out what KOS does not state.
func toBill(b bill.Bill) gen.BillInfo {
	info := gen.BillInfo{
		ProductCode: b.ProductCode, ProductName: b.ProductName, ContractInfo: text(b.ContractInfo), BillingMonth: b.Month.String(),
		TotalAmount: int64(b.Total), Charges: amounts(b.Charges), DiscountInfo: amounts(b.Discounts), Usage: toUsage(b.Usage),
		TerminationFee: won(b.TerminationFee), DeviceInstallment: won(b.DeviceInstallment),
		DeviceInstallmentMonthly: won(b.DeviceInstallmentMonthly), PaymentInfo: toPayment(b.Payment),
	}
	if c := b.Contract; c != nil {
		info.Contract = &gen.Contract{Months: c.Months, StartDate: date(c.Start), EndDate: date(c.End)}
	}
	if !b.AddsUp() {
		info.AmountMismatch = new(true)
	}
	return info
}

func toUsage(u bill.Usage) *gen.Usage {
	if u == (bill.Usage{}) {
		return nil
	}
	return &gen.Usage{
		Voice: text(u.Voice), Sms: text(u.SMS), Data: text(u.Data),
		VoiceMinutes: u.VoiceMinutes, SmsCount: u.SMSCount, DataMegabytes: u.DataMegabytes,
		VoiceUnlimited: unlimited(u.Voice, u.VoiceUnlimited), SmsUnlimited: unlimited(u.SMS, u.SMSUnlimited),
		DataUnlimited: unlimited(u.Data, u.DataUnlimited),
	}
}

// unlimited is not known where there is no text.
func unlimited(said string, is bool) *bool {
	if said == "" {
		return nil
	}
	return &is
}

func toPayment(p bill.Payment) *gen.PaymentInfo {
	if p == (bill.Payment{}) {
		return nil
	}
	return &gen.PaymentInfo{
		BillingDate: date(p.BillingDate), DueDate: date(p.DueDate), PaymentStatus: paymentStatus(p.Status), PaymentMethod: text(p.Method),
	}
}

// amounts is absent when KOS lists none; an empty list is a statement of KOS.
func amounts(items []bill.Item) *[]gen.Amount {
	if items == nil {
		return nil
	}
	out := make([]gen.Amount, len(items))
	for i, item := range items {
		out[i] = gen.Amount{Name: text(item.Name), Amount: won(item.Amount)}
	}
	return &out
}

func toFilter(p gen.ListBillHistoryParams) (bill.HistoryFilter, error) {
	r, err := paging.Parse(p.LineNumber, p.StartDate, p.EndDate, p.Page, p.Size)
	if err != nil {
		return bill.HistoryFilter{}, err
	}
	f := bill.HistoryFilter{Lines: r.Lines, From: r.From, To: r.To, Page: r.Page, Size: r.Size}
	if p.Status != nil {
		f.Status = bill.Status(*p.Status)
	}
	return f, nil
}

func toHistory(rows []bill.Inquiry, page, size, total int) gen.BillHistoryData {
	data := gen.BillHistoryData{Items: make([]gen.BillHistoryItem, len(rows)), Pagination: paging.Of(page, size, total)}
	for i, q := range rows {
		item := gen.BillHistoryItem{
			RequestID: [16]byte(q.ID), LineNumber: q.Line.Hyphenated(), InquiryMonth: q.Month.String(),
			RequestedAt: q.RequestedAt, RequestTime: q.RequestedAt,
			Status: gen.InquiryStatus(q.Status.Public()), ResultSummary: text(q.Summary),
		}
		if q.Status != bill.Processing {
			item.ProcessedAt, item.ProcessTime = &q.ProcessedAt, &q.ProcessedAt
		}
		if q.Status.Failure() {
			item.ResultSummary, item.FailureReason, item.FailureCode = text(q.Reason()), text(q.Reason()), problem.FailureCode(q.PublicFailure())
		}
		if q.Source != "" {
			source := commongen.DataSource(q.Source)
			item.Source = &source
		}
		data.Items[i] = item
	}
	return data
}

// text leaves an empty text out.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func date(d calendar.Date) *string {
	if d.IsZero() {
		return nil
	}
	return text(d.String())
}

func paymentStatus(s bill.PaymentStatus) *gen.PaymentStatus {
	if s == "" {
		return nil
	}
	status := gen.PaymentStatus(s)
	return &status
}

func won(w *money.Won) *int64 { return (*int64)(w) }

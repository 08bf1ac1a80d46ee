package billapi

import (
	"math"
	"time"

	"phonebill/adapters/rest"
	gen "phonebill/adapters/rest/internal/billgen"
	"phonebill/adapters/rest/internal/commongen"
	"phonebill/core/bill"
	"phonebill/core/bill/inquiry"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/money"
)

func toMenu(m inquiry.Menu) gen.BillMenuData {
	data := gen.BillMenuData{
		CustomerInfo: gen.CustomerInfo{CustomerID: m.CustomerID, LineNumber: m.Line.Hyphenated()},
		CurrentMonth: m.Current.String(), AvailableMonths: []string{}, // an empty list is one too
	}
	if m.Provisional {
		data.Provisional = new(true)
	}
	for _, n := range m.Lines {
		data.Lines = append(data.Lines, n.Hyphenated())
	}
	for _, month := range m.Months {
		data.AvailableMonths = append(data.AvailableMonths, month.String())
	}
	return data
}

// accepted returns the 202, which says when and where to ask again.
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

// asRead returns the error of reading a bill by its month: 404 means that there is no such bill and nothing else, and
// the month is named as it is in the path.
func asRead(err error) error {
	f := fault.From(err)
	if f.Code() == fault.LineNotFound {
		return fault.New(fault.StateConflict).WithMessage(f.Message()).WithDetail("reason", string(fault.LineNotFound)).
			Because(err)
	}
	if fields := f.Fields(); len(fields) == 1 && fields[0].Name == "inquiryMonth" {
		return fault.InvalidField("month", fields[0].Reason).Because(err)
	}
	return err
}

// cacheStatus is the header of RFC 9211.
func cacheStatus(s freshness.Source) string {
	switch s {
	case freshness.FromCache:
		return "phonebill; hit"
	case freshness.FromStale:
		return "phonebill; hit; detail=stale"
	case freshness.FromKOS:
		return "phonebill; fwd=miss"
	default:
		return "phonebill; fwd=bypass"
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
		FailureCode: rest.FailureCode(q.PublicFailure()), FailureReason: rest.Optional(q.Reason()),
		ErrorMessage: rest.Optional(q.Reason()),
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

// progress returns a percentage: each attempt at KOS counts as one step, the one under way too.
func progress(q bill.Inquiry) int {
	if q.Status != bill.Processing {
		return 100
	}
	return 100 * min(q.Attempts, bill.MaxAttempts) / (bill.MaxAttempts + 1)
}

// toBill leaves out what KOS does not state.
func toBill(b bill.Bill) gen.BillInfo {
	info := gen.BillInfo{
		ProductCode: b.ProductCode, ProductName: b.ProductName, ContractInfo: rest.Optional(b.ContractInfo),
		BillingMonth: b.Month.String(),
		TotalAmount:  int64(b.Total), Charges: amounts(b.Charges), DiscountInfo: amounts(b.Discounts),
		Usage:          toUsage(b.Usage),
		TerminationFee: won(b.TerminationFee), DeviceInstallment: won(b.DeviceInstallment),
		DeviceInstallmentMonthly: won(b.DeviceInstallmentMonthly), PaymentInfo: toPayment(b.Payment),
	}
	if c := b.Contract; c != nil {
		info.Contract = &gen.Contract{
			Months: c.Months, StartDate: rest.OptionalDate(c.Start), EndDate: rest.OptionalDate(c.End),
		}
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
		Voice: rest.Optional(u.Voice), Sms: rest.Optional(u.SMS), Data: rest.Optional(u.Data),
		VoiceMinutes: u.VoiceMinutes, SmsCount: u.SMSCount, DataMegabytes: u.DataMegabytes,
		VoiceUnlimited: unlimited(u.Voice, u.VoiceUnlimited), SmsUnlimited: unlimited(u.SMS, u.SMSUnlimited),
		DataUnlimited: unlimited(u.Data, u.DataUnlimited),
	}
}

// unlimited returns whether an allowance is unlimited, or nil where KOS states no allowance.
func unlimited(allowance string, is bool) *bool {
	if allowance == "" {
		return nil
	}
	return &is
}

func toPayment(p bill.Payment) *gen.PaymentInfo {
	if p == (bill.Payment{}) {
		return nil
	}
	return &gen.PaymentInfo{
		BillingDate: rest.OptionalDate(p.BillingDate), DueDate: rest.OptionalDate(p.DueDate),
		PaymentStatus: paymentStatus(p.Status),
		PaymentMethod: rest.Optional(p.Method),
	}
}

// amounts is absent when KOS lists none; an empty list is a statement of KOS.
func amounts(items []bill.Item) *[]gen.Amount {
	if items == nil {
		return nil
	}
	out := make([]gen.Amount, len(items))
	for i, item := range items {
		out[i] = gen.Amount{Name: rest.Optional(item.Name), Amount: won(item.Amount)}
	}
	return &out
}

func toFilter(p gen.ListBillHistoryParams) (bill.HistoryFilter, error) {
	r, err := rest.ParsePage(p.LineNumber, p.StartDate, p.EndDate, p.Page, p.Size)
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
	data := gen.BillHistoryData{
		Items: make([]gen.BillHistoryItem, len(rows)), Pagination: rest.Pagination(page, size, total),
	}
	for i, q := range rows {
		item := gen.BillHistoryItem{
			RequestID: [16]byte(q.ID), LineNumber: q.Line.Hyphenated(), InquiryMonth: q.Month.String(),
			RequestedAt: q.RequestedAt, RequestTime: q.RequestedAt,
			Status: gen.InquiryStatus(q.Status.Public()), ResultSummary: rest.Optional(q.Summary),
		}
		if q.Status != bill.Processing {
			item.ProcessedAt, item.ProcessTime = &q.ProcessedAt, &q.ProcessedAt
		}
		if q.Status.Failure() {
			item.ResultSummary, item.FailureReason = rest.Optional(q.Reason()), rest.Optional(q.Reason())
			item.FailureCode = rest.FailureCode(q.PublicFailure())
		}
		if q.Source != "" {
			source := commongen.DataSource(q.Source)
			item.Source = &source
		}
		data.Items[i] = item
	}
	return data
}

func paymentStatus(s bill.PaymentStatus) *gen.PaymentStatus {
	if s == "" {
		return nil
	}
	status := gen.PaymentStatus(s)
	return &status
}

func won(w *money.Won) *int64 { return (*int64)(w) }

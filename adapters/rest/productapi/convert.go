package productapi

import (
	"math"
	"time"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/internal/commongen"
	gen "phonebill/adapters/rest/internal/productgen"
	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/product/catalog"
	"phonebill/core/product/change"
)

func toMenu(s catalog.Screen, lines []line.Number) gen.ProductMenuData {
	source := commongen.DataSource(s.Source)
	data := gen.ProductMenuData{
		CustomerID: s.Customer.CustomerID, LineNumber: s.Customer.Line.Hyphenated(), CurrentProduct: toPlan(s.Current, nil),
		Source: &source, AsOf: &s.AsOf,
		MenuItems: []gen.MenuItem{
			{MenuID: "PRODUCT_LIST", MenuName: "변경 가능한 상품 조회", Available: true},
			{MenuID: "PRODUCT_CHANGE", MenuName: "상품 변경 신청", Available: s.Customer.LineStatus == product.LineActive},
			{MenuID: "CHANGE_HISTORY", MenuName: "상품 변경 이력 조회", Available: true},
		},
	}
	for _, n := range lines {
		data.Lines = append(data.Lines, n.Hyphenated())
	}
	return data
}

// toHome shows the services as menus, whether the caller may use them or not (UFR-AUTH-020).
func toHome(p auth.Principal, lines []catalog.HomeLine) gen.HomeData {
	data := gen.HomeData{
		CustomerID: rest.Optional(p.CustomerID), Lines: make([]gen.HomeLine, len(lines)),
		Menus: []gen.MenuItem{
			{MenuID: string(auth.BillInquiry), MenuName: "요금 조회", Available: p.Has(auth.BillInquiry)},
			{MenuID: string(auth.ProductChange), MenuName: "상품 변경", Available: p.Has(auth.ProductChange)},
		},
		Permissions: make([]string, len(p.Permissions)),
	}
	for i, permission := range p.Permissions {
		data.Permissions[i] = string(permission)
	}
	for i, l := range lines {
		data.Lines[i] = toHomeLine(l)
	}
	return data
}

func toHomeLine(l catalog.HomeLine) gen.HomeLine {
	out := gen.HomeLine{LineNumber: l.Line.Hyphenated()}
	if s := l.Screen; s != nil {
		current, source := toPlan(s.Current, nil), commongen.DataSource(s.Source)
		out.CurrentProduct, out.ScheduledProduct = &current, toScheduled(*s)
		out.LineStatus, out.Source, out.AsOf = lineStatus(s.Customer.LineStatus), &source, &s.AsOf
	}
	return out
}

// toScheduled returns nil when no change is scheduled.
func toScheduled(s catalog.Screen) *gen.ScheduledProduct {
	if s.Scheduled == nil {
		return nil
	}
	return &gen.ScheduledProduct{
		Product: toPlan(*s.Scheduled, nil), EffectiveDate: rest.OptionalDate(s.Customer.Scheduled.EffectiveDate),
	}
}

func toCustomer(s catalog.Screen, days []calendar.Date) gen.ProductCustomerData {
	c := s.Customer
	return gen.ProductCustomerData{
		CustomerID: c.CustomerID, LineNumber: c.Line.Hyphenated(), CustomerName: rest.Optional(c.Name.Reveal()),
		CurrentProduct: toPlan(s.Current, nil),
		LineStatus:     lineStatus(c.LineStatus), Source: commongen.DataSource(s.Source), AsOf: s.AsOf,
		ContractInfo: gen.ContractInfo{
			ContractDate: rest.OptionalDate(c.Contract.Date), TermEndDate: rest.OptionalDate(c.Contract.TermEnd),
			EarlyTerminationFee: (*int64)(c.Contract.EarlyTerminationFee),
		},
		EffectiveDates: dates(days), ScheduledProduct: toScheduled(s),
	}
}

// lineStatus returns nil for a state that the specification does not know.
func lineStatus(s product.LineStatus) *gen.LineStatus {
	switch s {
	case product.LineActive, product.LineSuspended, product.LineTerminated:
		known := gen.LineStatus(s)
		return &known
	default:
		return nil
	}
}

// toPlan translates a plan and leaves out what is not known of it; with a current plan it adds the difference of the
// monthly fees.
func toPlan(p product.Plan, current *product.Plan) gen.Product {
	out := gen.Product{
		ProductCode: p.Code, ProductName: rest.Optional(p.Name), MonthlyFee: (*int64)(p.MonthlyFee),
		DataAllowance:  rest.Optional(p.DataAllowance),
		VoiceAllowance: rest.Optional(p.VoiceAllowance), SmsAllowance: rest.Optional(p.SMSAllowance),
		NetworkType: rest.Optional(p.NetworkType),
		Description: rest.Optional(p.Description), OperatorCode: rest.Optional(p.OperatorCode),
	}
	if !p.SaleUnknown {
		out.IsAvailable = &p.OnSale
	}
	if current != nil {
		out.PriceDifference = (*int64)(p.Dearer(*current))
	}
	return out
}

func toQuery(p gen.ListAvailableProductsParams) (catalog.Query, error) {
	var q catalog.Query
	n, err := line.Optional(p.LineNumber)
	if err != nil {
		return q, err
	}
	q.Line = n
	if p.CurrentProductCode != nil {
		q.Current = *p.CurrentProductCode
	}
	if p.OperatorCode != nil {
		q.Operator = *p.OperatorCode
	}
	return q, nil
}

func toOffer(o catalog.Offer) gen.AvailableProductsData {
	source := commongen.DataSource(o.Source)
	data := gen.AvailableProductsData{
		Products: make([]gen.Product, len(o.Plans)), TotalCount: len(o.Plans), Source: &source, AsOf: &o.AsOf,
	}
	for i, p := range o.Plans {
		data.Products[i] = toPlan(p, o.Current)
	}
	return data
}

func toVerdict(v product.Verdict, days []calendar.Date) gen.ChangeValidationData {
	data := gen.ChangeValidationData{ValidationResult: gen.ValidationResultSUCCESS, EffectiveDates: dates(days)}
	if !v.OK() {
		reason := v.FailureReason()
		data.ValidationResult, data.FailureReason = gen.ValidationResultFAILURE, &reason
	}
	for _, c := range v.Checks {
		result := gen.CheckResultPASS
		if !c.Pass {
			result = gen.CheckResultFAIL
		}
		data.ValidationDetails = append(data.ValidationDetails, gen.ValidationDetail{
			CheckType: gen.CheckType(c.Type), Result: result, Message: c.Message,
		})
	}
	return data
}

// The messages of an order that is not final. A held order waits until KOS can be reached again.
const (
	acceptedMessage = "상품 변경 요청이 접수되었습니다. 처리 결과는 조회하여 확인해주세요"
	heldMessage     = "상품 변경 요청이 접수되었습니다. " +
		"통신사 시스템 연결이 지연되고 있어 연결되는 대로 자동으로 처리됩니다"
)

func openMessage(o product.Order) string {
	if o.WaitingForKOS {
		return heldMessage
	}
	return acceptedMessage
}

// parkedEstimate is the estimated time until staff have decided on a parked order.
const parkedEstimate = 24 * time.Hour

// accepted returns the 202, which says when and where to ask again.
func accepted(r change.Result, now time.Time) gen.ChangeProduct202JSONResponse {
	o := r.Order
	wait := max(time.Second, o.NextAttemptAt.Sub(now))
	if o.State == product.Parked {
		wait = parkedEstimate
	}
	return gen.ChangeProduct202JSONResponse{
		Body: gen.ProductChangeAcceptedEnvelope{
			Success: true, Message: openMessage(o),
			Data: gen.ProductChangeAcceptedData{
				RequestID: [16]byte(o.ID), Status: gen.ProductChangeAcceptedDataStatus(o.Public()),
				ProcessStatus: gen.ProcessStatus(o.Public()), EstimatedCompletionTime: now.Add(wait),
				EstimatedSeconds: int(math.Ceil(wait.Seconds())),
				Message:          openMessage(o), EffectiveDate: new(o.EffectiveDate.String()),
			},
		},
		Headers: gen.ChangeProduct202ResponseHeaders{
			Location: "/api/v1/products/change/" + o.ID.String(), RetryAfter: min(5, int(math.Ceil(wait.Seconds()))),
			IdempotencyReplayed: r.Replayed,
		},
	}
}

func toDone(o product.Order) gen.ProductChangeData {
	plan := o.Target
	if plan.Code == "" {
		plan = product.Plan{Code: o.To, SaleUnknown: true}
	}
	return gen.ProductChangeData{
		RequestID: [16]byte(o.ID), Status: gen.ProductChangeDataStatus(o.Public()),
		ProcessStatus: gen.ProcessStatus(o.Public()),
		ResultCode:    o.ResultCode,
		ResultMessage: o.ResultMessage, ChangedProduct: toPlan(plan, nil), EffectiveDate: o.EffectiveDate.String(),
		ProcessedAt: o.ProcessedAt,
	}
}

func statusMessage(o product.Order) string {
	if o.ResultMessage != "" {
		return o.ResultMessage
	}
	return openMessage(o)
}

func toStatus(o product.Order) gen.ProductChangeStatusData {
	data := gen.ProductChangeStatusData{
		RequestID: [16]byte(o.ID), LineNumber: o.Line.Hyphenated(), Status: gen.ProcessStatus(o.Public()),
		ProcessStatus:      gen.ProcessStatus(o.Public()),
		CurrentProductCode: o.From, TargetProductCode: o.To, RequestedAt: o.RequestedAt,
		EffectiveDate: o.EffectiveDate.String(),
		ResultCode:    rest.Optional(o.ResultCode), ResultMessage: rest.Optional(o.ResultMessage),
		FailureReason: rest.Optional(o.FailureReason),
		FailureCode:   rest.FailureCode(o.FailureCode()),
	}
	if !o.ProcessedAt.IsZero() {
		data.ProcessedAt = &o.ProcessedAt
	}
	return data
}

func toFilter(p gen.ListProductHistoryParams) (product.HistoryFilter, error) {
	r, err := rest.ParsePage(p.LineNumber, p.StartDate, p.EndDate, p.Page, p.Size)
	f := product.HistoryFilter{Lines: r.Lines, From: r.From, To: r.To, Page: r.Page, Size: r.Size}
	if p.Status != nil {
		f.Status = string(*p.Status)
	}
	return f, err
}

func toHistory(rows []product.Order, page, size, total int) gen.ProductHistoryData {
	data := gen.ProductHistoryData{
		Items: make([]gen.ProductHistoryItem, len(rows)), Pagination: rest.Pagination(page, size, total),
	}
	for i, o := range rows {
		item := gen.ProductHistoryItem{
			RequestID: [16]byte(o.ID), LineNumber: o.Line.Hyphenated(), Status: gen.ProcessStatus(o.Public()),
			ProcessStatus:      gen.ProcessStatus(o.Public()),
			CurrentProductCode: o.From, CurrentProductName: rest.Optional(o.FromName), TargetProductCode: o.To,
			TargetProductName: rest.Optional(o.Target.Name),
			RequestedAt:       o.RequestedAt, ResultMessage: rest.Optional(o.ResultMessage),
			EffectiveDate: o.EffectiveDate.String(),
			FailureCode:   rest.FailureCode(o.FailureCode()), FailureReason: rest.Optional(o.FailureReason),
		}
		if !o.ProcessedAt.IsZero() {
			item.ProcessedAt = &o.ProcessedAt
		}
		data.Items[i] = item
	}
	return data
}

func dates(days []calendar.Date) []string {
	out := make([]string, len(days))
	for i, d := range days {
		out[i] = d.String()
	}
	return out
}

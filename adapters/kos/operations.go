package kos

import (
	"net/http"
	"time"

	"phonebill/adapters/kos/internal/kosgen"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
)

// allOperations lists every operation of KOS that phonebill uses, always in the same order. There is a circuit breaker,
// a probe and a latency estimate for each. docs/kos-link.md says how to add one.
func allOperations() []declared {
	return []declared{billInquiry, customerGet, productsList, productChange, productChangeStatus}
}

// billQuestion asks for the bill of one line and month on behalf of an inquiry.
type billQuestion struct {
	request id.ID
	line    line.Number
	month   calendar.Month
}

var billInquiry = &operation[billQuestion, bill.Bill]{
	traits: traits{
		name: "bill.inquiry", route: "POST /kos/bill/inquiry", compartment: billReads,
		typical: 500 * time.Millisecond, limit: 3 * time.Second, idempotent: true,
		refusals: []string{codeUnknownLine, codeNoBill, codeLineNotInUse},
	},
	request: func(origin string, q billQuestion) (*http.Request, error) {
		return kosgen.NewInquireBillRequest(origin, kosgen.BillInquiryRequest{
			RequestId: q.request.String(), LineNumber: q.line.Digits(), InquiryMonth: q.month.Compact(),
		})
	},
	subject: func(q billQuestion) line.Number { return q.line },
	decode:  func(body []byte, q billQuestion) (bill.Bill, error) { return readBill(body, q.line, q.month) },
	probe: func(o product.Order) billQuestion {
		return billQuestion{request: o.ID, line: o.Line, month: o.EffectiveDate.Month()}
	},
}

var customerGet = &operation[line.Number, product.Customer]{
	traits: traits{
		name: "customer.get", route: "GET /kos/customer/{lineNumber}", compartment: productReads,
		typical: 100 * time.Millisecond, limit: 3 * time.Second, idempotent: true,
		refusals: []string{codeUnknownLine},
	},
	request: func(origin string, n line.Number) (*http.Request, error) {
		return kosgen.NewGetCustomerRequest(origin, n.Digits())
	},
	subject: func(n line.Number) line.Number { return n },
	decode:  readCustomer,
	probe:   func(o product.Order) line.Number { return o.Line },
}

var productsList = &operation[struct{}, []product.Plan]{
	traits: traits{
		name: "products.list", route: "GET /kos/products", compartment: productReads,
		typical: 100 * time.Millisecond, limit: 3 * time.Second, idempotent: true,
		refusals: []string{}, // the question names nothing that KOS could refuse
	},
	request: func(origin string, _ struct{}) (*http.Request, error) {
		return kosgen.NewListProductsRequest(origin, nil)
	},
	subject: func(struct{}) line.Number { return line.Number{} },
	decode:  func(body []byte, _ struct{}) ([]product.Plan, error) { return readPlans(body) },
	probe:   func(product.Order) struct{} { return struct{}{} },
}

// productChange is not idempotent: what happens after a change that KOS refused unread is for its order to decide.
var productChange = &operation[product.Order, string]{
	traits: traits{
		name: "product.change", route: "POST /kos/product/change", compartment: changes,
		typical: 2 * time.Second, limit: 5 * time.Second, order: true,
		refusals: changeRefusals(),
	},
	request: func(origin string, o product.Order) (*http.Request, error) {
		return kosgen.NewChangeProductRequest(origin, kosgen.ProductChangeRequest{
			TransactionId: o.TransactionID.String(), LineNumber: o.Line.Digits(), CurrentProductCode: o.From,
			NewProductCode: o.To, EffectiveDate: o.EffectiveDate.Compact(), ChangeReason: changeReason,
		})
	},
	subject: orderSubject,
	decode: func(body []byte, o product.Order) (string, error) {
		return readChange(body, o.TransactionID.String(), o.To)
	},
	probe: func(o product.Order) product.Order { return o },
}

var productChangeStatus = &operation[product.Order, product.Answer]{
	traits: traits{
		name: "product.change.status", route: "GET /kos/product/change/{transactionId}", compartment: changes,
		typical: 100 * time.Millisecond, limit: 3 * time.Second, idempotent: true, optional: true,
		refusals: changeRefusals(),
	},
	request: func(origin string, o product.Order) (*http.Request, error) {
		return kosgen.NewGetProductChangeRequest(origin, o.TransactionID.String())
	},
	subject: orderSubject,
	decode: func(body []byte, o product.Order) (product.Answer, error) {
		return readChangeStatus(body, o.TransactionID.String())
	},
	probe: func(o product.Order) product.Order { return o },
}

// changeRefusals are all business codes except that for a missing bill.
func changeRefusals() []string {
	return []string{
		codeUnknownLine, codeLineNotInUse, codeContractTerm, codeIncompatible, codeUnpaid, codeNotOnSale,
		codeOtherOperator, codeNotCurrent, codeReused,
	}
}

func orderSubject(o product.Order) line.Number { return o.Line }

// changeReason is the text that KOS requires with every change.
const changeReason = "고객 요청"

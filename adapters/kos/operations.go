package kos

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"phonebill/adapters/kos/internal/kosgen"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

// allOperations lists every operation of KOS that phonebill uses, always in the same order. There is a circuit breaker,
// a probe and a latency estimate for each. docs/kos-link.md says how to add one.
func allOperations() []declared {
	return []declared{billInquiry, billMonths, customerGet, productsList, productChange, productChangeStatus}
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

var billMonths = &operation[line.Number, monthList]{
	traits: traits{
		name: "bill.months", route: "GET /kos/bill/available-months/{lineNumber}", compartment: billReads,
		typical: 100 * time.Millisecond, limit: 3 * time.Second, idempotent: true,
		refusals: []string{codeUnknownLine},
	},
	request: func(origin string, n line.Number) (*http.Request, error) {
		return kosgen.NewListBillMonthsRequest(origin, n.Digits())
	},
	subject: func(n line.Number) line.Number { return n },
	decode:  func(body []byte, _ line.Number) (monthList, error) { return readMonths(body) },
	probe:   func(o product.Order) line.Number { return o.Line },
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

// Operation is the name of a KOS operation in the configuration, the metrics, the call log and the simulator.
type Operation string

// operation declares one operation of KOS. In is what is asked, Out is what a good answer is converted to. Everything
// that this package knows about an operation stands in its declaration (operations.go), so that a new operation is one
// new declaration; declaration_test.go walks all of them and fails when a part is missing.
type operation[In, Out any] struct {
	traits

	// request builds the HTTP request with the generated client.
	request func(origin string, in In) (*http.Request, error)
	// subject returns the line that the call is about; the zero value when it is about none.
	subject func(in In) line.Number
	// decode converts the body of a good answer. It returns an error from unusable or mixedUp when it cannot.
	decode func(body []byte, in In) (Out, error)
	// probe returns the question that tests whether a half-open breaker may close. It must not change anything at KOS.
	probe func(probeOrder product.Order) In
}

// traits are the properties of an operation that do not depend on the types of its question and answer.
type traits struct {
	name        Operation
	route       string        // HTTP method and path, as openapi/kos.yaml and the simulator spell them
	compartment compartment   // the part of the bulkhead that a call occupies
	typical     time.Duration // how long a healthy KOS takes
	limit       time.Duration // how long one call may take while a customer waits for it
	refusals    []string      // the business result codes that make sense as an answer to this question
	order       bool          // an order of a change, which always spends of the lane quota.Change
	idempotent  bool          // the call may be repeated at once with another credential
	optional    bool          // a KOS may lack the operation, and then returns 404
}

// sufficient is two thirds of the limit: a KOS that has not answered after that is failing. A call that was given
// less time, because its customer had waited for a turn, and timed out does not count against KOS.
func (t *traits) sufficient() time.Duration { return t.limit * 2 / 3 }

// declared is an operation whose types do not matter.
type declared interface {
	properties() *traits
	sendProbe(ctx context.Context, c *Client, probeOrder product.Order)
}

func (o *operation[In, Out]) properties() *traits { return &o.traits }

// sendProbe makes the probe's call. Its outcome reaches the breaker as that of any call.
func (o *operation[In, Out]) sendProbe(ctx context.Context, c *Client, probeOrder product.Order) {
	call := ports.Call{Lane: quota.Refresh, RequestID: probeOrder.ID}
	_, _, _ = ask(ctx, c, call, o, o.probe(probeOrder))
}

// ask makes one call of the operation, and for an idempotent one a second with another credential when KOS refused the
// first. It returns the decoded answer if the outcome's verdict is answered. The error reports that no request could
// be built; then nothing was sent.
func ask[In, Out any](
	ctx context.Context, c *Client, call ports.Call, o *operation[In, Out], in In,
) (answer Out, out outcome, err error) {
	req, err := o.request(c.origin, in)
	if err != nil {
		return answer, outcome{verdict: gaveUp, cause: err}, fmt.Errorf("kos: %w", err)
	}
	if o.order && !c.probe {
		call.Lane = quota.Change
	}
	q := question{
		of: &o.traits, call: call, line: o.subject(in), http: req,
		decode: func(body []byte) (err error) {
			answer, err = o.decode(body, in)
			return err
		},
	}
	out = c.call(ctx, q)
	if out.verdict == unsupported {
		c.statusQuery.markMissing(c.deps.Now())
	}
	return answer, out, nil
}

// readOf makes one call of a reading operation and returns its answer, or the error that its port promises.
func readOf[In, Out any](
	ctx context.Context, c *Client, call ports.Call, o *operation[In, Out], in In,
) (Out, error) {
	answer, out, err := ask(ctx, c, call, o, in)
	if err != nil {
		return answer, err
	}
	return answer, out.readError()
}

var (
	_ ports.BillSource     = (*Client)(nil)
	_ ports.MonthSource    = (*Client)(nil)
	_ ports.CustomerSource = (*Client)(nil)
	_ ports.PlanSource     = (*Client)(nil)
	_ ports.PlanChanger    = (*Client)(nil)
)

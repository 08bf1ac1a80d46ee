package kossim

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Shape is an unusual form of an answer that is nevertheless valid.
type Shape string

// The shapes. Each changes only what its comment names.
const (
	MissingFields Shape = "missing_fields" // optional fields are missing: dates, fees, allowances, the amount of a charge
	Gzip          Shape = "gzip"           // the body is compressed, whatever the caller accepts
	ByteOrderMark Shape = "bom"            // a byte-order mark stands before the body
	Decimals      Shape = "decimals"       // amounts are written 74000.0
	TextAmounts   Shape = "text_amounts"   // amounts are written "74000"
	// bill.inquiry: discounts are text with commas in amounts and remarks in brackets
	TornDiscounts Shape = "torn_discounts"
	UnknownPlan   Shape = "unknown_plan"   // customer.get, bill.inquiry: the plan is one that the plan list does not have
	OtherCustomer Shape = "other_customer" // customer.get: the line belongs to another customer now
)

// The values that the shapes put into an answer.
const (
	tornDiscounts     = "가족할인 10,000원(2회선), 복지할인 5,000원"
	tornDiscounted    = 15_000 // won
	withdrawn         = "LTE-WITHDRAWN-001"
	withdrawnName     = "LTE 지난 플랜"
	withdrawnFee      = 45_000          // won a month
	otherCustomerID   = "CUST-OTHER-01" // the id of no line's customer
	otherCustomerName = "남다른"
)

// Answer gives the answers to an operation a shape, until the answers are cleared.
type Answer struct {
	Operation  Operation `json:"operation"`
	LineNumber string    `json:"lineNumber,omitempty"` // digits; empty = every line, and calls about no line
	Shape      Shape     `json:"shape"`
}

func shapes() []Shape {
	return []Shape{MissingFields, Gzip, ByteOrderMark, Decimals, TextAmounts, TornDiscounts, UnknownPlan, OtherCustomer}
}

// check returns the answer in its normal form, or an error that names the invalid field. The words of a shape may be
// separated by blanks or hyphens too.
func (a Answer) check() (Answer, error) {
	a.LineNumber = strings.ReplaceAll(a.LineNumber, "-", "")
	a.Shape = Shape(strings.NewReplacer(" ", "_", "-", "_").Replace(string(a.Shape)))
	bad := func(field string) (Answer, error) { return a, fmt.Errorf("%w: %s", ErrInvalid, field) }
	only := map[Shape][]Operation{
		TornDiscounts: {BillInquiry}, UnknownPlan: {CustomerGet, BillInquiry}, OtherCustomer: {CustomerGet},
	}[a.Shape]
	switch {
	case !isOperation(a.Operation):
		return bad("operation")
	case !slices.Contains(shapes(), a.Shape):
		return bad("shape")
	case only != nil && a.Operation != AnyOperation && !slices.Contains(only, a.Operation):
		return bad("shape: not for this operation")
	case a.LineNumber != "" && !digits.MatchString(a.LineNumber):
		return bad("lineNumber")
	}
	return a, nil
}

// AddAnswer adds a shape; the error wraps ErrInvalid and names the field.
func (s *Simulator) AddAnswer(a Answer) error {
	a, err := a.check()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.answers, a) {
		s.answers = append(s.answers, a)
	}
	return nil
}

// ClearAnswers removes all shapes.
func (s *Simulator) ClearAnswers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = nil
}

// Answers lists the shapes, oldest first.
func (s *Simulator) Answers() []Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Answer{}, s.answers...)
}

// shapesOf lists the shapes of the answer to one call. The caller holds mu.
func (s *Simulator) shapesOf(op Operation, lineNumber string) (out []Shape) {
	for _, a := range s.answers {
		if (a.Operation == AnyOperation || a.Operation == op) && (a.LineNumber == "" || a.LineNumber == lineNumber) {
			out = append(out, a.Shape)
		}
	}
	return out
}

// part is a JSON object in an answer.
type part = map[string]any

// shaped returns the data in the shapes; nil stays nil.
func shaped(data any, op Operation, shapes []Shape) any {
	if data == nil || len(shapes) == 0 {
		return data
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return data
	}
	in := json.NewDecoder(bytes.NewReader(raw))
	in.UseNumber()
	var out part
	if in.Decode(&out) != nil {
		return data
	}
	// First the content is changed, then fields are removed, then numbers are rewritten.
	for _, change := range []struct {
		shape Shape
		do    func(part, Operation)
	}{
		{TornDiscounts, discountsAsText}, {UnknownPlan, replacePlan}, {OtherCustomer, replaceCustomer},
		{MissingFields, removeFields},
	} {
		if slices.Contains(shapes, change.shape) {
			change.do(out, op)
		}
	}
	switch {
	case slices.Contains(shapes, TextAmounts):
		return rewritten(out, func(n json.Number) any { return n.String() })
	case slices.Contains(shapes, Decimals):
		return rewritten(out, func(n json.Number) any { return json.Number(n.String() + ".0") })
	}
	return out
}

// discountsAsText writes the discounts as text and computes the total from it.
func discountsAsText(data part, op Operation) {
	if op != BillInquiry {
		return
	}
	total := int64(-tornDiscounted)
	charges, _ := data["charges"].([]any)
	for _, c := range charges {
		if charge, ok := c.(part); ok {
			if n, ok := charge["amount"].(json.Number); ok {
				won, _ := n.Int64()
				total += won
			}
		}
	}
	data["discountInfo"], data["charge"] = tornDiscounts, json.Number(strconv.FormatInt(total, 10))
}

// replacePlan puts the line on a plan that the plan list does not have.
func replacePlan(data part, op Operation) {
	switch op { //nolint:exhaustive // the others name no plan of a line
	case BillInquiry:
		data["productCode"], data["productName"] = withdrawn, withdrawnName
	case CustomerGet:
		data["currentProduct"] = part{
			"productCode": withdrawn, "productName": withdrawnName, "monthlyFee": json.Number(strconv.Itoa(withdrawnFee)),
			"dataAllowance": "10GB", "networkType": "LTE", "operatorCode": operator, "status": discontinued,
		}
	}
}

// replaceCustomer gives the line to another customer.
func replaceCustomer(data part, op Operation) {
	if op == CustomerGet {
		data["customerId"], data["customerName"] = otherCustomerID, otherCustomerName
	}
}

// removeFields removes what KOS may leave out of the operation's answer.
func removeFields(data part, op Operation) {
	for _, e := range endpoints() {
		if e.name == op && e.trim != nil {
			e.trim(data)
		}
	}
}

func remove(from any, keys ...string) {
	if p, ok := from.(part); ok {
		for _, key := range keys {
			delete(p, key)
		}
	}
}

// trimBill keeps the total: without it the bill could not be shown.
func trimBill(data part) {
	remove(data, "contractMonths", "contractEnd", "estimatedCancellationFee", "deviceInstallment",
		"deviceInstallmentMonthly", "usage")
	remove(data["billingPaymentInfo"], "dueDate", "paymentMethod")
	if charges, ok := data["charges"].([]any); ok && len(charges) > 0 {
		remove(charges[0], "amount")
	}
}

func trimCustomer(data part) {
	remove(data, "customerName")
	remove(data["contract"], "contractMonths", "contractEnd", "earlyTerminationFee")
	remove(data["currentProduct"], "smsAllowance", "description", "status")
	remove(data["scheduledProduct"], "effectiveDate", "transactionId")
}

func trimProducts(data part) {
	plans, _ := data["products"].([]any)
	for i, p := range plans {
		remove(p, "smsAllowance", "description")
		if i == 0 {
			remove(p, "monthlyFee", "dataAllowance")
		}
	}
}

func trimChange(data part) {
	remove(data, "kosOrderNumber", "newProductName", "changeDate", "processResult")
}

func trimChangeStatus(data part) { remove(data, "resultCode") }

// rewritten replaces every number of an answer.
func rewritten(v any, number func(json.Number) any) any {
	switch v := v.(type) {
	case json.Number:
		return number(v)
	case part:
		for key, value := range v {
			v[key] = rewritten(value, number)
		}
	case []any:
		for i, value := range v {
			v[i] = rewritten(value, number)
		}
	}
	return v
}

// wrapped returns the body in the shapes that concern all of it.
func wrapped(h http.Header, body []byte, shapes []Shape) []byte {
	if slices.Contains(shapes, ByteOrderMark) {
		body = append([]byte("\xef\xbb\xbf"), body...)
	}
	if !slices.Contains(shapes, Gzip) {
		return body
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(body) // into memory
	_ = z.Close()
	h.Set("Content-Encoding", "gzip")
	return out.Bytes()
}

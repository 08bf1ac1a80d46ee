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

// Shape is an odd form of an answer: well-formed, and meant so by KOS.
type Shape string

// The shapes. Each leaves alone what it says nothing about.
const (
	MissingFields Shape = "missing_fields" // fields that KOS may leave out are left out: dates, fees, allowances, the amount of a charge
	Gzip          Shape = "gzip"           // the body is compressed, whatever the caller accepts
	ByteOrderMark Shape = "bom"            // a byte-order mark stands before the body
	Decimals      Shape = "decimals"       // amounts are written 74000.0
	TextAmounts   Shape = "text_amounts"   // amounts are written "74000"
	TornDiscounts Shape = "torn_discounts" // bill.inquiry: discounts are text with commas inside amounts and remarks in brackets
	UnknownPlan   Shape = "unknown_plan"   // customer.get, bill.inquiry: the plan is one that the plan list does not have
	OtherCustomer Shape = "other_customer" // customer.get: the line belongs to another customer now
)

// What the shapes put into an answer.
const (
	tornDiscounts     = "가족할인 10,000원(2회선), 복지할인 5,000원"
	tornDiscounted    = 15_000 // won
	withdrawn         = "LTE-WITHDRAWN-001"
	withdrawnName     = "LTE 지난 플랜"
	withdrawnFee      = 45_000          // won a month
	otherCustomerID   = "CUST-OTHER-01" // no line has it
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

// check takes the words of a shape with blanks or hyphens between them too.
func (a Answer) check() (Answer, error) {
	a.LineNumber = strings.ReplaceAll(a.LineNumber, "-", "")
	a.Shape = Shape(strings.NewReplacer(" ", "_", "-", "_").Replace(string(a.Shape)))
	bad := func(field string) (Answer, error) { return a, fmt.Errorf("%w: %s", ErrInvalid, field) }
	only := map[Shape][]Operation{
		TornDiscounts: {BillInquiry}, UnknownPlan: {CustomerGet, BillInquiry}, OtherCustomer: {CustomerGet},
	}[a.Shape]
	switch {
	case !slices.Contains(operations(), a.Operation):
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

// AddAnswer adds to the shapes; the error wraps ErrInvalid and names the field.
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

// ClearAnswers gives all answers their usual form back.
func (s *Simulator) ClearAnswers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = nil
}

// Answers lists the shapes, as they were added.
func (s *Simulator) Answers() []Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Answer{}, s.answers...)
}

// shapesOf lists the shapes of one call's answer. The caller holds mu.
func (s *Simulator) shapesOf(op Operation, lineNumber string) (out []Shape) {
	for _, a := range s.answers {
		if (a.Operation == AnyOperation || a.Operation == op) && (a.LineNumber == "" || a.LineNumber == lineNumber) {
			out = append(out, a.Shape)
		}
	}
	return out
}

// part is a JSON object of an answer.
type part = map[string]any

// shaped is data in the shapes; nil stays nil.
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
	// What is in the answer is changed first, then what is left out of it, then how it is written.
	for _, change := range []struct {
		shape Shape
		do    func(part, Operation)
	}{
		{TornDiscounts, tear}, {UnknownPlan, withdraw}, {OtherCustomer, hand}, {MissingFields, leaveOut},
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

// tear writes the discounts as text; the total goes by it.
func tear(data part, op Operation) {
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

// withdraw puts the line on a plan that is sold no more.
func withdraw(data part, op Operation) {
	switch op { //nolint:exhaustive // the others name no plan of a line
	case BillInquiry:
		data["productCode"], data["productName"] = withdrawn, withdrawnName
	case CustomerGet:
		data["currentProduct"] = part{
			"productCode": withdrawn, "productName": withdrawnName, "monthlyFee": json.Number(strconv.Itoa(withdrawnFee)),
			"dataAllowance": "10GB",
			"networkType":   "LTE", "operatorCode": operator, "status": discontinued,
		}
	}
}

// hand gives the line to another customer.
func hand(data part, op Operation) {
	if op == CustomerGet {
		data["customerId"], data["customerName"] = otherCustomerID, otherCustomerName
	}
}

// leaveOut drops what KOS may leave out. A bill keeps its total: without one it could not be shown.
func leaveOut(data part, op Operation) {
	drop := func(from any, keys ...string) {
		if p, ok := from.(part); ok {
			for _, key := range keys {
				delete(p, key)
			}
		}
	}
	switch op { //nolint:exhaustive // the others have nothing to leave out
	case BillInquiry:
		drop(data, "contractMonths", "contractEnd", "estimatedCancellationFee", "deviceInstallment",
			"deviceInstallmentMonthly", "usage")
		drop(data["billingPaymentInfo"], "dueDate", "paymentMethod")
		if charges, ok := data["charges"].([]any); ok && len(charges) > 0 {
			drop(charges[0], "amount")
		}
	case CustomerGet:
		drop(data, "customerName")
		drop(data["contract"], "contractMonths", "contractEnd", "earlyTerminationFee")
		drop(data["currentProduct"], "smsAllowance", "description", "status")
		drop(data["scheduledProduct"], "effectiveDate", "transactionId")
	case ProductsList:
		plans, _ := data["products"].([]any)
		for i, p := range plans {
			drop(p, "smsAllowance", "description")
			if i == 0 {
				drop(p, "monthlyFee", "dataAllowance")
			}
		}
	case ProductChange:
		drop(data, "kosOrderNumber", "newProductName", "changeDate", "processResult")
	case ProductChangeStatus:
		drop(data, "resultCode")
	}
}

// rewritten writes every number of an answer anew.
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

// wrapped is the body in the shapes that are about the whole of it.
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

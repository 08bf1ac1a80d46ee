package kossim

import (
	"net/http"
	"time"

	"phonebill/adapters/kos/internal/kosgen"
)

// Operation names an operation of KOS in the call log, in faults and in shapes.
type Operation string

// The operations; AnyOperation stands for all of them in faults and shapes.
const (
	BillInquiry         Operation = "bill.inquiry"
	BillMonths          Operation = "bill.months"
	CustomerGet         Operation = "customer.get"
	LineStatus          Operation = "line.status"
	ProductsList        Operation = "products.list"
	ProductChange       Operation = "product.change"
	ProductChangeStatus Operation = "product.change.status"
	AnyOperation        Operation = "*"
)

// endpoint declares one operation of the simulator.
type endpoint struct {
	name  Operation
	route string                                           // method and path, as openapi/kos.yaml spells them
	parse func(*Simulator, *http.Request, []byte) question // reads the request
	delay func(Delays) time.Duration                       // how long KOS takes
	trim  func(data part)                                  // removes what KOS may leave out; nil = nothing
}

// endpoints lists all operations. A test checks that each is complete and that each constant above has one.
func endpoints() []endpoint {
	billDelay := func(d Delays) time.Duration { return d.Bill }
	changeDelay := func(d Delays) time.Duration { return d.Change }
	otherDelay := func(d Delays) time.Duration { return d.Other }
	return []endpoint{
		{BillInquiry, "POST /kos/bill/inquiry", (*Simulator).askBill, billDelay, trimBill},
		{BillMonths, "GET /kos/bill/available-months/{lineNumber}", (*Simulator).askMonths, otherDelay, nil},
		{CustomerGet, "GET /kos/customer/{lineNumber}", (*Simulator).askCustomer, otherDelay, trimCustomer},
		{LineStatus, "GET /kos/line/{lineNumber}/status", (*Simulator).askLine, otherDelay, nil},
		{ProductsList, "GET /kos/products", (*Simulator).askProducts, otherDelay, trimProducts},
		{ProductChange, "POST /kos/product/change", (*Simulator).askChange, changeDelay, trimChange},
		{
			ProductChangeStatus, "GET /kos/product/change/{transactionId}", (*Simulator).askChangeStatus, otherDelay,
			trimChangeStatus,
		},
	}
}

// isOperation reports whether faults and shapes may name the operation.
func isOperation(name Operation) bool {
	for _, e := range endpoints() {
		if e.name == name {
			return true
		}
	}
	return name == AnyOperation
}

func (s *Simulator) askBill(_ *http.Request, body []byte) question {
	var in kosgen.BillInquiryRequest
	ok := whole(body, &in)
	q := question{lineNumber: cut(in.LineNumber, 11), requestID: cut(in.RequestId, 64)}
	_, err := parseMonth(in.InquiryMonth)
	if !ok || err != nil || !digits.MatchString(in.LineNumber) || !isID(in.RequestId) {
		return q
	}
	q.run = s.onLine(in.LineNumber, func(l *subscriber) reply {
		bill, found := l.bill(in.InquiryMonth, s.today())
		if !found {
			return reply{code: NoSuchBill}
		}
		return reply{code: OK, data: bill}
	})
	return q
}

func (s *Simulator) askMonths(r *http.Request, _ []byte) question {
	return s.ofLine(r, func(l *subscriber) reply {
		return reply{code: OK, data: kosgen.BillMonths{AvailableMonths: l.months(s.today())}}
	})
}

func (s *Simulator) askCustomer(r *http.Request, _ []byte) question {
	return s.ofLine(r, func(l *subscriber) reply { return reply{code: OK, data: l.customer(s.today())} })
}

func (s *Simulator) askLine(r *http.Request, _ []byte) question {
	return s.ofLine(r, func(l *subscriber) reply {
		return reply{code: OK, data: kosgen.LineStatus{LineStatus: l.status()}}
	})
}

func (s *Simulator) askProducts(r *http.Request, _ []byte) question {
	wanted := r.URL.Query().Get("operatorCode")
	return question{run: func() reply {
		out := kosgen.Products{Products: []kosgen.Product{}}
		for _, p := range catalogue() {
			if wanted == "" || wanted == p.operatorCode {
				out.Products = append(out.Products, p.wire())
			}
		}
		return reply{code: OK, data: out}
	}}
}

func (s *Simulator) askChange(_ *http.Request, body []byte) question {
	var in kosgen.ProductChangeRequest
	ok := whole(body, &in)
	q := question{lineNumber: cut(in.LineNumber, 11), transactionID: cut(in.TransactionId, 64), order: orderOf(in)}
	_, err := parseDay(in.EffectiveDate)
	plans := in.CurrentProductCode != "" && in.NewProductCode != ""
	if ok && err == nil && plans && isID(in.TransactionId) && digits.MatchString(in.LineNumber) {
		q.run = func() reply { return s.change(q.order) }
	}
	return q
}

func (s *Simulator) askChangeStatus(r *http.Request, _ []byte) question {
	id := r.PathValue("transactionId")
	q := question{transactionID: cut(id, 64)}
	if isID(id) {
		q.run = func() reply { return s.changeStatus(id) }
	}
	return q
}

// ofLine parses a call that names its line in the path.
func (s *Simulator) ofLine(r *http.Request, run func(*subscriber) reply) question {
	number := r.PathValue("lineNumber")
	q := question{lineNumber: cut(number, 11)}
	if digits.MatchString(number) {
		q.run = s.onLine(number, run)
	}
	return q
}

// onLine returns a function that runs on a known line. The function is called with mu held.
func (s *Simulator) onLine(number string, run func(*subscriber) reply) func() reply {
	return func() reply {
		l := s.lines[number]
		if l == nil {
			return reply{code: UnknownLine}
		}
		return run(l)
	}
}

func isID(s string) bool { return s != "" && len(s) <= 64 }

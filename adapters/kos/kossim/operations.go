package kossim

import (
	"net/http"

	"phonebill/adapters/kos/internal/kosgen"
)

func (s *Simulator) askBill(_ *http.Request, body []byte) question {
	var in kosgen.BillInquiryRequest
	ok := whole(body, &in)
	q := question{lineNumber: cut(in.LineNumber, 11), requestID: cut(in.RequestId, 64)}
	if _, err := parseMonth(in.InquiryMonth); !ok || err != nil || !digits.MatchString(in.LineNumber) || !isID(in.RequestId) {
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
	return s.ofLine(r, func(l *subscriber) reply { return reply{code: OK, data: kosgen.LineStatus{LineStatus: l.status()}} })
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

// ofLine reads a call that names its line in the path.
func (s *Simulator) ofLine(r *http.Request, run func(*subscriber) reply) question {
	number := r.PathValue("lineNumber")
	q := question{lineNumber: cut(number, 11)}
	if digits.MatchString(number) {
		q.run = s.onLine(number, run)
	}
	return q
}

// onLine runs on a known line; it is called with mu held.
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

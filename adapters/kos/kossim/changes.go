package kossim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"phonebill/adapters/kos/internal/kosgen"
	"phonebill/core/calendar"
)

var errMalformed = errors.New("kossim: malformed")

// The states of a change (R-KOS-STATUS).
const (
	stateReceived = "RECEIVED"
	stateApplied  = "APPLIED"
	stateRefused  = "REFUSED"
)

// order is what the caller asked for; equal orders are the same payload.
type order struct {
	TransactionID string `json:"transactionId"`
	LineNumber    string `json:"lineNumber"`
	From          string `json:"from"`
	To            string `json:"to"`
	EffectiveDate string `json:"effectiveDate"` // yyyyMMdd
	Reason        string `json:"reason"`
}

// change is an order that KOS took, and what became of it. Once final it never changes.
type change struct {
	order
	State     string    `json:"state"`
	Code      string    `json:"code,omitempty"`
	Number    string    `json:"number,omitempty"`
	DecidedAt time.Time `json:"decidedAt,omitzero"` // KOS clock
	DueAt     time.Time `json:"dueAt,omitzero"`     // wall clock, only while RECEIVED
	day       calendar.Date
	effective calendar.Date
	stop      func() // stops the timer while RECEIVED
}

// LedgerRow is one accepted change. The ledger only grows (but for Reset).
type LedgerRow struct {
	TransactionID string    `json:"transactionId"`
	LineNumber    string    `json:"lineNumber"`
	From          string    `json:"from"`
	To            string    `json:"to"`
	EffectiveDate string    `json:"effectiveDate"` // yyyyMMdd
	AppliedAt     time.Time `json:"appliedAt"`     // when KOS accepted it, KOS clock, UTC
}

func orderOf(in kosgen.ProductChangeRequest) order {
	return order{in.TransactionId, in.LineNumber, in.CurrentProductCode, in.NewProductCode, in.EffectiveDate, in.ChangeReason}
}

// change decides an order, or repeats its first answer. The caller holds mu.
func (s *Simulator) change(o order) reply {
	if known, ok := s.changes[o.TransactionID]; ok {
		if known.order != o || known.State == stateReceived {
			return reply{code: TransactionReused}
		}
		return known.reply()
	}
	return s.decide(o).reply()
}

// reserve takes the transaction id now and decides after lateness has passed (mode apply_late). The caller holds mu.
func (s *Simulator) reserve(o order, lateness time.Duration) {
	if _, ok := s.changes[o.TransactionID]; ok {
		return
	}
	c := &change{order: o, State: stateReceived, DueAt: s.opts.Clock().Add(lateness)}
	s.keep(c)
	s.arm(c)
}

// arm decides a reserved change when it is due. The caller holds mu.
func (s *Simulator) arm(c *change) {
	timer := time.AfterFunc(c.DueAt.Sub(s.opts.Clock()), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.isClosed() || s.changes[c.TransactionID] != c { // closed, or reset meanwhile
			return
		}
		s.decide(c.order)
	})
	c.stop = func() { timer.Stop() }
}

// decide accepts or refuses an order for good and writes it down. The caller holds mu.
func (s *Simulator) decide(o order) *change {
	now := s.now()
	c := &change{order: o, State: stateRefused, Code: s.judge(o, calendar.DateOf(now)), DecidedAt: now.UTC()}
	if c.Code == OK {
		c.State = stateApplied
		c.Number = fmt.Sprintf("KOS%s%06d", calendar.DateOf(now).Compact(), len(s.ledger)+1)
	}
	s.keep(c)
	return c
}

// keep writes a change to the journal and applies it to the state. The caller holds mu.
func (s *Simulator) keep(c *change) {
	s.journal.Append(record{Change: c})
	s.restore(c)
}

// restore applies a change to the state, also when the journal is read again. The caller holds mu.
func (s *Simulator) restore(c *change) {
	s.changes[c.TransactionID] = c
	if c.State != stateApplied {
		return
	}
	c.day = calendar.DateOf(c.DecidedAt)
	c.effective, _ = parseDay(c.EffectiveDate) // judged before it was accepted
	l := s.lines[c.LineNumber]
	l.accepted = append(l.accepted, c)
	s.ledger = append(s.ledger, LedgerRow{c.TransactionID, c.LineNumber, c.From, c.To, c.EffectiveDate, c.DecidedAt})
}

// judge names the result code for an order: the line first, then the plan, then the customer. The caller holds mu.
func (s *Simulator) judge(o order, today calendar.Date) string {
	l, ok := s.lines[o.LineNumber]
	if !ok {
		return UnknownLine
	}
	to, known := planOf(o.To)
	current, _ := l.planOn(today)
	switch {
	case l.scenario == Suspended:
		return LineNotInUse
	case current != o.From && (o.From != withdrawn || !slices.Contains(s.shapesOf(CustomerGet, o.LineNumber), UnknownPlan)):
		return NotCurrentPlan
	case !known || to.status != onSale:
		return PlanNotOnSale
	case to.operatorCode != operator:
		return OtherOperatorsPlan
	case o.To == o.From:
		return Malformed
	case l.scenario == OldDevice && to.network == "5G":
		return NotCompatible
	case l.scenario == NoBill:
		return InContractTerm
	case l.scenario == Unpaid:
		return UnpaidBalance
	}
	return OK
}

// reply is the answer to the change, the same every time.
func (c *change) reply() reply {
	if c.State != stateApplied {
		return reply{code: c.Code}
	}
	p, _ := planOf(c.To) // judged before it was accepted
	day, result := c.day.Compact(), "정상"
	return reply{code: OK, data: kosgen.ProductChange{
		TransactionId: c.TransactionID, KosOrderNumber: c.Number, NewProductCode: c.To, NewProductName: &p.name,
		ChangeDate: &day, EffectiveDate: c.EffectiveDate, ProcessResult: &result,
	}}
}

// changeStatus answers what became of a transaction. The caller holds mu.
func (s *Simulator) changeStatus(transactionID string) reply {
	if !s.statusQuery {
		return reply{code: Malformed, status: 404, message: "지원하지 않는 기능입니다"}
	}
	c, ok := s.changes[transactionID]
	if !ok {
		return reply{code: OK, message: "접수되지 않은 거래입니다"}
	}
	out := kosgen.ProductChangeStatus{TransactionId: transactionID, State: c.State}
	if c.State != stateReceived {
		out.ResultCode = &c.Code
	}
	return reply{code: OK, data: out}
}

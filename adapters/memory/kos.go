package memory

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"phonebill/core/audit"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

// KOS implements ports.BillSource, MonthSource, CustomerSource, PlanSource and PlanChanger from the given data. Down
// makes every call fail with that error; a test that wants finer faults embeds KOS and overrides one method.
type KOS struct {
	mu        sync.Mutex
	customers map[line.Number]product.Customer
	plans     []product.Plan
	bills     map[line.Number]bill.Bill
	months    map[line.Number][]calendar.Month
	ledger    map[id.ID]product.Order // applied changes by transaction id
	Down      error
	Calls     int // made so far; read it when nothing runs any more
}

// NewKOS returns a KOS that sells the plans.
func NewKOS(plans ...product.Plan) *KOS {
	return &KOS{
		customers: map[line.Number]product.Customer{}, plans: plans, bills: map[line.Number]bill.Bill{},
		ledger: map[id.ID]product.Order{},
	}
}

// SetDown makes every later call fail with err, or work again when err is nil.
func (k *KOS) SetDown(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.Down = err
}

// AddCustomer makes a line known; b is its bill for every month, nil for none.
func (k *KOS) AddCustomer(c product.Customer, b *bill.Bill) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.customers[c.Line] = c
	if b != nil {
		k.bills[c.Line] = *b
	}
}

// SetMonths sets the months of a line that have a bill.
func (k *KOS) SetMonths(n line.Number, months ...calendar.Month) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.months == nil {
		k.months = map[line.Number][]calendar.Month{}
	}
	k.months[n] = months
}

// Months returns the months that were set for the line.
func (k *KOS) Months(_ context.Context, _ ports.Call, n line.Number) ([]calendar.Month, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.call(); err != nil {
		return nil, err
	}
	if _, ok := k.customers[n]; !ok {
		return nil, fault.New(fault.LineNotFound)
	}
	return slices.Clone(k.months[n]), nil
}

func (k *KOS) call() error {
	k.Calls++
	return k.Down
}

// Bill returns the line's bill with the month asked for.
func (k *KOS) Bill(_ context.Context, _ ports.Call, n line.Number, m calendar.Month) (bill.Bill, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.call(); err != nil {
		return bill.Bill{}, err
	}
	if _, ok := k.customers[n]; !ok {
		return bill.Bill{}, fault.New(fault.LineNotFound)
	}
	b, ok := k.bills[n]
	if !ok {
		return bill.Bill{}, fault.New(fault.BillNotFound)
	}
	b.Line, b.Month = n, m
	return b, nil
}

// Customer returns the line's customer.
func (k *KOS) Customer(_ context.Context, call ports.Call, n line.Number) (product.Customer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.call()
	if !errors.Is(err, ports.ErrNotAsked) {
		call.Sent()
	}
	if err != nil {
		return product.Customer{}, err
	}
	c, ok := k.customers[n]
	if !ok {
		return product.Customer{}, fault.New(fault.LineNotFound)
	}
	return c, nil
}

// Plans returns the plan list.
func (k *KOS) Plans(context.Context, ports.Call) ([]product.Plan, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.plans, k.call()
}

// Change applies the order once per transaction id.
func (k *KOS) Change(_ context.Context, _ ports.Call, o product.Order) product.Answer {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.call() != nil {
		return product.Answer{Kind: product.AnswerUnknown}
	}
	if _, ok := k.ledger[o.TransactionID]; !ok {
		k.ledger[o.TransactionID] = o
		c := k.customers[o.Line]
		c.Scheduled = &product.Scheduled{PlanCode: o.To, EffectiveDate: o.EffectiveDate, TransactionID: o.TransactionID}
		k.customers[o.Line] = c
	}
	return product.Answer{Kind: product.AnswerAccepted, Code: "0000", KOSOrder: "KOS-" + o.TransactionID.String()[:8]}
}

// AskStatus reports whether the transaction was applied.
func (k *KOS) AskStatus(_ context.Context, _ ports.Call, o product.Order) product.Answer {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.call() != nil {
		return product.Answer{Kind: product.AnswerUnknown}
	}
	if _, ok := k.ledger[o.TransactionID]; !ok {
		return product.Answer{Kind: product.AnswerAbsent}
	}
	return product.Answer{Kind: product.AnswerAccepted, Code: "0000"}
}

// Applied returns how many changes were applied in all.
func (k *KOS) Applied() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.ledger)
}

// Quota implements ports.Quota for one process; it is also what bounds a service whose ledger is its own.
type Quota struct {
	Window  quota.Window
	Now     ports.Clock
	mu      sync.Mutex
	spent   []quota.Spent
	squeeze quota.Squeeze
}

// Take spends one call of the lane.
func (q *Quota) Take(_ context.Context, lane quota.Lane) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.Now()
	ok, wait := q.squeeze.In(q.Window, now).Admit(q.spent, lane, now)
	if !ok {
		return fault.New(fault.ServiceUnavailable).RetryIn(wait).Because(ports.ErrNotAsked)
	}
	q.spent = append(q.spent, quota.Spent{At: now, Lane: lane})
	return nil
}

// OverSpent shrinks the budget.
func (q *Quota) OverSpent(_ context.Context, retryAfter time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.squeeze = q.squeeze.After(q.Window, q.Now(), retryAfter)
	return nil
}

// Spent returns how many calls each lane has spent in all.
func (q *Quota) Spent() quota.Shares {
	q.mu.Lock()
	defer q.mu.Unlock()
	var n quota.Shares
	for _, s := range q.spent {
		n[s.Lane]++
	}
	return n
}

// CallLog implements ports.CallLog.
type CallLog struct {
	mu    sync.Mutex
	calls []audit.Call
}

// Append stores one call.
func (l *CallLog) Append(_ context.Context, c audit.Call) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.ContainsFunc(l.calls, func(held audit.Call) bool { return held.ID == c.ID }) {
		l.calls = append(l.calls, c)
	}
	return nil
}

// Calls returns a copy of everything appended, oldest first.
func (l *CallLog) Calls() []audit.Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]audit.Call(nil), l.calls...)
}

// Publisher implements ports.Publisher: it stores what was published and returns the outcomes of Next in turn, or
// Accepted once Next is used up. ReadyFor is how many attempts it is ready for; nil = for all.
type Publisher[T any] struct {
	mu        sync.Mutex
	published []delivery.Item[T]
	Next      []delivery.Attempt
	ReadyFor  *int
}

// Ready returns n, or ReadyFor if that is less.
func (p *Publisher[T]) Ready(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ReadyFor != nil {
		return min(n, *p.ReadyFor)
	}
	return n
}

// Publish remembers the item.
func (p *Publisher[T]) Publish(_ context.Context, i delivery.Item[T]) delivery.Attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.published = append(p.published, i)
	if len(p.Next) == 0 {
		return delivery.Attempt{Outcome: delivery.Accepted}
	}
	next := p.Next[0]
	p.Next = p.Next[1:]
	return next
}

// Published returns a copy of all attempts, oldest first.
func (p *Publisher[T]) Published() []delivery.Item[T] {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]delivery.Item[T](nil), p.published...)
}

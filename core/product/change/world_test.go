package change_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/holder"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/freshness/copies"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/product/catalog"
	"phonebill/core/product/change"
	"phonebill/core/quota"
	"phonebill/core/request"
	"phonebill/ports"
)

var errBackend = errors.New("backend is in trouble")

// kos takes a while for each call and lets a test take a change or a question over.
type kos struct {
	*memory.KOS
	mu       sync.Mutex
	takes    time.Duration
	onChange func(ctx context.Context, call ports.Call, o product.Order) product.Answer // nil = the memory KOS
	onAsk    func(ctx context.Context, call ports.Call, o product.Order) product.Answer
	onLook   func(ctx context.Context, n line.Number) error // before a question about a customer is answered
	sent     []product.Order
	attempts []int // of sent, as the call log gets them
	asked    []time.Time
	budget   *memory.Quota // nil = as many calls as one likes
}

// spend takes a call of the budget.
func (k *kos) spend(ctx context.Context) error {
	if k.budget == nil {
		return nil
	}
	err := k.budget.Take(ctx, quota.Change)
	if err == nil {
		return nil
	}
	return fault.New(fault.ServiceUnavailable).RetryIn(fault.From(err).RetryAfter()).
		Because(errors.Join(err, ports.NotAskedError("QUOTA")))
}

func (k *kos) Plans(ctx context.Context, call ports.Call) ([]product.Plan, error) {
	if err := k.spend(ctx); err != nil {
		return nil, err
	}
	return k.KOS.Plans(ctx, call)
}

func (k *kos) pause(ctx context.Context) error {
	k.mu.Lock()
	takes := k.takes
	k.mu.Unlock()
	select {
	case <-time.After(takes):
		return nil
	case <-ctx.Done():
		return fault.New(fault.ServiceUnavailable).Because(ctx.Err())
	}
}

func (k *kos) slow(takes time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.takes = takes
}

func (k *kos) Customer(ctx context.Context, call ports.Call, n line.Number) (product.Customer, error) {
	if err := k.spend(ctx); err != nil {
		return product.Customer{}, err
	}
	if err := k.pause(ctx); err != nil {
		return product.Customer{}, err
	}
	k.mu.Lock()
	f := k.onLook
	k.mu.Unlock()
	if f != nil {
		if err := f(ctx, n); err != nil {
			return product.Customer{}, err
		}
	}
	return k.KOS.Customer(ctx, call, n)
}

func (k *kos) Change(ctx context.Context, call ports.Call, o product.Order) product.Answer {
	if err := k.spend(ctx); err != nil {
		return product.Answer{
			Kind: product.AnswerNotSent, RetryAfter: fault.From(err).RetryAfter(), Why: ports.NotAskedReason(err),
		}
	}
	k.mu.Lock()
	k.sent = append(k.sent, o)
	k.attempts = append(k.attempts, call.Attempt)
	f := k.onChange
	k.mu.Unlock()
	if f != nil {
		return f(ctx, call, o)
	}
	return k.KOS.Change(ctx, call, o)
}

func (k *kos) AskStatus(ctx context.Context, call ports.Call, o product.Order) product.Answer {
	if err := k.spend(ctx); err != nil {
		return product.Answer{
			Kind: product.AnswerNotSent, RetryAfter: fault.From(err).RetryAfter(), Why: ports.NotAskedReason(err),
		}
	}
	k.mu.Lock()
	k.asked = append(k.asked, time.Now())
	f := k.onAsk
	k.mu.Unlock()
	if f != nil {
		return f(ctx, call, o)
	}
	return k.KOS.AskStatus(ctx, call, o)
}

// then makes KOS answer changes by f, once; later ones as usual.
func (k *kos) then(f func(ctx context.Context, call ports.Call, o product.Order) product.Answer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.onChange = func(ctx context.Context, call ports.Call, o product.Order) product.Answer {
		k.mu.Lock()
		k.onChange = nil
		k.mu.Unlock()
		return f(ctx, call, o)
	}
}

func (k *kos) wire() []product.Order {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]product.Order(nil), k.sent...)
}

// dropReply applies the change and loses the answer.
func (k *kos) dropReply(ctx context.Context, _ ports.Call, o product.Order) product.Answer {
	k.KOS.Change(ctx, ports.Call{}, o)
	<-ctx.Done()
	return product.Answer{Kind: product.AnswerUnknown}
}

func lost(ctx context.Context, _ ports.Call, _ product.Order) product.Answer {
	<-ctx.Done()
	return product.Answer{Kind: product.AnswerUnknown}
}

type orders struct {
	memory.Orders
	mu          sync.Mutex
	add, claim  error
	live        error
	beforeSave  func(product.Order) error
	savedStates []product.State
}

func (s *orders) Add(ctx context.Context, o product.Order, u request.KeyUse) error {
	if s.add != nil {
		return s.add
	}
	return s.Orders.Add(ctx, o, u)
}

func (s *orders) Live(ctx context.Context, n line.Number) (product.Order, error) {
	if s.live != nil {
		return product.Order{}, s.live
	}
	return s.Orders.Live(ctx, n)
}

func (s *orders) Save(ctx context.Context, o product.Order, at time.Time) (product.Order, error) {
	s.mu.Lock()
	before := s.beforeSave
	s.mu.Unlock()
	if before != nil {
		if err := before(o); err != nil {
			return o, err
		}
	}
	o, err := s.Orders.Save(ctx, o, at)
	if err == nil {
		s.mu.Lock()
		s.savedStates = append(s.savedStates, o.State)
		s.mu.Unlock()
	}
	return o, err
}

func (s *orders) Claim(
	ctx context.Context, q product.Queue, now time.Time, lease time.Duration, n int,
) ([]product.Order, error) {
	if s.claim != nil {
		return nil, s.claim
	}
	return s.Orders.Claim(ctx, q, now, lease, n)
}

type epochs struct {
	memory.Epochs
	broken error
	raised func()
}

func (e *epochs) Raise(ctx context.Context, n line.Number, at time.Time) error {
	if e.raised != nil {
		e.raised()
	}
	if e.broken != nil {
		return e.broken
	}
	return e.Epochs.Raise(ctx, n, at)
}

type world struct {
	*change.Service
	kos    *kos
	orders *orders
	epochs *epochs
	me     auth.Principal
	line   line.Number

	allowed  quota.Allowance // set before service
	bindings memory.Bindings
	alerts   memory.Alerts
}

func number(t require.TestingT, s string) line.Number {
	n, err := line.Parse(s)
	require.NoError(t, err)
	return n
}

func newID() id.ID { return id.ID(uuid.Must(uuid.NewV7())) }

// newWorld belongs into a synctest bubble: its clock is the bubble's.
func newWorld(t require.TestingT) *world {
	n := number(t, "01012345678")
	w := &world{
		orders: &orders{}, epochs: &epochs{}, line: n, me: auth.Principal{
			UserID: "hong", CustomerID: "C1", Lines: []line.Number{n},
		},
		kos: &kos{takes: 100 * time.Millisecond, KOS: memory.NewKOS(
			product.Plan{Code: "LTE", Name: "LTE 플랜", OnSale: true, OperatorCode: "MVNO"},
			product.Plan{Code: "5G", Name: "5G 플랜", OnSale: true, OperatorCode: "MVNO"},
			product.Plan{Code: "5G-S", OnSale: true, OperatorCode: "MVNO"},
			product.Plan{Code: "3G", OperatorCode: "MVNO"}, product.Plan{Code: "ELSE", OnSale: true, OperatorCode: "OTHER"},
		)},
	}
	w.customer(func(*product.Customer) {})
	w.Service = w.service()
	return w
}

// service is another process on the same stores.
func (w *world) service() *change.Service {
	least := func() float64 { return 0 }
	allowances := memory.NewAllowances(w.allowed, time.Now)
	customers, plans := &memory.Customers{Epochs: w.epochs}, &memory.Plans{}
	known := catalog.Facts{
		KOS: w.kos, Policy: copies.Policy{Lane: quota.Change, Timeout: 3 * time.Second, Attempts: 1, RefreshAhead: true},
		OfCustomers: freshness.Customer, OfStatus: freshness.Status, OfPlans: freshness.PlanList,
		NoteActiveLine: func(line.Number) {}, Customers: customers, Plans: plans, Now: time.Now,
		CustomerCopies: &copies.Copies[product.CustomerCopy]{
			Flights: memory.NewFlights(time.Now), Allowances: allowances, Now: time.Now, Random: least,
		},
		PlanCopies: &copies.Copies[product.PlansCopy]{
			Flights: memory.NewFlights(time.Now), Allowances: allowances, Now: time.Now, Random: least,
		},
	}
	inBackground := known
	inBackground.Policy.Timeout = 10 * time.Second
	return &change.Service{
		FactsForPreview: &known, FactsForOrder: &known, FactsInBackground: &inBackground, KOS: w.kos, Orders: w.orders,
		Epochs: w.epochs,
		Policy: product.DefaultPolicy(),
		Holders: &holder.Service{
			Stored: customers.Latest, Fresh: freshness.Customer.Soft, Bindings: &w.bindings, Alerts: &w.alerts,
			Vault: memory.Vault{},
			Now:   time.Now,
		},
		Allowances: allowances, Limits: change.DefaultLimits(),
		Now: time.Now, NewID: newID, Report: func(context.Context, error) {},
	}
}

func (w *world) customer(edit func(*product.Customer)) {
	c := product.Customer{
		Line: w.line, CustomerID: "C1", PlanCode: "LTE", OperatorCode: "MVNO", LineStatus: product.LineActive,
	}
	edit(&c)
	w.kos.AddCustomer(c, nil)
}

func (w *world) command(to string) change.Command {
	return change.Command{Line: w.line, From: "LTE", To: to}
}

func (w *world) read(t *testing.T, order id.ID) product.Order {
	t.Helper()
	o, err := w.orders.Get(t.Context(), order)
	require.NoError(t, err)
	return o
}

// addLine makes KOS know an active line with the plan LTE.
func (w *world) addLine(n line.Number) {
	w.kos.AddCustomer(product.Customer{
		Line: n, PlanCode: "LTE", OperatorCode: "MVNO", LineStatus: product.LineActive,
	}, nil)
}

// work runs the worker's steps for a while, each second, and returns the errors it met.
func (w *world) work(ctx context.Context, d time.Duration) []error {
	return w.every(ctx, time.Second, d)
}

func (w *world) every(ctx context.Context, gap, d time.Duration) (errs []error) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(gap) {
		if _, err := w.Step(ctx, 10); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

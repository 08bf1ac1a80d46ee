package inquiry_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/holder"
	"phonebill/core/bill"
	"phonebill/core/bill/inquiry"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/freshness/copies"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/product/catalog"
	"phonebill/core/quota"
	"phonebill/ports"
)

var errBackend = errors.New("backend is in trouble")

func notAsked() error {
	return fault.New(fault.ServiceUnavailable).RetryIn(20 * time.Second).Because(ports.ErrNotAsked)
}

func broken() error { return fault.New(fault.ServiceUnavailable).RetryIn(7 * time.Second) }

// source is a KOS that takes a while for each call, then fails as the script says; an empty script answers.
type source struct {
	*memory.KOS
	mu     sync.Mutex
	takes  time.Duration
	script []error
	asked  []time.Time

	named    int   // calls for a customer
	nameless error // what those err with

	monthsAsked  int
	monthsTakes  time.Duration
	monthsSilent error // what Months errs with
}

func (s *source) Months(ctx context.Context, call ports.Call, n line.Number) ([]calendar.Month, error) {
	s.mu.Lock()
	s.monthsAsked++
	takes, silent := s.monthsTakes, s.monthsSilent
	s.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, fault.New(fault.ServiceUnavailable).Because(errors.Join(ports.ErrNoAnswer, ctx.Err()))
	}
	if silent != nil {
		return nil, silent
	}
	return s.KOS.Months(ctx, call, n)
}

func (s *source) Bill(ctx context.Context, call ports.Call, n line.Number, m calendar.Month) (bill.Bill, error) {
	s.mu.Lock()
	s.asked = append(s.asked, time.Now())
	takes := s.takes
	var err error
	if len(s.script) > 0 {
		err, s.script = s.script[0], s.script[1:]
	}
	s.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return bill.Bill{}, fault.New(fault.ServiceUnavailable).Because(errors.Join(ports.ErrNoAnswer, ctx.Err()))
	}
	if err != nil {
		return bill.Bill{}, err
	}
	return s.KOS.Bill(ctx, call, n, m)
}

func (s *source) set(takes time.Duration, script ...error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes, s.script = takes, script
}

func (s *source) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

type bills struct {
	memory.Bills
	latest, put, version error
	hiccups              atomic.Int32 // so often Latest fails
	reads                atomic.Int32 // of the newest copy
	doubts               map[id.ID]bill.Trust
}

func (b *bills) Latest(ctx context.Context, n line.Number, m calendar.Month) (bill.Copy, error) {
	b.reads.Add(1)
	if b.latest != nil {
		return bill.Copy{}, b.latest
	}
	if ctx.Err() != nil {
		return bill.Copy{}, ctx.Err()
	}
	if b.hiccups.Add(-1) >= 0 {
		return bill.Copy{}, errBackend
	}
	return b.doubted(b.Bills.Latest(ctx, n, m))
}

func (b *bills) LatestCommitted(ctx context.Context, n line.Number, m calendar.Month) (bill.Copy, error) {
	return b.Latest(ctx, n, m)
}

// doubt changes how far the version is trusted.
func (b *bills) doubt(version id.ID, trust bill.Trust) {
	b.doubts = map[id.ID]bill.Trust{version: trust}
}

func (b *bills) doubted(c bill.Copy, err error) (bill.Copy, error) {
	if trust, ok := b.doubts[c.Version]; ok && err == nil {
		c.Trust = trust
	}
	return c, err
}

func (b *bills) Put(ctx context.Context, c bill.Copy) error {
	if b.put != nil {
		return b.put
	}
	return b.Bills.Put(ctx, c)
}

func (b *bills) Version(ctx context.Context, n line.Number, m calendar.Month, v id.ID) (bill.Copy, error) {
	if b.version != nil {
		return bill.Copy{}, b.version
	}
	return b.doubted(b.Bills.Version(ctx, n, m, v))
}

type inquiries struct {
	memory.Inquiries
	add, save, claim error
	get, final       error // final: what Add of a final inquiry errs with
	unqueued         error // what Add of an unfinished inquiry errs with
	ghosts           bool  // it is stored all the same
	beforeSave       func()
	saves            time.Time // before it Save errs
}

func (q *inquiries) Add(ctx context.Context, i bill.Inquiry) error {
	if q.unqueued != nil && i.Status == bill.Processing {
		if q.ghosts {
			return errors.Join(q.unqueued, q.Inquiries.Add(ctx, i))
		}
		return q.unqueued
	}
	if q.final != nil && i.Status.Final() {
		return q.final
	}
	return errors.Join(q.add, q.Inquiries.Add(ctx, i))
}

func (q *inquiries) Get(ctx context.Context, inquiry id.ID) (bill.Inquiry, error) {
	if q.get != nil {
		return bill.Inquiry{}, q.get
	}
	return q.Inquiries.Get(ctx, inquiry)
}

func (q *inquiries) Save(ctx context.Context, i bill.Inquiry) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if q.beforeSave != nil {
		q.beforeSave()
	}
	if q.save != nil {
		return q.save
	}
	if time.Now().Before(q.saves) {
		return errBackend
	}
	return q.Inquiries.Save(ctx, i)
}

func (q *inquiries) Claim(ctx context.Context, now time.Time, lease time.Duration, n int) ([]bill.Inquiry, error) {
	if q.claim != nil {
		return nil, q.claim
	}
	return q.Inquiries.Claim(ctx, now, lease, n)
}

type world struct {
	*inquiry.Service
	source    *source
	bills     *bills
	inquiries *inquiries
	keys      keys
	me        auth.Principal
	line      line.Number
	reported  []error
	bindings  *memory.Bindings
	alerts    *memory.Alerts
	mu        sync.Mutex
	seen      []line.Number
}

func (w *world) see(n line.Number) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, n)
}

func number(t *testing.T, s string) line.Number {
	t.Helper()
	n, err := line.Parse(s)
	require.NoError(t, err)
	return n
}

// newWorld belongs into a synctest bubble: its clock is the bubble's.
func newWorld(t *testing.T) *world {
	t.Helper()
	n := number(t, "01012345678")
	w := &world{
		source: &source{KOS: memory.NewKOS(), takes: 500 * time.Millisecond}, bills: &bills{},
		inquiries: &inquiries{}, line: n,
		me: auth.Principal{UserID: "hong", CustomerID: "C1", Lines: []line.Number{n, number(t, "01012345679")}},
	}
	w.inquiries.Bills = &w.bills.Bills
	w.source.AddCustomer(product.Customer{Line: n, CustomerID: "C1"}, &bill.Bill{
		ProductName: "5G 프리미엄 플랜", Total: 89000,
	})
	w.source.AddCustomer(product.Customer{Line: number(t, "01012345679"), CustomerID: "C1"}, nil)
	months := &memory.BillMonths{}
	flights := memory.NewFlights(time.Now)
	w.Service = &inquiry.Service{
		Holders: w.holders(t),
		Source:  w.source, Lane: quota.Read, Bills: w.bills, NoteActiveLine: w.see,
		Copies: &copies.Copies[bill.Copy]{
			Flights: memory.NewFlights(time.Now), Allowances: memory.NewAllowances(nil, time.Now), Now: time.Now,
			Random: func() float64 { return 0 },
		},
		Inquiries: w.inquiries, Keys: &w.keys, Limits: inquiry.DefaultLimits(), Fresh: freshness.Bill, Now: time.Now,
		Months: &inquiry.Months{
			Source: w.source, Stored: months, Flights: flights, Fresh: freshness.MonthList, Now: time.Now,
			Copies: &copies.Copies[bill.MonthsCopy]{
				Flights: flights, Allowances: memory.NewAllowances(nil, time.Now), Now: time.Now,
				Random: func() float64 { return 0 },
			},
		},
		NewID:  func() id.ID { return id.ID(uuid.Must(uuid.NewV7())) },
		Report: func(_ context.Context, err error) { w.reported = append(w.reported, err) },
	}
	w.Months.Holders, w.Months.FindHolder = w.Holders, w.Holders.Find
	return w
}

// holders ask the KOS of the test for a line's customer at most once in four hours, in 100 ms.
func (w *world) holders(t *testing.T) *holder.Service {
	t.Helper()
	customers := &memory.Customers{Epochs: &memory.Epochs{}}
	known := &catalog.Facts{
		KOS: quick{w.source}, OfCustomers: freshness.Customer, NoteActiveLine: func(line.Number) {},
		Policy:    copies.Policy{Lane: quota.Read, Timeout: 10 * time.Second, Attempts: 1, RefreshAhead: true},
		Customers: customers, Now: time.Now,
		CustomerCopies: &copies.Copies[product.CustomerCopy]{
			Flights: memory.NewFlights(time.Now), Now: time.Now, Random: func() float64 { return 0 },
		},
	}
	t.Cleanup(known.CustomerCopies.Wait) // in the bubble
	w.bindings, w.alerts = &memory.Bindings{}, &memory.Alerts{}
	return &holder.Service{
		Ask:    known.FreshCustomer,
		Stored: customers.Latest, Fresh: freshness.Customer.Soft, Bindings: w.bindings, Alerts: w.alerts,
		Vault: memory.Vault{},
		Now:   time.Now,
	}
}

// quick asks the customers of a source, and the plans.
type quick struct{ *source }

func (q quick) Customer(ctx context.Context, call ports.Call, n line.Number) (product.Customer, error) {
	q.mu.Lock()
	q.named++
	silent := q.nameless
	q.mu.Unlock()
	if !errors.Is(silent, ports.ErrNotAsked) {
		call.Sent()
	}
	if silent != nil {
		return product.Customer{}, silent
	}
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
		return product.Customer{}, fault.New(fault.ServiceUnavailable).Because(ports.ErrNoAnswer)
	}
	return q.KOS.Customer(ctx, call, n)
}

func (w *world) ask(t *testing.T) inquiry.Result {
	t.Helper()
	r, err := w.Ask(t.Context(), w.me, w.line, "")
	require.NoError(t, err)
	w.isStored(t, r.Inquiry)
	return r
}

func (w *world) isStored(t *testing.T, q bill.Inquiry) {
	t.Helper()
	stored, err := w.inquiries.Get(t.Context(), q.ID)
	require.NoError(t, err)
	require.Equal(t, q, stored)
}

// work runs the worker's steps for a while, each second.
func (w *world) work(t *testing.T, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		_, err := w.Step(t.Context(), 10)
		require.NoError(t, err)
	}
}

func (w *world) read(t *testing.T, inquiry id.ID) bill.Inquiry {
	t.Helper()
	q, err := w.inquiries.Get(t.Context(), inquiry)
	require.NoError(t, err)
	return q
}

func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f(t, w)
		w.Wait()
		w.Copies.Wait()
	})
}

func TestMenu(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Now = func() time.Time { return time.Date(2026, 11, 30, 15, 0, 0, 0, time.UTC) }
	w.Months.Now = w.Now
	t.Cleanup(w.Wait)
	m, err := w.Menu(t.Context(), w.me, line.Number{})
	require.NoError(t, err)
	require.Equal(t, "2026-12", m.Current.String())
	require.Len(t, m.Months, 6)
	require.Equal(t, m.Current, m.Months[0])
	require.Equal(t, "2026-07", m.Months[5].String())
	require.Equal(t, []any{w.line, w.me.Lines, "C1"}, []any{m.Line, m.Lines, m.CustomerID})
	_, err = w.Menu(t.Context(), auth.Principal{UserID: "staff"}, line.Number{})
	require.ErrorIs(t, err, fault.New(fault.LineNotFound))
	require.Equal(t, "요금 조회 메뉴 로딩에 실패하였습니다", fault.From(err).Message())
	second, err := line.Parse("01099990077")
	require.NoError(t, err)
	two := w.me
	two.Lines = []line.Number{w.line, second}
	m, err = w.Menu(t.Context(), two, second)
	require.NoError(t, err)
	require.Equal(t, second, m.Line)
	_, err = w.Menu(t.Context(), w.me, second)
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
	require.Zero(t, w.source.calls())
}

func TestFirstFromKOSThenFromTheCacheForAnHour(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		asked := time.Now()
		first := w.ask(t)
		require.Equal(t, freshness.FromKOS, first.Inquiry.Source)
		require.Equal(t, asked, first.Inquiry.AsOf, "as of the moment KOS was asked")
		require.Equal(t, calendar.MonthOf(asked), first.Bill.Month)
		require.Equal(t, 1, first.Inquiry.Attempts)
		require.Equal(t, "5G 프리미엄 플랜, 89,000원", first.Inquiry.Summary)
		require.Equal(t, 500*time.Millisecond, first.Inquiry.ProcessedAt.Sub(first.Inquiry.RequestedAt))
		time.Sleep(time.Hour - 500*time.Millisecond - 1)
		second := w.ask(t)
		require.Equal(t, freshness.FromCache, second.Inquiry.Source)
		require.Equal(t, first.Inquiry.Version, second.Inquiry.Version)
		require.Equal(t, first.Bill, second.Bill)
		require.Equal(t, 1, w.source.calls(), "a hit asks KOS nothing")
		time.Sleep(time.Nanosecond)
		require.Equal(t, freshness.FromKOS, w.ask(t).Inquiry.Source)
		items, err := w.inquiries.Outbox().Claim(t.Context(), time.Now(), time.Minute, 10, 10)
		require.NoError(t, err)
		require.Len(t, items[0], 3, "hits are delivered too")
	})
}

// TestAColdBillReadsTheStoredCopyOnce before KOS is asked, and so does an inquiry in the background.
func TestAColdBillReadsTheStoredCopyOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		require.Equal(t, freshness.FromKOS, w.ask(t).Inquiry.Source)
		require.EqualValues(t, 1, w.bills.reads.Load())

		w.source.set(0, notAsked())
		unasked, err := w.Ask(t.Context(), w.me, w.line, w.month(1))
		require.NoError(t, err)
		require.Equal(t, bill.Processing, unasked.Inquiry.Status)
		w.bills.reads.Store(0)
		w.work(t, 30*time.Second)
		require.Equal(t, freshness.FromKOS, w.read(t, unasked.Inquiry.ID).Source)
		require.EqualValues(t, 1, w.bills.reads.Load())
	})
}

func TestWhatIsRefusedLeavesNoRow(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		_, err := w.Ask(t.Context(), w.me, number(t, "01055554444"), "")
		require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
		for _, month := range []string{"2000-02", "1999-07", "2000-13", "x"} {
			_, err = w.Ask(t.Context(), w.me, w.line, month)
			require.ErrorIs(t, err, fault.New(fault.ValidationError), month)
		}
		r, err := w.Ask(t.Context(), w.me, w.line, "1999-08")
		require.NoError(t, err)
		require.Equal(t, "1999-08", r.Bill.Month.String())
		_, total, err := w.History(t.Context(), w.me, bill.HistoryFilter{Page: 1, Size: 10})
		require.NoError(t, err)
		require.Equal(t, 1, total)
		require.Equal(t, 1, w.source.calls())
	})
}

func TestNotAskedIsStaleWithACopyElse202(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(0, notAsked())
		first := w.ask(t)
		require.Equal(t, bill.Processing, first.Inquiry.Status)
		require.Zero(t, first.Inquiry.Attempts, "it cost no attempt")
		require.Equal(t, time.Now().Add(20*time.Second), first.Inquiry.NextAttemptAt)
		w.work(t, 30*time.Second)
		require.Equal(t, freshness.FromKOS, w.read(t, first.Inquiry.ID).Source)

		time.Sleep(2 * time.Hour)
		w.source.set(0, notAsked())
		stale := w.ask(t)
		require.Equal(t, freshness.FromStale, stale.Inquiry.Source)
		require.Equal(t, bill.Completed, stale.Inquiry.Status)
		require.Greater(t, time.Since(stale.Inquiry.AsOf), 2*time.Hour, "labelled with its age")

		time.Sleep(7 * 24 * time.Hour)
		w.source.set(0, notAsked())
		require.Equal(t, bill.Processing, w.ask(t).Inquiry.Status, "too old to be shown")
	})
}

func TestNoAnswerIs202InTimeAndTheBackgroundCompletes(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(5 * time.Second)
		start := time.Now()
		r := w.ask(t)
		require.Equal(t, 2700*time.Millisecond, time.Since(start))
		require.Equal(t, bill.Processing, r.Inquiry.Status)
		require.Nil(t, r.Bill)
		w.work(t, 30*time.Second)
		done := w.read(t, r.Inquiry.ID)
		require.Equal(t, freshness.FromKOS, done.Source)
		require.Equal(t, 2, done.Attempts)
		got, err := w.Get(t.Context(), w.me, r.Inquiry.ID, 0)
		require.NoError(t, err)
		require.Equal(t, "5G 프리미엄 플랜", got.Bill.ProductName)
	})
}

// TestASlowKOSShowsTheOldBillAndBringsTheNewOne: at the end of the answer budget the last good copy is shown, and the
// next inquiry gets the new bill.
func TestASlowKOSShowsTheOldBillAndBringsTheNewOne(t *testing.T) {
	t.Parallel()
	for name, takes := range map[string]time.Duration{"slow": 5 * time.Second, "silent": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, w *world) {
				w.ask(t)
				time.Sleep(2 * time.Hour)
				w.source.set(takes)
				start, before := time.Now(), w.source.calls()
				r := w.ask(t)
				require.Equal(t, 2700*time.Millisecond, time.Since(start))
				require.Equal(t, bill.Completed, r.Inquiry.Status)
				require.Equal(t, freshness.FromStale, r.Inquiry.Source)
				require.NotNil(t, r.Bill)
				require.Greater(t, time.Since(r.Inquiry.AsOf), 2*time.Hour, "labelled with its age")
				w.work(t, time.Minute)
				require.Equal(t, before+2, w.source.calls(), "once for the customer, once with more time")
				require.Equal(t, r.Inquiry, w.read(t, r.Inquiry.ID), "the answer given stands")
				if takes == time.Hour {
					return
				}
				next := w.ask(t)
				require.Equal(t, freshness.FromCache, next.Inquiry.Source)
				require.True(t, next.Inquiry.AsOf.After(start))
				require.Equal(t, before+2, w.source.calls())
			})
		})
	}
}

// TestASilentKOSShowsTheOldBillToAll: also to those who joined another's question, and learn of its
// end before their time is over.
func TestASilentKOSShowsTheOldBillToAll(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.ask(t)
		time.Sleep(2 * time.Hour)
		w.source.set(time.Hour)
		for range 40 {
			r := w.ask(t)
			require.Equal(t, freshness.FromStale, r.Inquiry.Source)
			require.Equal(t, r.Inquiry, w.read(t, r.Inquiry.ID))
			time.Sleep(700 * time.Millisecond)
		}
		w.work(t, time.Minute)
	})
}

// TestACopyThatCannotBeRecordedIsNotShown: the inquiry goes on as if there were none.
func TestACopyThatCannotBeRecordedIsNotShown(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.ask(t)
		time.Sleep(2 * time.Hour)
		w.source.set(5 * time.Second)
		w.inquiries.saves = time.Now().Add(2800 * time.Millisecond)
		r := w.ask(t)
		require.Equal(t, bill.Processing, r.Inquiry.Status)
		w.work(t, time.Minute)
		require.Equal(t, freshness.FromKOS, w.read(t, r.Inquiry.ID).Source)
	})
}

func TestThreeAttemptsThenFailed(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(time.Hour)
		before := w.source.calls()
		r := w.ask(t)
		w.work(t, 10*time.Minute)
		end := w.read(t, r.Inquiry.ID)
		require.Equal(t, before+3, w.source.calls())
		require.GreaterOrEqual(t, w.source.asked[before+2].Sub(w.source.asked[before+1]), 30*time.Second)
		require.Equal(t, 3, end.Attempts)
		require.Equal(t, bill.Timeout, end.Status)
		require.Equal(t, fault.ServiceUnavailable, end.FailureCode)
		got, err := w.Get(t.Context(), w.me, r.Inquiry.ID, 0)
		require.NoError(t, err)
		require.Nil(t, got.Bill)
	})
}

func TestBrokenIsTriedThriceThenFailsInTheStorysWords(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		hiccup := fault.New(fault.ServiceUnavailable).Because(ports.ErrTransient)
		w.source.set(0, hiccup, hiccup)
		r := w.ask(t)
		require.Equal(t, freshness.FromKOS, r.Inquiry.Source)
		require.Equal(t, 3, r.Inquiry.Attempts)

		time.Sleep(8 * 24 * time.Hour)
		w.source.set(0, broken())
		_, err := w.Ask(t.Context(), w.me, w.line, "")
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
		require.Equal(t, "요금 조회 신청에 실패하였습니다", fault.From(err).Message())
		require.Equal(t, 7*time.Second, fault.From(err).RetryAfter(), "KOS has said when to come again: no second try")
		q, err := id.Parse(fault.From(err).Details()["requestId"])
		require.NoError(t, err)
		require.Equal(t, bill.Failed, w.read(t, q).Status, "the failure is recorded and delivered")
		_, err = w.Ask(t.Context(), w.me, w.line, "")
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), "KOS is left alone until then")
		require.Equal(t, 4, w.source.calls())
		time.Sleep(7 * time.Second)
		require.Equal(t, freshness.FromKOS, w.ask(t).Inquiry.Source)
	})
}

func TestAFinalBillIsAskedForOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		epochs := &memory.Epochs{}
		w.bills.Epochs = epochs
		paid := bill.Bill{ProductName: "P", Payment: bill.Payment{Status: bill.Paid}}
		w.source.AddCustomer(product.Customer{Line: w.line, CustomerID: "C1"}, &paid)
		ask := func(month string) freshness.Source {
			r, err := w.Ask(t.Context(), w.me, w.line, month)
			require.NoError(t, err)
			return r.Inquiry.Source
		}
		require.Equal(t, freshness.FromKOS, ask("1999-12"))
		require.Equal(t, freshness.FromKOS, ask("2000-01"), "paid, but its month goes on")
		time.Sleep(60 * 24 * time.Hour) // it is March
		require.NoError(t, epochs.Raise(t.Context(), w.line, time.Now()))
		w.source.set(0, notAsked())
		require.Equal(t, freshness.FromCache, ask("1999-12"), "fresh for ever, whatever has changed since (ADR 23)")
		require.Equal(t, 2, w.source.calls())
	})
}

func TestPrefetch(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		began := time.Now()
		for range 2 {
			fetchedAt, err := w.Prefetch(t.Context(), w.line, began)
			require.NoError(t, err)
			require.Equal(t, began, fetchedAt)
		}
		require.Equal(t, 1, w.source.calls(), "KOS has stated it since")
		require.Empty(t, w.seen, "no customer is active")
		require.Equal(t, freshness.FromCache, w.ask(t).Inquiry.Source)
		require.Equal(t, []line.Number{w.line}, w.seen)
		time.Sleep(time.Minute)
		_, err := w.Prefetch(t.Context(), w.line, time.Now())
		require.NoError(t, err)
		require.Equal(t, 2, w.source.calls())
		_, err = w.Prefetch(t.Context(), number(t, "01012345679"), began)
		require.ErrorIs(t, err, fault.New(fault.BillNotFound))
		_, total, err := w.History(t.Context(), w.me, bill.HistoryFilter{Page: 1, Size: 10})
		require.NoError(t, err)
		require.Equal(t, 1, total, "only what was asked is history")
	})
}

func TestBrokenWithACopyIsStaleAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.ask(t)
		time.Sleep(2 * time.Hour)
		w.source.set(0, fault.New(fault.ServiceUnavailable))
		r := w.ask(t)
		require.Equal(t, freshness.FromStale, r.Inquiry.Source)
		require.Equal(t, 1, r.Inquiry.Attempts)
		require.Equal(t, freshness.Counts{Misses: 1, Stale: 1}, w.Copies.Tally.Counts())
	})
}

func TestManyCustomersOfOneBill(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(5 * time.Second)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				r, err := w.Ask(t.Context(), w.me, w.line, "")
				require.NoError(t, err)
				require.Equal(t, bill.Processing, r.Inquiry.Status)
			})
		}
		all.Wait()
		w.work(t, 30*time.Second)
		rows, total, err := w.History(t.Context(), w.me, bill.HistoryFilter{Status: bill.Completed, Page: 1, Size: 100})
		require.NoError(t, err)
		require.Equal(t, 100, total, "each has its row, and its answer")
		require.Equal(t, rows[0].Version, rows[99].Version)
		require.Equal(t, 2, w.source.calls(), "one while they waited, one in the background")
	})
}

func TestBusinessAnswersAre404AndRememberedShortly(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		for range 2 {
			_, err := w.Ask(t.Context(), w.me, number(t, "01012345679"), "")
			require.ErrorIs(t, err, fault.New(fault.BillNotFound))
			require.Equal(t, "해당 월의 요금 정보가 없습니다", fault.From(err).Message())
		}
		require.Equal(t, 1, w.source.calls(), "KOS's no is remembered for a short while")
		time.Sleep(time.Minute)
		_, err := w.Ask(t.Context(), w.me, number(t, "01012345679"), "")
		require.ErrorIs(t, err, fault.New(fault.BillNotFound))
		require.Equal(t, 2, w.source.calls())
		w.me.Lines = append(w.me.Lines, number(t, "01012340000"))
		_, err = w.Ask(t.Context(), w.me, number(t, "01012340000"), "")
		require.ErrorIs(t, err, fault.New(fault.LineNotFound))
		w.ask(t)
		time.Sleep(2 * time.Hour)
		w.source.set(0, fault.New(fault.BillNotFound))
		_, err = w.Ask(t.Context(), w.me, w.line, "")
		require.ErrorIs(t, err, fault.New(fault.BillNotFound), "a business answer goes before an old copy")
	})
}

func TestHangingUpDoesNotStopTheCall(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		r, err := w.Ask(ctx, w.me, w.line, "")
		require.NoError(t, err)
		require.Equal(t, freshness.FromKOS, r.Inquiry.Source)
		w.isStored(t, r.Inquiry)
	})
}

func TestALateWorkerLoses(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(0, notAsked())
		r := w.ask(t)
		time.Sleep(20 * time.Second)
		stalled := false
		w.inquiries.beforeSave = func() { // the first worker stalls; its lease runs out and another does the work
			if stalled {
				return
			}
			stalled = true
			time.Sleep(time.Minute)
			n, err := w.Step(t.Context(), 10)
			assert.NoError(t, err)
			assert.Equal(t, 1, n)
		}
		n, err := w.Step(t.Context(), 10)
		require.NoError(t, err, "losing is no trouble")
		require.Equal(t, 1, n)
		end := w.read(t, r.Inquiry.ID)
		require.Equal(t, bill.Completed, end.Status)
		require.Equal(t, int64(2), end.Fence)
		require.Equal(t, w.source.asked[1], end.AsOf, "the second worker found the first one's answer")
		n, err = w.Step(t.Context(), 10)
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

func TestTheLeaseOutlivesTheCustomersCall(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(2900 * time.Millisecond)
		r := w.ask(t)
		require.Equal(t, bill.Processing, r.Inquiry.Status)
		n, err := w.Step(t.Context(), 10)
		require.NoError(t, err)
		require.Zero(t, n, "the customer's own call is still out")
		time.Sleep(time.Second)
		require.Equal(t, freshness.FromKOS, w.read(t, r.Inquiry.ID).Source)
		require.Equal(t, 1, w.source.calls())
	})
}

// TestAnInquiryThatCannotBeQueuedGetsTheLastGoodCopy: without the bill database only final answers are recorded.
func TestAnInquiryThatCannotBeQueuedGetsTheLastGoodCopy(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.ask(t)
		away := fault.New(fault.ServiceUnavailable).RetryIn(time.Second)
		w.inquiries.unqueued = away
		time.Sleep(2 * time.Hour)
		r := w.ask(t)
		require.Equal(t, freshness.FromStale, r.Inquiry.Source)
		require.Equal(t, 1, w.source.calls(), "KOS is not asked for what cannot be recorded")
		require.Equal(t, "5G 프리미엄 플랜", r.Bill.ProductName)

		w.bills.hiccups.Store(4) // the cache is left alone for a while
		start := time.Now()
		require.Equal(t, freshness.FromStale, w.ask(t).Inquiry.Source)
		require.Equal(t, 600*time.Millisecond, time.Since(start))
		time.Sleep(7 * 24 * time.Hour)
		_, err := w.Ask(t.Context(), w.me, w.line, "")
		require.ErrorIs(t, err, away, "too old to be shown")
		require.Equal(t, 1, w.source.calls())
	})
}

// TestAnInquiryThatWasNotQueuedEndsAsTheCustomerSawIt: the row of a failed Add may be stored.
func TestAnInquiryThatWasNotQueuedEndsAsTheCustomerSawIt(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.ask(t)
		away := fault.New(fault.ServiceUnavailable).RetryIn(time.Second)
		w.inquiries.unqueued, w.inquiries.ghosts = away, true
		time.Sleep(2 * time.Hour)
		r, err := w.Ask(t.Context(), w.me, w.line, "")
		require.NoError(t, err)
		require.Equal(t, freshness.FromStale, r.Inquiry.Source)
		_, err = w.Ask(t.Context(), w.me, number(t, "01012345679"), "")
		require.ErrorIs(t, err, away)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = w.Ask(gone, w.me, number(t, "01012345679"), "")
		require.ErrorIs(t, err, away)
		w.inquiries.unqueued = nil
		w.work(t, time.Minute)
		require.Equal(t, 1, w.source.calls(), "no worker takes them")
		got, err := w.Get(t.Context(), w.me, r.Inquiry.ID, 0)
		require.NoError(t, err)
		require.Equal(t, r.Bill, got.Bill)
		require.Equal(t, r.Inquiry.Source, got.Inquiry.Source)
		_, total, err := w.History(t.Context(), w.me, bill.HistoryFilter{Status: bill.Failed, Page: 1, Size: 10})
		require.NoError(t, err)
		require.Equal(t, 2, total, "refusals are history")

		w.inquiries.unqueued, w.inquiries.add = away, errBackend
		_, err = w.Ask(t.Context(), w.me, number(t, "01012345679"), "")
		require.ErrorIs(t, err, away, "a refusal that cannot be recorded is returned all the same")
		require.Len(t, w.reported, 1)
		require.ErrorIs(t, w.reported[0], errBackend)
	})
}

func TestStoresInTrouble(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.bills.latest = errBackend
		require.Equal(t, freshness.FromKOS, w.ask(t).Inquiry.Source, "no copy can be read: KOS is asked")
		w.bills.latest = nil
		w.inquiries.add = errBackend
		_, err := w.Ask(t.Context(), w.me, w.line, "")
		require.ErrorIs(t, err, errBackend, "nothing is answered that is not recorded")
		_, err = w.Ask(t.Context(), w.me, number(t, "01012345679"), "")
		require.ErrorIs(t, err, errBackend)
		w.inquiries.add = nil
		time.Sleep(2 * time.Hour)
		w.inquiries.save = errBackend
		_, err = w.Ask(t.Context(), w.me, w.line, "")
		require.ErrorIs(t, err, errBackend)
		w.source.set(0, broken())
		_, err = w.Ask(t.Context(), w.me, number(t, "01012345679"), "")
		require.ErrorIs(t, err, errBackend)
		_, err = w.Step(t.Context(), 10)
		require.Error(t, err, "the worker says what is wrong")
		w.inquiries.save, w.inquiries.claim = nil, errBackend
		_, err = w.Step(t.Context(), 10)
		require.ErrorIs(t, err, errBackend)
	})
}

func TestABillThatCannotBeKeptAsksKOSThreeTimesAtMost(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.bills.put = errBackend
		_, err := w.Ask(t.Context(), w.me, w.line, "")
		require.ErrorIs(t, err, errBackend)
		w.source.set(5 * time.Second)
		r := w.ask(t)
		for range 300 {
			_, _ = w.Step(t.Context(), 10)
			time.Sleep(time.Second)
		}
		require.Equal(t, bill.Failed, w.read(t, r.Inquiry.ID).Status)
		require.Equal(t, 4, w.source.calls())
	})
}

func TestGetIsForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		r := w.ask(t)
		got, err := w.Get(t.Context(), w.me, r.Inquiry.ID, 0)
		require.NoError(t, err)
		require.Equal(t, r, got)
		stranger := auth.Principal{UserID: "kim", Lines: w.me.Lines}
		_, err = w.Get(t.Context(), stranger, r.Inquiry.ID, 0)
		require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
		sold := auth.Principal{UserID: "hong"}
		_, err = w.Get(t.Context(), sold, r.Inquiry.ID, 0)
		require.ErrorIs(t, err, fault.New(fault.ResourceNotFound), "the line is no longer the customer's")
		_, err = w.Get(t.Context(), w.me, id.ID{9}, 0)
		require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
		w.bills.version = errBackend
		_, err = w.Get(t.Context(), w.me, r.Inquiry.ID, 0)
		require.ErrorIs(t, err, errBackend)
	})
}

func TestALongPollReturnsWhenTheInquiryChanges(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(2900 * time.Millisecond)
		r := w.ask(t)
		start := time.Now()
		got, err := w.Get(t.Context(), w.me, r.Inquiry.ID, 25*time.Second)
		require.NoError(t, err)
		require.Equal(t, bill.Completed, got.Inquiry.Status)
		require.LessOrEqual(t, time.Since(start), 400*time.Millisecond)

		w.me.Lines = append(w.me.Lines, number(t, "01087654321"))
		w.source.set(0, notAsked())
		r, err = w.Ask(t.Context(), w.me, number(t, "01087654321"), "")
		require.NoError(t, err)
		start = time.Now()
		got, err = w.Get(t.Context(), w.me, r.Inquiry.ID, 3100*time.Millisecond)
		require.NoError(t, err)
		require.Equal(t, bill.Processing, got.Inquiry.Status)
		require.Equal(t, 3100*time.Millisecond, time.Since(start))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = w.Get(ctx, w.me, r.Inquiry.ID, 25*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestHistoryShowsTheCallersOwnRows(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.ask(t)
		time.Sleep(time.Second)
		_, err := w.Ask(t.Context(), w.me, number(t, "01012345679"), "")
		require.Error(t, err)
		rows, total, err := w.History(t.Context(), w.me, bill.HistoryFilter{Page: 1, Size: 1})
		require.NoError(t, err)
		require.Equal(t, 2, total)
		require.Equal(t, bill.Failed, rows[0].Status, "newest first, failures included")
		rows, total, err = w.History(t.Context(), w.me, bill.HistoryFilter{Lines: []line.Number{w.line}, Page: 1, Size: 10})
		require.NoError(t, err)
		require.Equal(t, 1, total)
		require.Equal(t, w.line, rows[0].Line)
		_, _, err = w.History(t.Context(), w.me, bill.HistoryFilter{
			Lines: []line.Number{number(t, "01055554444")}, Page: 1, Size: 10,
		})
		require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
		stranger := auth.Principal{UserID: "kim", Lines: w.me.Lines}
		_, total, err = w.History(t.Context(), stranger, bill.HistoryFilter{UserID: "hong", Page: 1, Size: 10})
		require.NoError(t, err)
		require.Zero(t, total, "the filter cannot name another user")
	})
}

func TestTroubleAfterThe202IsReported(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.source.set(5 * time.Second)
		w.inquiries.save = errors.New("disk full")
		require.Equal(t, bill.Processing, w.ask(t).Inquiry.Status)
		w.Wait()
		require.Len(t, w.reported, 1)
		require.ErrorContains(t, w.reported[0], "disk full")
	})
}

package inquiry

import (
	"context"
	"errors"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/auth/holder"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/freshness/copies"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Months finds which months of a line have a bill, for the menu (R-MONTHS). No caller waits for KOS: what is stored is
// shown, and KOS is asked behind the answer. It is safe for concurrent use; the zero value of what is not exported is
// ready.
type Months struct {
	Source ports.MonthSource
	Stored ports.BillMonths
	Copies *copies.Copies[bill.MonthsCopy]
	// Flights keep the instances from asking about one line again and again.
	Flights ports.Flights
	// Holders compare accounts with the customers of their lines.
	Holders *holder.Service
	// FindHolder returns the customer that KOS names for the line, asked for in the lane of refreshes if need be.
	FindHolder func(ctx context.Context, call ports.Call, n line.Number) (customer string, err error)
	Fresh      freshness.Limits
	Now        ports.Clock

	mu       sync.Mutex
	rests    map[accountLine]time.Time // until when this process does not begin to ask
	fetching int
	running  sync.WaitGroup
}

// accountLine is a line of an account. Questions rest for each, so that the account which had a number before does not
// keep the months from the one that has it now.
type accountLine struct {
	user auth.UserID
	line line.Number
}

// turn is the subject that the instances take turns about.
func (a accountLine) turn() freshness.Subject {
	return freshness.Subject{
		Kind: freshness.Months, Key: personal.NewSecret(a.line.Digits() + "/" + string(a.user)), Part: "menu",
	}
}

const (
	// monthsLookup bounds what the menu waits for the store of copies; then its months are computed.
	monthsLookup = 500 * time.Millisecond
	// monthsTimeout bounds a question behind the menu, that for the line's customer included.
	monthsTimeout = 20 * time.Second
	// monthsLease is how long no other instance asks when the one that asks dies.
	monthsLease = monthsTimeout + leaseMargin
	// monthsPause is how long KOS is not asked about a line again, whatever came of the question (S-MONTHS-PAUSE).
	monthsPause = 5 * time.Minute
	// monthsUnasked is the same when KOS was not asked, because of a breaker, the budget or the customer's allowance.
	monthsUnasked = 30 * time.Second
	// monthsStranger is the same for a line that KOS does not know, or names another customer for.
	monthsStranger = time.Hour
	// maxMonthsFetches is how many questions are under way in one process at most; one that finds no place is left to
	// the next menu.
	maxMonthsFetches = 16
	// maxMonthsRests bounds what a process remembers; then it begins anew.
	maxMonthsRests = 100_000
)

// offered returns the months that the line's menu offers to the caller. provisional says that they are computed, since
// it is not known which of them have a bill. Unless a fresh copy is stored, KOS is asked afterwards.
func (m *Months) offered(
	ctx context.Context, p auth.Principal, n line.Number, selectable int,
) (months []calendar.Month, provisional bool) {
	q := m.query(p, n)
	lookup, cancel := context.WithTimeout(ctx, monthsLookup)
	defer cancel()
	stored := m.Copies.Lookup(lookup, q)
	if !stored.IsFresh() {
		m.fetchBehind(ctx, accountLine{p.UserID, n}, q, stored)
	}
	if known, ok := m.Copies.ServeStored(stored); ok {
		return known.Value.Offered(m.Now(), selectable), false
	}
	return bill.SelectableMonths(m.Now(), selectable), true
}

func (m *Months) query(p auth.Principal, n line.Number) copies.Query[bill.MonthsCopy] {
	account := auth.Holder{UserID: p.UserID, CustomerID: p.CustomerID}
	return copies.Query[bill.MonthsCopy]{
		Subject: freshness.Subject{Kind: freshness.Months, Key: personal.NewSecret(n.Digits())},
		Source:  monthsSource{m, account, n},
		Policy:  copies.Policy{Lane: quota.Refresh, Timeout: monthsTimeout, Attempts: 1},
		Call:    ports.Call{Payer: ports.Payer{Customer: p.UserID}},
	}
}

// fetchBehind asks KOS for the line's months unless this process has done so a short while ago. It returns at once.
func (m *Months) fetchBehind(
	ctx context.Context, of accountLine, q copies.Query[bill.MonthsCopy], stored copies.Stored[bill.MonthsCopy],
) {
	if !m.begin(of) {
		return
	}
	m.running.Go(func() {
		defer m.end()
		m.restUntil(of, m.fetch(context.WithoutCancel(ctx), of, q, stored))
	})
}

// begin takes one of the places of questions, and lets the line rest as long as an answer may take.
func (m *Months) begin(of accountLine) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.Now()
	if m.fetching >= maxMonthsFetches || now.Before(m.rests[of]) {
		return false
	}
	if m.rests == nil || len(m.rests) >= maxMonthsRests {
		m.rests = map[accountLine]time.Time{}
	}
	m.fetching++
	m.rests[of] = now.Add(monthsLease)
	return true
}

func (m *Months) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fetching--
}

func (m *Months) restUntil(of accountLine, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rests[of] = until
}

// fetch asks KOS if no other instance does or has done so lately, and returns until when the line rests. A store that
// does not say so is no reason to ask: nobody waits for the answer.
func (m *Months) fetch(
	ctx context.Context, of accountLine, q copies.Query[bill.MonthsCopy], stored copies.Stored[bill.MonthsCopy],
) (until time.Time) {
	turn := of.turn()
	lease, err := m.Flights.Begin(ctx, turn, monthsLease)
	switch {
	case err != nil:
		return m.Now().Add(monthsUnasked)
	case lease.State != freshness.Granted:
		return lease.Until
	}
	_, err = m.Copies.Fetch(ctx, q, stored)
	rest, now := monthsRest(err), m.Now()
	record, cancel := ports.RecordContext(ctx)
	defer cancel()
	// A note that is lost costs one more question when the lease is over.
	_ = m.Flights.Finish(record, turn, lease.Token, freshness.Outcome{Failures: 1, At: now, For: rest})
	return now.Add(rest)
}

// monthsRest is how long KOS is not asked about a line again after a question that ended with err.
func monthsRest(err error) time.Duration {
	switch f := fault.From(err); {
	case errors.Is(err, fault.New(fault.LineNotFound)), errors.Is(err, errStranger):
		return monthsStranger
	case errors.Is(err, ports.ErrNotAsked):
		return min(max(f.RetryAfter(), monthsUnasked), monthsPause)
	default:
		return monthsPause
	}
}

// Wait blocks until no question is under way that a menu has begun.
func (m *Months) Wait() { m.running.Wait() }

// monthsSource is the copies.Source of the months of one account's line.
type monthsSource struct {
	*Months

	account auth.Holder
	line    line.Number
}

// Read finds no copy where the newest one is of another customer's bills.
func (s monthsSource) Read(ctx context.Context) (bill.MonthsCopy, error) {
	return s.own(ctx, s.Stored.Latest)
}

func (s monthsSource) ReadCommitted(ctx context.Context) (bill.MonthsCopy, error) {
	return s.own(ctx, s.Stored.LatestCommitted)
}

func (s monthsSource) own(
	ctx context.Context, latest func(context.Context, line.Number) (bill.MonthsCopy, error),
) (bill.MonthsCopy, error) {
	c, err := latest(ctx, s.line)
	if err != nil {
		return bill.MonthsCopy{}, err
	}
	if err := s.Holders.CheckKnown(ctx, s.account, s.line); err != nil {
		return bill.MonthsCopy{}, fault.New(fault.ResourceNotFound).Because(err)
	}
	same, err := s.Holders.Matches(ctx, s.account, s.line, c.Holder)
	if err != nil || !same {
		return bill.MonthsCopy{}, fault.New(fault.ResourceNotFound).Because(err)
	}
	return c, nil
}

func (s monthsSource) State(stored bill.MonthsCopy, since, now time.Time, rnd float64) freshness.State {
	return s.Fresh.Decide(stored.AsOf, since, now, rnd)
}

// Ask asks for the months, and then whose the line is: months of another customer, or of one that is not known, cannot
// be shown. A line that KOS fails on costs one call, and nothing that a bill's own question would have to wait for.
func (s monthsSource) Ask(ctx context.Context, call ports.Call) (bill.MonthsCopy, error) {
	asked := s.Now()
	months, err := s.Source.Months(ctx, call, s.line)
	if err != nil {
		return bill.MonthsCopy{}, err
	}
	customer, err := s.FindHolder(ctx, call, s.line)
	if err == nil {
		err = s.Holders.Check(ctx, s.account, s.line, customer)
	}
	if err != nil { // KOS was asked, whatever became of the other question
		return bill.MonthsCopy{}, fault.New(fault.ServiceUnavailable).Because(errors.Join(ports.ErrNoAnswer, strange(err)))
	}
	return bill.MonthsCopy{Line: s.line, Months: months, Holder: customer, AsOf: asked}, nil
}

// errStranger is the cause of months that are not kept, because KOS does not name the account's customer for the line.
var errStranger = errors.New("inquiry: the line is not the customer's")

// strange returns the cause of a customer that was not found or is another one. It keeps no code of err's: what is the
// matter with this account is no answer to another one that asks about the line.
func strange(err error) error {
	if errors.Is(err, fault.New(fault.LineNotFound)) {
		return errStranger
	}
	return errHolder
}

func (s monthsSource) Store(ctx context.Context, answer bill.MonthsCopy) error {
	return s.Stored.Put(ctx, answer)
}

// MayServeStale is never asked for a menu: it has been shown what is stored.
func (monthsSource) MayServeStale(error, int) bool { return false }

package reconciliation_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/core/product/reconciliation"
	"phonebill/core/request"
	"phonebill/ports"
)

// carrier returns the configured answers; an order without one in about is unknown at KOS.
type carrier struct {
	about     map[id.ID]product.Answer
	first     []product.Answer // before all others
	noQuery   bool             // it cannot be asked about transactions, and that is known
	customers map[line.Number]product.Customer
	missing   []error // of the next questions about customers
	asked     []time.Time
	lines     int
	before    func()
}

func (c *carrier) AskStatus(_ context.Context, _ ports.Call, o product.Order) product.Answer {
	if c.noQuery {
		return product.Answer{Kind: product.AnswerNoQuery}
	}
	c.asked = append(c.asked, time.Now())
	if c.before != nil {
		c.before()
	}
	if len(c.first) > 0 {
		a := c.first[0]
		c.first = c.first[1:]
		return a
	}
	if a, known := c.about[o.ID]; known {
		return a
	}
	return product.Answer{Kind: product.AnswerAbsent}
}

func (c *carrier) Customer(_ context.Context, _ ports.Call, n line.Number) (product.Customer, error) {
	c.asked = append(c.asked, time.Now())
	c.lines++
	if len(c.missing) > 0 {
		err := c.missing[0]
		c.missing = c.missing[1:]
		return product.Customer{}, err
	}
	if known, ok := c.customers[n]; ok {
		return known, nil
	}
	return product.Customer{}, fault.New(fault.LineNotFound)
}

type world struct {
	reconciliation.Service
	t        *testing.T
	orders   memory.Orders
	runs     memory.ReconciliationRuns
	kos      carrier
	alerts   memory.Alerts
	reported []product.Difference
	checked  int
	ids      int
	began    time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, began: time.Now(), kos: carrier{about: map[id.ID]product.Answer{},
		customers: map[line.Number]product.Customer{}}}
	w.Service = reconciliation.Service{
		Source: w.orders.ReconciliationSource(), Runs: &w.runs, KOS: &w.kos, Alerts: &w.alerts,
		Limits: reconciliation.DefaultLimits(), Now: time.Now,
		NewID:            func() id.ID { w.ids++; return id.ID{15: byte(w.ids)} },
		CountChecked:     func(n int) { w.checked += n },
		ReportDifference: func(_ context.Context, d product.Difference) { w.reported = append(w.reported, d) },
	}
	return w
}

func number(t *testing.T, n int) line.Number {
	t.Helper()
	parsed, err := line.Parse("0101234567" + string(rune('0'+n)))
	require.NoError(t, err)
	return parsed
}

// ended stores the n-th order, which ended so long ago on the n-th line; its result was delivered at once.
func (w *world) ended(n int, ago time.Duration, state product.State) product.Order {
	w.t.Helper()
	return w.endedOn(n, n, ago, state)
}

func (w *world) endedOn(n, of int, ago time.Duration, state product.State) product.Order {
	w.t.Helper()
	at := w.began.Add(-ago)
	o := product.Order{
		ID: id.ID{1, byte(n)}, TransactionID: id.ID{2, byte(n)}, Line: number(w.t, of), From: "LTE", To: "5G", Sends: 1,
		EffectiveDate: calendar.DateOf(at), State: product.Requested, RequestedAt: at,
	}
	require.NoError(w.t, w.orders.Add(w.t.Context(), o, request.KeyUse{}))
	o.State = state
	if state.Final() {
		o.ProcessedAt = at
	}
	o, err := w.orders.Save(w.t.Context(), o, at)
	require.NoError(w.t, err)
	lines, err := w.orders.Outbox().Claim(w.t.Context(), w.began, time.Minute, 10, 10)
	require.NoError(w.t, err)
	for _, items := range lines {
		for _, i := range items {
			require.NoError(w.t, w.orders.Outbox().Settle(w.t.Context(), at,
				delivery.AttemptResult{ID: i.ID, Fence: i.Fence, State: delivery.Delivered}))
		}
	}
	return o
}

func (w *world) accepts(o product.Order) {
	w.kos.about[o.ID] = product.Answer{Kind: product.AnswerAccepted, Code: "0000"}
}

// check reconciles the last day and returns the report.
func (w *world) check() product.ReconciliationReport {
	w.t.Helper()
	run, err := w.Start(w.t.Context(), w.began.Add(-24*time.Hour), w.began.Add(time.Hour))
	require.NoError(w.t, err)
	n, err := w.Step(w.t.Context())
	require.NoError(w.t, err)
	require.Equal(w.t, 1, n)
	report, err := w.Report(w.t.Context(), run.ID)
	require.NoError(w.t, err)
	return report
}

func kinds(r product.ReconciliationReport) map[byte]product.DifferenceKind {
	all := map[byte]product.DifferenceKind{}
	for _, d := range r.Differences {
		all[d.RequestID[1]] = d.Kind
	}
	return all
}

func TestDifferencesAreReportedAndNothingIsChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.accepts(w.ended(1, 5*time.Hour, product.Completed))
		w.ended(2, 4*time.Hour, product.Completed) // KOS knows nothing of it
		w.accepts(w.ended(3, 3*time.Hour, product.Failed))
		w.ended(4, 3*time.Hour, product.Failed)
		w.kos.about[w.ended(5, 2*time.Hour, product.Completed).ID] = product.Answer{Kind: product.AnswerUnknown}
		w.ended(6, 25*time.Hour, product.Parked)
		w.endedOn(7, 7, 3*time.Hour, product.Completed) // replaced by the next
		w.accepts(w.endedOn(8, 7, 2*time.Hour, product.Completed))
		w.ended(9, 25*time.Hour, product.Completed) // not in the window
		before, err := w.Source.Final(t.Context(), time.Time{}, w.began, product.ReconciliationPlace{}, 99)
		require.NoError(t, err)

		report := w.check()
		require.Equal(t, map[byte]product.DifferenceKind{
			2: product.OursDoneKOSNot, 3: product.OursFailedKOSHas, 6: product.OursOpenTooLong,
		}, kinds(report))
		require.Equal(t, product.ReconciliationRun{
			ID: id.ID{15: 1}, From: w.began.Add(-24 * time.Hour), To: w.began, StartedAt: w.began, Finished: time.Now(),
			Reached: report.Run.Reached, Checked: 8, Asked: 6, Undecided: 1, Found: 3, Fence: 1,
		}, report.Run)
		require.ElementsMatch(t, report.Differences, w.reported)
		require.Equal(t, 8, w.checked)
		require.Equal(t, []operations.Alert{{
			Kind: operations.ReconciliationDiffers, Subject: id.ID{15: 1}.String(),
			Note: "3 differences among 8 orders: see phonebillctl reconciliation show",
		}}, w.alerts.Raised())
		for i, at := range w.kos.asked {
			require.Equal(t, w.began.Add(time.Duration(i)*3*time.Second), at, "20 a minute")
		}
		after, err := w.Source.Final(t.Context(), time.Time{}, w.began, product.ReconciliationPlace{}, 99)
		require.NoError(t, err)
		require.Equal(t, before, after)

		n, err := w.Step(t.Context())
		require.NoError(t, err)
		require.Zero(t, n, "it is over")
	})
}

func TestAgreementRaisesNoAlert(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.accepts(w.ended(1, time.Hour, product.Completed))
		require.Empty(t, w.check().Differences)
		require.Empty(t, w.alerts.Raised())
	})
}

// TestAKOSWithoutTheQueryIsAskedForTheLine, once for each.
func TestAKOSWithoutTheQueryIsAskedForTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.kos.noQuery = true
		w.kos.missing = []error{
			fault.New(fault.ServiceUnavailable).RetryIn(20 * time.Second).Because(ports.ErrNotAsked), errors.New("broken"),
		}
		for n := 1; n <= 3; n++ {
			w.kos.customers[number(t, n)] = product.Customer{PlanCode: "LTE"}
		}
		w.kos.customers[number(t, 2)] = product.Customer{PlanCode: "5G"}
		w.ended(1, 5*time.Hour, product.Completed) // the answer is broken
		w.ended(2, 4*time.Hour, product.Completed)
		w.ended(3, 4*time.Hour, product.Completed)
		w.endedOn(4, 3, 3*time.Hour, product.Failed)
		w.ended(5, 2*time.Hour, product.Completed) // no such line
		report := w.check()
		require.Equal(t, map[byte]product.DifferenceKind{3: product.KOSPlanDiffers, 5: product.KOSPlanDiffers}, kinds(report))
		require.Equal(t, 2, report.Run.Undecided)
		require.Equal(t, 4, report.Run.Asked)
		require.Equal(t, 5, w.kos.lines, "one of them did not leave")
		require.Equal(t, []time.Duration{0, 20, 23, 26, 29}, seconds(w))
	})
}

func seconds(w *world) (all []time.Duration) {
	for _, at := range w.kos.asked {
		all = append(all, at.Sub(w.began)/time.Second)
	}
	return all
}

func TestARunContinuesAfterTheQuotaRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.kos.first = []product.Answer{
			{Kind: product.AnswerNotSent}, {Kind: product.AnswerNotSent, RetryAfter: 40 * time.Second},
			{Kind: product.AnswerNotSent, RetryAfter: time.Hour},
		}
		w.accepts(w.ended(1, time.Hour, product.Completed))
		report := w.check()
		require.Empty(t, report.Differences)
		require.Equal(t, 1, report.Run.Asked)
		require.Equal(t, []time.Duration{0, 5, 45, 105}, seconds(w))
	})
}

func TestOrdersAfterTheTimeLimitAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Limits.Asking = 4 * time.Second
		for n := 1; n <= 4; n++ {
			w.ended(n, time.Hour, product.Failed)
		}
		require.NoError(t, w.orders.Outbox().Replay(t.Context(), id.ID{1, 4}, w.began.Add(-2*time.Hour)))
		unread := w.ended(5, time.Hour, product.Completed)
		w.Source = blind{w.Source, unread.ID}
		report := w.check()
		require.Equal(t, 2, report.Run.Asked)
		require.Equal(t, 3, report.Run.Unasked)
		require.Equal(t, 5, report.Run.Checked)
		require.Equal(t, 4*time.Second, time.Since(w.began))
		require.Empty(t, kinds(report), "an hour is not over")
	})
}

// blind cannot read one order's line.
type blind struct {
	ports.ReconciliationSource
	order id.ID
}

func (b blind) Final(
	ctx context.Context, from, to time.Time, after product.ReconciliationPlace, n int,
) ([]product.ReconciliationEntry, error) {
	page, err := b.ReconciliationSource.Final(ctx, from, to, after, n)
	for i := range page {
		if page[i].Order.ID == b.order {
			page[i].Order.Line = line.Number{}
		}
	}
	return page, err
}

// TestAChangeMeanwhileIsNoDifference: the order was replaced while KOS was asked.
func TestAChangeMeanwhileIsNoDifference(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ended(1, time.Hour, product.Completed)
		w.kos.before = func() {
			w.kos.before = nil
			w.endedOn(2, 1, 0, product.Completed)
		}
		require.Empty(t, w.check().Differences)
	})
}

// dying loses its process at the so many-th save.
type dying struct {
	ports.ReconciliationRuns
	after int
}

var errDied = errors.New("the process was killed")

func (d *dying) Save(
	ctx context.Context, run product.ReconciliationRun, until time.Time, found ...product.Difference,
) error {
	if d.after--; d.after == 0 {
		return errDied
	}
	return d.ReconciliationRuns.Save(ctx, run, until, found...)
}

// TestACrashLosesAndRepeatsNoDifference, wherever it hits.
func TestACrashLosesAndRepeatsNoDifference(t *testing.T) {
	t.Parallel()
	for crash := 1; crash <= 6; crash++ {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			runs := &dying{ReconciliationRuns: &w.runs, after: crash}
			w.Runs = runs
			w.ended(8, 30*time.Hour, product.Parked)
			for n := 1; n <= 4; n++ {
				w.ended(n, time.Duration(10-n)*time.Hour, product.Completed)
			}
			run, err := w.Start(t.Context(), w.began.Add(-24*time.Hour), w.began)
			require.NoError(t, err)
			_, err = w.Start(t.Context(), w.began.Add(-24*time.Hour), w.began)
			require.ErrorIs(t, err, fault.New(fault.StateConflict))
			_, err = w.Step(t.Context())
			require.ErrorIs(t, err, errDied)
			n, err := w.Step(t.Context())
			require.NoError(t, err)
			require.Zero(t, n, "its lease is not over")
			time.Sleep(2 * time.Minute)
			n, err = w.Step(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, n)
			report, err := w.Report(t.Context(), run.ID)
			require.NoError(t, err)
			require.Len(t, report.Differences, 5)
			require.Len(t, w.reported, 5)
			require.Equal(t, 5, report.Run.Checked)
			require.Equal(t, 4, report.Run.Asked)
			require.LessOrEqual(t, len(w.kos.asked), 5, "one question is lost at most")
		})
	}
}

func TestALongWaitKeepsTheLeaseAndEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.ended(1, time.Hour, product.Completed)
		for range 1000 {
			w.kos.first = append(w.kos.first, product.Answer{Kind: product.AnswerNotSent, RetryAfter: time.Hour})
		}
		_, err := w.Start(t.Context(), w.began.Add(-24*time.Hour), w.began)
		require.NoError(t, err)
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		done := make(chan error)
		go func() { _, err := w.Step(ctx); done <- err }()
		for range 20 {
			time.Sleep(150 * time.Second)
			_, err := w.Runs.Claim(t.Context(), time.Now(), time.Minute)
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound), "another worker carries it on")
		}
		require.ErrorIs(t, <-done, context.DeadlineExceeded)
	})
}

// TestTheNightlyRunBeginsOnce a night, and only at night.
func TestTheNightlyRunBeginsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // at 09:00 in Seoul
		w := newWorld(t)
		begun := func() int {
			_, err := w.Step(t.Context())
			require.NoError(t, err)
			return w.ids
		}
		require.Zero(t, begun(), "off")
		w.Night = freshness.Night{From: 5 * time.Hour, To: 6 * time.Hour}
		require.Zero(t, begun(), "it is day")
		time.Sleep(20*time.Hour + time.Minute)
		require.Equal(t, 1, begun())
		require.Equal(t, 1, begun())
		report, err := w.Report(t.Context(), id.ID{})
		require.NoError(t, err)
		require.True(t, report.Run.Nightly)
		require.Equal(t, 48*time.Hour, report.Run.To.Sub(report.Run.From))
		time.Sleep(24 * time.Hour)
		require.Equal(t, 2, begun())
	})
}

func TestAWindowHasALength(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, from := range []time.Time{w.began, w.began.Add(time.Hour)} {
			_, err := w.Start(t.Context(), from, w.began.Add(2*time.Hour))
			require.ErrorIs(t, err, fault.New(fault.ValidationError))
		}
	})
}

// away fails one call.
type away struct {
	ports.ReconciliationSource
	ports.ReconciliationRuns
	call string
}

var errAway = errors.New("the database is away")

func (a away) Final(
	ctx context.Context, from, to time.Time, after product.ReconciliationPlace, n int,
) ([]product.ReconciliationEntry, error) {
	if a.call == "final" {
		return nil, errAway
	}
	return a.ReconciliationSource.Final(ctx, from, to, after, n)
}

func (a away) Entry(ctx context.Context, order id.ID) (product.ReconciliationEntry, error) {
	switch a.call {
	case "entry":
		return product.ReconciliationEntry{}, errAway
	case "gone":
		return product.ReconciliationEntry{}, fault.New(fault.ResourceNotFound)
	}
	return a.ReconciliationSource.Entry(ctx, order)
}

func (a away) Open(ctx context.Context, before time.Time, after id.ID, n int) ([]product.Order, error) {
	if a.call == "open" {
		return nil, errAway
	}
	return a.ReconciliationSource.Open(ctx, before, after, n)
}

func (a away) Claim(ctx context.Context, now time.Time, lease time.Duration) (product.ReconciliationRun, error) {
	if a.call == "claim" {
		return product.ReconciliationRun{}, errAway
	}
	return a.ReconciliationRuns.Claim(ctx, now, lease)
}

func (a away) Nightly(ctx context.Context, since time.Time) (bool, error) {
	if a.call == "nightly" {
		return false, errAway
	}
	return a.ReconciliationRuns.Nightly(ctx, since)
}

func TestAFailedRunIsCarriedOn(t *testing.T) {
	t.Parallel()
	for call, want := range map[string]error{
		"final": errAway, "entry": errAway, "open": errAway, "claim": errAway, "nightly": errAway, "gone": nil, "": nil,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.ended(1, time.Hour, product.Completed)
			w.Night = freshness.Night{From: 8 * time.Hour, To: 10 * time.Hour}
			trouble := away{w.Source, w.Runs, call}
			w.Source, w.Runs = trouble, trouble
			_, err := w.Start(t.Context(), w.began.Add(-24*time.Hour), w.began)
			require.NoError(t, err)
			_, err = w.Step(t.Context())
			require.ErrorIs(t, err, want, call)
		})
	}
}

func TestManyOrdersArePaged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for n := range 205 { // of one line: all but the last are replaced
			o := w.endedOn(n, 1, 5*time.Hour-time.Duration(n)*time.Second, product.Completed)
			if n == 204 {
				w.accepts(o)
			}
		}
		report := w.check()
		require.Empty(t, report.Differences)
		require.Equal(t, 205, report.Run.Checked)
		require.Equal(t, 1, report.Run.Asked)
	})
}

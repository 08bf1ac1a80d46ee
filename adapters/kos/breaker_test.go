package kos_test

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/adapters/kos/kossim"
	"phonebill/adapters/memory"
	"phonebill/core/fault"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

func TestDefaultsAreThoseOfTheProduct(t *testing.T) {
	t.Parallel()
	require.Equal(t, kos.BreakerPolicy{Failures: 5, Open: 30 * time.Second, Successes: 3}, kos.DefaultBreaker())
}

var twoLines = []string{"01012345678", "01087654321"}

// breakOpen fails bill calls of two lines in turn until the breaker is open.
func breakOpen(t *testing.T, l *link) {
	t.Helper()
	for i := range 5 {
		_, f := l.ask(t.Context(), t, twoLines[i%2])
		require.NotErrorIs(t, f, ports.ErrNotAsked)
	}
}

func TestBreakerOpensAndSparesQuota(t *testing.T) {
	t.Parallel()
	l, sim := simulate(t)
	require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.BillInquiry, Mode: kossim.Error}))
	breakOpen(t, l)
	for range 10 {
		_, f := l.ask(t.Context(), t, "01055554444")
		require.ErrorIs(t, f, ports.ErrNotAsked)
		require.Equal(t, fault.ServiceUnavailable, f.Code())
		require.Greater(t, f.RetryAfter(), 20*time.Second)
		require.LessOrEqual(t, f.RetryAfter(), 30*time.Second)
	}
	require.Len(t, sim.Calls(), 5)
	require.InDelta(t, 2, l.metric(t, "kos_breaker_state", "bill.inquiry"), 0)
	require.InDelta(t, 10, l.metric(t, "kos_calls_total", "bill.inquiry", "OPEN"), 0)
	require.Contains(t, l.log.String(), "operation=bill.inquiry from=closed to=open")
	_, err := l.Customer(t.Context(), read, number(t, "01012345678"))
	require.NoError(t, err, "each operation has its own")
}

func TestChangeBreakerIsNotSent(t *testing.T) {
	t.Parallel()
	l, sim := simulate(t)
	require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.ProductChange, Mode: kossim.Error}))
	for i := range 5 {
		o := order(t, twoLines[i%2], premium, standard)
		require.Equal(t, product.Answer{Kind: product.AnswerUnknown, Code: "E999"}, l.Change(t.Context(), change, o))
	}
	o := order(t, "01012345678", premium, standard)
	a := l.Change(t.Context(), change, o)
	require.Equal(t, product.AnswerNotSent, a.Kind)
	require.Equal(t, "OPEN", a.Why)
	require.Positive(t, a.RetryAfter)
	require.Equal(t, product.AnswerAbsent, l.AskStatus(t.Context(), change, o).Kind, "asking has a breaker of its own")
}

func TestOneBadLineDoesNotShutKOS(t *testing.T) {
	t.Parallel()
	l, sim := simulate(t)
	for range 20 {
		_, f := l.ask(t.Context(), t, "01012345680")
		require.Equal(t, fault.ServiceUnavailable, f.Code())
		require.NotErrorIs(t, f, ports.ErrNotAsked)
	}
	require.Len(t, sim.Calls(), 20)
	require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.BillInquiry, Mode: kossim.Error}))
	_, f := l.ask(t.Context(), t, "01012345678") // a second line fails too
	require.NotErrorIs(t, f, ports.ErrNotAsked)
	_, f = l.ask(t.Context(), t, "01012345678")
	require.ErrorIs(t, f, ports.ErrNotAsked)
}

func TestBrokenConnectionConcernsEverybody(t *testing.T) {
	t.Parallel()
	refused := connect(t, deadPort(t))
	aborted := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for _, l := range []*link{refused, aborted} {
		for range 5 {
			_, f := l.ask(t.Context(), t, "01012345678")
			require.Zero(t, f.RetryAfter())
		}
		_, f := l.ask(t.Context(), t, "01012345678")
		require.ErrorIs(t, f, ports.ErrNotAsked)
		require.Positive(t, f.RetryAfter(), "open, after one line")
	}
	plans := serve(t, says(500, ""))
	for range 6 {
		_, err := plans.Plans(t.Context(), read)
		require.Error(t, err)
	}
	require.EqualValues(t, 5, plans.requests.Load(), "the plan list has no line")
}

func TestSuccessAndBusinessAnswersBreakTheRow(t *testing.T) {
	t.Parallel()
	l, sim := simulate(t)
	for _, good := range []string{"01012345678", "01012345679", "01012340000"} {
		require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.BillInquiry, Mode: kossim.Error, Times: 4}))
		for i := range 4 {
			_, f := l.ask(t.Context(), t, twoLines[i%2])
			require.NotErrorIs(t, f, ports.ErrNotAsked)
		}
		_, err := l.Bill(t.Context(), billed, number(t, good), month(t, "2026-11"))
		require.NotErrorIs(t, err, ports.ErrNotAsked)
	}
	require.Zero(t, l.metric(t, "kos_breaker_state", "bill.inquiry"))
}

func TestOverQuotaAndOurBugsDoNotCount(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"E400", "E429"} {
		l := serve(t, says(400, envelope(t, code, nil)))
		for i := range 10 {
			_, f := l.ask(t.Context(), t, twoLines[i%2])
			require.NotErrorIs(t, f, ports.ErrNotAsked)
		}
		require.EqualValues(t, 10, l.requests.Load())
	}
}

// TestHalfOpen runs in virtual time on a pipe: 30 s open, probes, open again after one failure, closed after three
// successes.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var healthy atomic.Bool
		var requests atomic.Int64
		l := pipe(t, func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			if healthy.Load() {
				says(200, envelope(t, "E002", nil))(w, r)
				return
			}
			says(500, "")(w, r)
		})
		breakOpen(t, l)
		_, f := l.ask(t.Context(), t, "01012345678")
		require.Equal(t, 30*time.Second, f.RetryAfter())

		time.Sleep(12 * time.Second)
		_, f = l.ask(t.Context(), t, "01012345678")
		require.Equal(t, 18*time.Second, f.RetryAfter())
		require.EqualValues(t, 5, requests.Load())

		time.Sleep(18*time.Second + time.Millisecond)
		refusedFor(t, l, time.Second)
		probe(t, l, 1)
		require.EqualValues(t, 6, requests.Load())
		refusedFor(t, l, 30*time.Second)

		healthy.Store(true)
		time.Sleep(30*time.Second + time.Millisecond)
		for range 3 {
			require.NotZero(t, l.metric(t, "kos_breaker_state", "bill.inquiry"))
			refusedFor(t, l, time.Second)
			probe(t, l, 1)
		}
		require.Zero(t, l.metric(t, "kos_breaker_state", "bill.inquiry"), "closed again")
		_, f = l.ask(t.Context(), t, "01012345678")
		require.Equal(t, fault.BillNotFound, f.Code())
	})
}

// refusedFor asks for a bill that the breaker does not let pass.
func refusedFor(t *testing.T, l *link, want time.Duration) {
	t.Helper()
	_, f := l.ask(t.Context(), t, "01012345678")
	require.ErrorIs(t, f, ports.ErrNotAsked)
	require.Equal(t, want, f.RetryAfter())
}

// probe probes once and checks how many operations needed it.
func probe(t *testing.T, l *link, want int) {
	t.Helper()
	made, err := l.Probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, made)
}

// TestHalfOpenLetsFewPass: three probes may be out at a time, and no other call.
func TestHalfOpenLetsFewPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var requests atomic.Int64
		l := pipe(t, func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) > 5 {
				time.Sleep(time.Second)
			}
			says(500, "")(w, r)
		})
		breakOpen(t, l)
		time.Sleep(31 * time.Second)
		for range 10 {
			go func() { _, _ = l.Probe(t.Context()) }()
		}
		synctest.Wait()
		require.LessOrEqual(t, requests.Load(), int64(5+3))
		refusedFor(t, l, time.Second)
		time.Sleep(2 * time.Second)
	})
}

// TestOneBadLineDoesNotKeepABreakerOpen: KOS is back, but for one line whose customer presses reload every second (KOS
// fails on it always).
func TestOneBadLineDoesNotKeepABreakerOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var well atomic.Bool
		sim, err := kossim.New(
			kossim.Options{Tokens: []string{token}, Clock: time.Now, Delays: &kossim.Delays{}, QuotaPerMinute: kossim.NoQuota},
		)
		require.NoError(t, err)
		defer func() { require.NoError(t, sim.Close()) }()
		l := pipe(t, func(w http.ResponseWriter, r *http.Request) {
			if !well.Load() {
				says(500, "")(w, r)
				return
			}
			sim.Handler().ServeHTTP(w, r)
		})
		breakOpen(t, l)
		well.Store(true)
		back := time.Now()
		for l.metric(t, "kos_breaker_state", "bill.inquiry") != 0 {
			require.Less(t, time.Since(back), time.Minute)
			_, f := l.ask(t.Context(), t, "01012345680")
			require.Equal(t, fault.ServiceUnavailable, f.Code())
			time.Sleep(500 * time.Millisecond)
			_, _ = l.Probe(t.Context())
			time.Sleep(500 * time.Millisecond)
		}
		require.LessOrEqual(t, time.Since(back), 34*time.Second)
	})
}

// TestProbesThatSayNothingRest: a KOS that rejects our rate or our credential is not probed every second; one that
// rejects the probe's impossible line number is healthy.
func TestProbesThatSayNothingRest(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]struct {
		probes int64
		state  operations.BreakerState
	}{
		"E400": {3, operations.Closed},
		"E429": {13, operations.HalfOpen}, // after 2, 4, 8, 16 and then every 30 s
		"401":  {13, operations.HalfOpen},
	} {
		synctest.Test(t, func(t *testing.T) {
			var down atomic.Bool
			var requests atomic.Int64
			down.Store(true)
			l := pipe(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				switch {
				case down.Load():
					says(500, "")(w, r)
				case code == "401":
					says(401, "")(w, r)
				default:
					says(200, envelope(t, code, nil))(w, r)
				}
			})
			breakOpen(t, l)
			down.Store(false)
			time.Sleep(31 * time.Second)
			for range 300 {
				_, err := l.Probe(t.Context())
				require.NoError(t, err)
				time.Sleep(time.Second)
			}
			require.Equal(t, want.state, l.Breakers()[0].State, code)
			require.InDelta(t, want.probes, requests.Load()-5, 1, code)
			if code == "E400" {
				require.NotContains(t, l.raised(), "kos_refuses_us bill.inquiry", "no bug of ours")
			}
		})
	}
}

func TestSharedRegistererSharesMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	shared := func(_ *kos.Config, d *kos.Deps) { d.Metrics = registry }
	one, _ := simulate(t, shared)
	two, _ := simulate(t, shared)
	for _, l := range []*link{one, two} {
		_, _ = l.ask(t.Context(), t, "01012345678")
		l.metrics = registry
	}
	require.InDelta(t, 2, one.metric(t, "kos_calls_total", "bill.inquiry", "0000"), 0)

	other := prometheus.NewRegistry()
	other.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "kos_calls_total", Help: "somebody else's"}))
	_, err := kos.New(kos.Config{URL: "http://kos.test", Keys: keys(t, token)}, kos.Deps{Metrics: other})
	require.Error(t, err)
	other.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "kos_breaker_state", Help: "somebody else's"}))
	log := &logged{}
	require.NotNil(t, kos.NewBreakers(nil, slog.New(slog.NewTextHandler(log, nil)), &memory.Alerts{}, other))
	require.Contains(t, log.String(), "not exported")
}

// TestE429ShrinksTheBudget: KOS counts otherwise than we do, and KOS is right (ADR 20).
func TestE429ShrinksTheBudget(t *testing.T) {
	t.Parallel()
	l := serve(t, says(429, envelope(t, "E429", nil)))
	l.quota.Window = quota.Window{Budget: 8, Per: time.Minute}
	for range 20 {
		_, _ = l.ask(t.Context(), t, twoLines[0])
	}
	require.EqualValues(
		t,
		3,
		l.requests.Load(),
		"6, 4 and 3 calls of the 8 are left after the first, second and third refusal",
	)
	require.Contains(t, l.log.String(), "the budget shrinks")
}

// TestLanes: each use of KOS spends of its own lane.
func TestLanes(t *testing.T) {
	t.Parallel()
	l, _ := simulate(t)
	line := number(t, twoLines[0])
	_, _ = l.ask(t.Context(), t, twoLines[0])
	_, err := l.Customer(t.Context(), ports.Call{Lane: quota.Refresh}, line)
	require.NoError(t, err)
	_, err = l.Plans(t.Context(), ports.Call{Lane: quota.Prefetch})
	require.NoError(t, err)
	_, err = l.Plans(t.Context(), ports.Call{Lane: quota.Prefetch})
	require.NoError(t, err)
	l.AskStatus(t.Context(), change, product.Order{Line: line})
	l.AskStatus(t.Context(), ports.Call{Lane: quota.Prefetch}, product.Order{Line: line})
	_, err = l.Customer(t.Context(), ports.Call{Lane: quota.Prefetch}, line)
	require.NoError(t, err)
	require.Equal(t, quota.Shares{quota.Change: 1, quota.Read: 1, quota.Refresh: 1, quota.Prefetch: 4}, l.quota.Spent())
}

// TestBreakersCloseByThemselves: without a customer, within 30 s of KOS's recovery and the open period's end; and a
// probe changes nothing.
func TestBreakersCloseByThemselves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim, err := kossim.New(kossim.Options{Tokens: []string{token}, Clock: time.Now, Delays: &kossim.Delays{}})
		require.NoError(t, err)
		defer func() { require.NoError(t, sim.Close()) }()
		var healthy atomic.Bool
		l := pipe(t, func(w http.ResponseWriter, r *http.Request) {
			if healthy.Load() {
				sim.Handler().ServeHTTP(w, r)
				return
			}
			says(500, "")(w, r)
		})
		probe := func() int {
			made, err := l.Probe(t.Context())
			require.NoError(t, err)
			return made
		}
		require.Zero(t, probe(), "nothing is open")
		for i := range 6 {
			n := number(t, twoLines[i%2])
			_, _ = l.Bill(t.Context(), billed, n, month(t, "2026-11"))
			_, _ = l.Months(t.Context(), read, n)
			_, _ = l.Customer(t.Context(), read, n)
			_, _ = l.Plans(t.Context(), read)
			o := order(t, twoLines[i%2], "LTE-PREMIUM-001", "5G-STANDARD-001")
			l.Change(t.Context(), change, o)
			l.AskStatus(t.Context(), change, o)
		}
		require.Zero(t, probe(), "open: KOS is left alone")
		time.Sleep(31 * time.Second)
		require.Equal(t, 6, probe())
		require.Zero(t, probe(), "the probes failed")
		healthy.Store(true)
		seconds := 0
		for closed := false; !closed; seconds++ {
			time.Sleep(time.Second)
			probe()
			closed = true
			for _, op := range []string{"bill.inquiry", "bill.months", "customer.get", "products.list", "product.change",
				"product.change.status"} {
				closed = closed && l.metric(t, "kos_breaker_state", op) == 0
			}
			require.LessOrEqual(t, seconds, 60)
		}
		require.LessOrEqual(t, seconds, 34, "30 s open and three probes")
		require.Empty(t, sim.Ledger())
	})
}

// TestHalfOpenUnderACrowd: of 50 callers who ask all the time none passes, and exactly three probes close the breaker.
func TestHalfOpenUnderACrowd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var requests atomic.Int64
		l := pipe(t, func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) <= 5 {
				says(500, "")(w, r)
				return
			}
			time.Sleep(time.Second)
			says(200, envelope(t, "E002", nil))(w, r)
		})
		breakOpen(t, l)
		time.Sleep(31 * time.Second)
		before := requests.Load()
		half := func() bool { return l.metric(t, "kos_breaker_state", "bill.inquiry") != 0 }
		for half() {
			for i := range 50 {
				go func() { _, _ = l.Bill(t.Context(), billed, number(t, twoLines[i%2]), month(t, "2026-11")) }()
			}
			synctest.Wait()
			if half() {
				require.LessOrEqual(t, requests.Load()-before, int64(3))
				probe(t, l, 1)
			}
		}
		require.EqualValues(t, 3, requests.Load()-before)
	})
}

// TestBusinessRefusalsNeverOpenABreaker: however many of the answers are refusals.
func TestBusinessRefusalsNeverOpenABreaker(t *testing.T) {
	t.Parallel()
	l, sim := simulate(t)
	for i := range 100 {
		// four of five are refused
		line := []string{"01012340000", "01012345679", "01012345679", "01012340000", "01012345678"}[i%5]
		_, _ = l.ask(t.Context(), t, line)
	}
	require.Len(t, sim.Calls(), 100, "none was held back")
	require.Zero(t, l.metric(t, "kos_breaker_state", "bill.inquiry"))
}

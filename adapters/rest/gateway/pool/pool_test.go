package pool_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/gateway/pool"
	"phonebill/adapters/rest/middleware"
	"phonebill/core/upstream"
)

// eventTimeout bounds the wait for an event; none is expected to take so long.
const eventTimeout = 30 * time.Second

// backend is one instance of a service. It can be killed, hung as by SIGSTOP (its connections stay, nobody answers),
// made to drain, and started again at the same address.
type backend struct {
	addr     string
	draining atomic.Bool
	causes   atomic.Pointer[string] // what its health check states as X-Degradation
	mu       sync.Mutex
	seen     map[string]int // by the id that each request has
	served   atomic.Int64
	srv      *http.Server
	hang     atomic.Pointer[chan struct{}] // nil: it answers
	answer   http.HandlerFunc              // of requests beside probes; nil for an empty 200
}

func newBackend(t *testing.T, answer http.HandlerFunc) *backend {
	t.Helper()
	b := &backend{seen: map[string]int{}, answer: answer, addr: "127.0.0.1:0"}
	b.start(t)
	t.Cleanup(func() { b.resume(); b.kill() })
	return b
}

func (b *backend) start(t *testing.T) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", b.addr)
	require.NoError(t, err)
	b.addr = ln.Addr().String()
	srv := &http.Server{Handler: b, ReadHeaderTimeout: time.Minute}
	b.srv = srv
	go func() { _ = srv.Serve(ln) }()
}

// kill breaks all connections off and refuses new ones.
func (b *backend) kill() { _ = b.srv.Close() }

func (b *backend) stop() {
	stopped := make(chan struct{})
	b.hang.Store(&stopped)
}

func (b *backend) resume() {
	if stopped := b.hang.Swap(nil); stopped != nil {
		close(*stopped)
	}
}

func (b *backend) url() string { return "http://" + b.addr }

// ServeHTTP counts a request when it arrives, and a stopped instance answers it when it goes on.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if id := r.Header.Get("Id"); id != "" {
		b.mu.Lock()
		b.seen[id]++
		b.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, r.Body)
	if stopped := b.hang.Load(); stopped != nil {
		select {
		case <-*stopped:
		case <-r.Context().Done():
			return
		}
	}
	if r.URL.Path == "/readyz" {
		if causes := b.causes.Load(); causes != nil {
			w.Header().Set("X-Degradation", *causes)
		}
		if b.draining.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return
	}
	b.served.Add(1)
	if b.answer != nil {
		b.answer(w, r)
	}
}

func (b *backend) count(id string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[id]
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// open returns a pool of the backends; it runs when run is set.
func open(t *testing.T, run bool, change func(*pool.Config), backends ...*backend) *pool.Pool {
	t.Helper()
	p, _ := openCounted(t, run, change, backends...)
	return p
}

func openCounted(
	t *testing.T, run bool, change func(*pool.Config), backends ...*backend,
) (*pool.Pool, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	metrics, err := pool.NewMetrics(registry)
	require.NoError(t, err)
	c := pool.Default()
	c.Service, c.Metrics, c.Random, c.Log, c.Now = "bill", metrics, rand.Float64, silent(), time.Now
	c.ProbeEvery, c.ProbeAgain, c.ProbeTimeout = 100*time.Millisecond, 20*time.Millisecond, 400*time.Millisecond
	c.HedgeAfter = 200 * time.Millisecond
	var origins []string
	for _, b := range backends {
		origins = append(origins, b.url())
	}
	if len(origins) > 0 {
		c.Targets, err = pool.ParseTargets(origins)
		require.NoError(t, err)
	}
	if change != nil {
		change(&c)
	}
	p := pool.New(t.Context(), c)
	if run {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-done })
	}
	return p, registry
}

// metric returns the value of a counter or gauge, summed over the series that have all the labels.
func metric(t *testing.T, registry *prometheus.Registry, name string, labels ...string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			text := fmt.Sprint(m.GetLabel())
			matches := true
			for _, l := range labels {
				matches = matches && strings.Contains(text, `"`+l+`"`)
			}
			if matches {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

var ids atomic.Int64

// send sends one request through the pool as the gateway does, within its time, and returns its id.
func send(t *testing.T, p *pool.Pool, method string, within time.Duration) (id string, res *http.Response, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	id = fmt.Sprint(ids.Add(1))
	req := request(ctx, t, method, id)
	if res, err = p.RoundTrip(req); err == nil {
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	return id, res, err
}

func request(ctx context.Context, t *testing.T, method, id string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "http://bill/api/v1/bills/menu", http.NoBody)
	require.NoError(t, err)
	if method == http.MethodPost {
		const body = `{"lineNumber":"010-1234-5678"}`
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		req.Body, _ = req.GetBody()
		req.ContentLength = int64(len(body))
	}
	req.Header.Set("Id", id)
	req.Header.Set("Idempotency-Key", "key-"+id)
	pool.HideKey(req.Header)
	pool.SetTimeout(ctx, req.Header, time.Now())
	return req
}

func state(p *pool.Pool, b *backend) upstream.State {
	for _, i := range p.Snapshot().Instances {
		if i.Address == b.addr {
			return i.State
		}
	}
	return ""
}

func eventually(t *testing.T, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, eventTimeout, 5*time.Millisecond, what)
}

// load is many clients that send requests until they are stopped; most read, some change things.
type load struct {
	stop                                   context.CancelFunc
	clients                                sync.WaitGroup
	reads, failedReads, changes, unchanged atomic.Int64
	mu                                     sync.Mutex
	sent                                   map[string]bool // changes by id; true: answered
	errs                                   []error
}

func start(t *testing.T, p *pool.Pool, clients int) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{stop: cancel, sent: map[string]bool{}}
	for n := range clients {
		l.clients.Go(func() {
			for i := n; ctx.Err() == nil; i++ {
				if i%8 != 0 {
					l.reads.Add(1)
					if _, res, err := send(t, p, http.MethodGet, middleware.GatewayDeadline); err != nil ||
						res.StatusCode != http.StatusOK {
						l.failedReads.Add(1)
						l.mu.Lock()
						l.errs = append(l.errs, err)
						l.mu.Unlock()
					}
					continue
				}
				l.changes.Add(1)
				id, _, err := send(t, p, http.MethodPost, middleware.GatewayDeadline)
				if err != nil {
					l.unchanged.Add(1)
				}
				l.mu.Lock()
				l.sent[id] = err == nil
				l.mu.Unlock()
			}
		})
	}
	return l
}

// end stops the clients and checks that no read failed and that no change was received twice, nor by nobody when it was
// answered.
func (l *load) end(t *testing.T, backends ...*backend) {
	t.Helper()
	l.stop()
	l.clients.Wait()
	t.Logf("%d reads, %d failed; %d changes, %d without an answer", l.reads.Load(), l.failedReads.Load(),
		l.changes.Load(), l.unchanged.Load())
	require.Zero(t, l.failedReads.Load(), "%v", l.errs)
	for id, answered := range l.sent {
		received := 0
		for _, b := range backends {
			received += b.count(id)
		}
		if received > 1 || answered && received == 0 {
			require.FailNow(t, "a change", "received %d times, answered: %v", received, answered)
		}
	}
}

// more waits for so many more requests that an instance answers.
func (b *backend) more(t *testing.T, n int64) {
	t.Helper()
	from := b.served.Load()
	eventually(t, func() bool { return b.served.Load() >= from+n }, "it gets requests")
}

func quickSlowStart(c *pool.Config) { c.Instance.SlowStart = 200 * time.Millisecond }

func TestAnInstanceIsKilledUnderLoadAndStartedAgain(t *testing.T) {
	t.Parallel()
	a, b := newBackend(t, nil), newBackend(t, nil)
	p := open(t, true, quickSlowStart, a, b)
	l := start(t, p, 16)
	a.more(t, 200)
	b.kill()
	eventually(t, func() bool { return state(p, b) == upstream.Away }, "its death is noticed")
	a.more(t, 200)
	b.start(t)
	eventually(t, func() bool { return state(p, b) == upstream.Up }, "it is back by itself")
	b.more(t, 200)
	l.end(t, a, b)
}

func TestAnInstanceHangsUnderLoadAndGoesOn(t *testing.T) {
	t.Parallel()
	a, b := newBackend(t, nil), newBackend(t, nil)
	p := open(t, true, quickSlowStart, a, b)
	l := start(t, p, 16)
	a.more(t, 200)
	b.stop()
	eventually(t, func() bool { return state(p, b) == upstream.Away }, "its silence is noticed")
	a.more(t, 500)
	b.resume()
	eventually(t, func() bool { return state(p, b) == upstream.Up }, "it is back by itself")
	b.more(t, 200)
	l.end(t, a, b)
}

func TestADrainingInstanceGetsNothingNew(t *testing.T) {
	t.Parallel()
	a, b := newBackend(t, nil), newBackend(t, nil)
	p := open(t, true, quickSlowStart, a, b)
	l := start(t, p, 16)
	b.more(t, 100)
	b.draining.Store(true)
	eventually(t, func() bool { return state(p, b) == upstream.Refusing }, "it says so")
	eventually(t, func() bool {
		for _, i := range p.Snapshot().Instances {
			if i.Address == b.addr {
				return i.InFlight == 0
			}
		}
		return false
	}, "what was under way is answered")
	served := b.served.Load()
	a.more(t, 300)
	require.Equal(t, served, b.served.Load())
	b.kill()
	a.more(t, 100)
	l.end(t, a, b)
	require.Zero(t, l.unchanged.Load(), "an instance that drains first costs nobody anything")
}

// TestAChangeThatMayHaveLeftIsSentOnce: an instance that takes it and breaks off, and one that never answers; the
// error says which.
// TestWhatAnyInstanceGoesOnWithout: also one that is not ready states it; one that is down states nothing.
func TestWhatAnyInstanceGoesOnWithout(t *testing.T) {
	t.Parallel()
	one, two := newBackend(t, nil), newBackend(t, nil)
	p := open(t, true, nil, one, two)
	becomes := func(want string) {
		eventually(t, func() bool { return p.Causes().String() == want }, "the causes are "+want)
	}
	kos, database, nothing := "KOS_AWAY", "DATABASE_AWAY, NEBULA", ""
	one.causes.Store(&kos)
	becomes("KOS_AWAY")
	two.causes.Store(&database)
	two.draining.Store(true)
	becomes("DATABASE_AWAY, KOS_AWAY")
	one.causes.Store(&nothing)
	becomes("DATABASE_AWAY")
	two.kill()
	becomes("")
}

func TestAChangeThatMayHaveLeftIsSentOnce(t *testing.T) {
	t.Parallel()
	breaks := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	a, b := newBackend(t, breaks), newBackend(t, breaks)
	p := open(t, false, nil, a, b)
	for range 3 { // the later ones on other instances, none on a connection that was used before
		id, _, err := send(t, p, http.MethodPost, time.Minute)
		var unanswered *pool.UnansweredError
		require.ErrorAs(t, err, &unanswered)
		require.True(t, unanswered.MayHaveLeft)
		require.False(t, unanswered.Late)
		require.Equal(t, 1, a.count(id)+b.count(id))
	}
	c := newBackend(t, nil)
	c.stop()
	p = open(t, false, nil, c)
	id, _, err := send(t, p, http.MethodPost, 100*time.Millisecond)
	var unanswered *pool.UnansweredError
	require.ErrorAs(t, err, &unanswered)
	require.True(t, unanswered.MayHaveLeft && unanswered.Late)
	require.Equal(t, 1, c.count(id))
}

// TestAChangeOnAUsedConnectionIsSentOnce: net/http would send it again, since it has an idempotency key, when a
// connection that was used before breaks.
func TestAChangeOnAUsedConnectionIsSentOnce(t *testing.T) {
	t.Parallel()
	var breaks atomic.Bool
	a := newBackend(t, func(http.ResponseWriter, *http.Request) {
		if breaks.Load() {
			panic(http.ErrAbortHandler)
		}
	})
	p := open(t, false, nil, a)
	for _, body := range []bool{true, false} {
		breaks.Store(false)
		_, _, err := send(t, p, http.MethodGet, time.Minute)
		require.NoError(t, err)
		breaks.Store(true)
		id := fmt.Sprint(ids.Add(1))
		req := request(t.Context(), t, http.MethodPost, id)
		if !body {
			req.Body, req.GetBody, req.ContentLength = nil, nil, 0
		}
		_, err = p.RoundTrip(req)
		require.Error(t, err)
		require.Equal(t, 1, a.count(id))
	}
}

// TestTheKeyArrives although net/http does not see it.
func TestTheKeyArrives(t *testing.T) {
	t.Parallel()
	var key atomic.Value
	a := newBackend(t, func(_ http.ResponseWriter, r *http.Request) { key.Store(r.Header.Get("Idempotency-Key")) })
	id, _, err := send(t, open(t, false, nil, a), http.MethodPost, time.Minute)
	require.NoError(t, err)
	require.Equal(t, "key-"+id, key.Load())
}

func TestWhatReachedNobodyIsSentToAnother(t *testing.T) {
	t.Parallel()
	a, b := newBackend(t, nil), newBackend(t, nil)
	a.kill()
	p, registry := openCounted(t, false, nil, a, b)
	for range 20 {
		id, _, err := send(t, p, http.MethodPost, time.Minute)
		require.NoError(t, err)
		require.Equal(t, 1, b.count(id))
	}
	require.Positive(t, metric(t, registry, "gateway_upstream_repeats_total", "repeated"))
	require.InDelta(t, 1, metric(t, registry, "gateway_upstream_ejections_total", a.addr), 0)
	require.Equal(t, upstream.EjectedUp, state(p, a), "5 failures in a row")
	require.InDelta(t, 1, metric(t, registry, "gateway_upstream_instances", "ejected"), 0)
}

func TestTheLastInstanceIsNeverEjected(t *testing.T) {
	t.Parallel()
	a, b := newBackend(t, nil), newBackend(t, nil)
	a.kill()
	b.kill()
	p := open(t, false, func(c *pool.Config) { c.Breaker.Failures = 1000 }, a, b)
	for range 40 {
		_, _, err := send(t, p, http.MethodGet, time.Minute)
		require.Error(t, err)
	}
	require.ElementsMatch(t, []upstream.State{upstream.Up, upstream.EjectedUp}, []upstream.State{state(p, a), state(p, b)})
}

// TestTheBudgetOfRepetitionsHolds when one of two instances fails all the time and is never ejected.
func TestTheBudgetOfRepetitionsHolds(t *testing.T) {
	t.Parallel()
	const requests = 600
	a := newBackend(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	b := newBackend(t, nil)
	p, registry := openCounted(t, false, func(c *pool.Config) { c.Instance.Ejecting = 1 << 30 }, a, b)
	failed := 0
	for range requests {
		if _, _, err := send(t, p, http.MethodGet, time.Minute); err != nil {
			failed++
		}
	}
	budget := upstream.DefaultBudget()
	most := budget.Reserve + requests*budget.Percent/100
	repeated := metric(t, registry, "gateway_upstream_repeats_total", "repeated") +
		metric(t, registry, "gateway_upstream_repeats_total", "hedged") // on a busy machine
	t.Logf("%d requests, %v repeated, %d failed", requests, repeated, failed)
	require.LessOrEqual(t, repeated, float64(most))
	require.Positive(t, failed, "beyond the budget nothing is repeated")
	require.Equal(t, a.served.Load()+b.served.Load(), int64(requests)+int64(repeated))
}

// TestTheServicesOwn503IsAnAnswer: it says when to come again. What comes without that is of something in between.
func TestTheServicesOwn503IsAnAnswer(t *testing.T) {
	t.Parallel()
	busy := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	p, registry := openCounted(t, false, nil, busy)
	for range 10 {
		_, res, err := send(t, p, http.MethodGet, time.Minute)
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	}
	require.InDelta(t, 10, metric(t, registry, "gateway_upstream_requests_total", "answered"), 0)
	require.False(t, p.Snapshot().Breaker.Open)
}

func TestTheBreakerOpensAndClosesByItself(t *testing.T) {
	t.Parallel()
	a := newBackend(t, nil)
	a.kill()
	p := open(t, false, func(c *pool.Config) { c.Breaker.Open = 50 * time.Millisecond }, a)
	admit := func() error {
		done, err := p.Admit(t.Context(), upstream.Read, false)
		if err == nil {
			_, _, err = send(t, p, http.MethodGet, time.Minute)
			done()
		}
		return err
	}
	for range 5 {
		require.Error(t, admit())
	}
	seen := p.Snapshot()
	require.True(t, seen.Breaker.Open)
	require.Equal(t, 5, seen.Breaker.Failures)
	require.False(t, seen.Breaker.RetryAt.IsZero())
	require.Equal(t, 5, seen.Instances[0].Failures, "the last one is not ejected")
	require.Equal(t, upstream.Up, seen.Instances[0].State)
	require.Zero(t, seen.InFlight)
	a.start(t)
	eventually(t, func() bool {
		err := admit()
		var unanswered *pool.UnansweredError
		require.True(t, err == nil || assertAs(err, &unanswered) && unanswered.RetryIn > 0)
		return err == nil
	}, "it closes")
	closed := p.Snapshot().Breaker
	require.Equal(t, pool.BreakerState{Since: closed.Since}, closed)
	require.False(t, closed.Since.Before(seen.Breaker.Since))
	require.NoError(t, admit())
}

func assertAs(err error, target **pool.UnansweredError) bool {
	u, ok := err.(*pool.UnansweredError) //nolint:errorlint // the pool's own error, unwrapped
	*target = u
	return ok
}

// TestASlowReadIsAskedForTwice and the answer that comes first counts; a long poll is not.
func TestASlowReadIsAskedForTwice(t *testing.T) {
	t.Parallel()
	a, b := newBackend(t, nil), newBackend(t, nil)
	a.stop()
	p, registry := openCounted(t, false, nil, a, b)
	for range 30 {
		_, _, err := send(t, p, http.MethodGet, time.Minute)
		require.NoError(t, err)
	}
	require.Positive(t, metric(t, registry, "gateway_upstream_repeats_total", "hedged"))
	eventually(t, func() bool {
		for _, i := range p.Snapshot().Instances {
			if i.InFlight > 0 {
				return false
			}
		}
		return true
	}, "what was not waited for is given up")
}

// TestALongPollLeavesAnInstanceThatDies while it waits there.
func TestALongPollLeavesAnInstanceThatDies(t *testing.T) {
	t.Parallel()
	a, b := newBackend(t, nil), newBackend(t, nil)
	a.stop()
	b.stop()
	p := open(t, true, func(c *pool.Config) { c.ProbeTimeout = time.Hour }, a, b)
	answered := make(chan error, 1)
	go func() {
		req := request(t.Context(), t, http.MethodGet, "poll")
		req.URL.RawQuery = "wait=25"
		res, err := p.RoundTrip(req)
		if err == nil {
			err = res.Body.Close()
		}
		answered <- err
	}()
	eventually(t, func() bool { return a.count("poll")+b.count("poll") == 1 }, "it waits")
	first, other := a, b
	if b.count("poll") == 1 {
		first, other = b, a
	}
	other.resume()
	first.kill()
	require.NoError(t, <-answered)
	require.Equal(t, 1, other.count("poll"))
}

// TestAnAnswerThatBreaksOffIsAskedForAgain, so that the client sees one whole answer.
func TestAnAnswerThatBreaksOffIsAskedForAgain(t *testing.T) {
	t.Parallel()
	whole := strings.Repeat("x", 10_000)
	a := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10000")
		_, _ = io.WriteString(w, whole[:5000])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, whole) })
	p := open(t, false, nil, a, b)
	for range 20 {
		res, err := p.RoundTrip(request(t.Context(), t, http.MethodGet, "r"))
		require.NoError(t, err)
		got, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, whole, string(got))
		require.Equal(t, int64(len(whole)), res.ContentLength)
	}
	require.Positive(t, a.served.Load())
}

// TestALongAnswerIsPassedOn as it comes.
func TestALongAnswerIsPassedOn(t *testing.T) {
	t.Parallel()
	whole := strings.Repeat("0123456789", 20_000)
	write := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, whole) }
	a, b := newBackend(t, write), newBackend(t, write)
	p := open(t, false, nil, a, b)
	for range 5 {
		res, err := p.RoundTrip(request(t.Context(), t, http.MethodGet, "r"))
		require.NoError(t, err)
		got, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.True(t, whole == string(got), "%d bytes", len(got))
	}
	for _, i := range p.Snapshot().Instances {
		require.Zero(t, i.InFlight)
	}
}

// TestAClientThatLeavesIsNoFailure of the instance.
func TestAClientThatLeavesIsNoFailure(t *testing.T) {
	t.Parallel()
	a := newBackend(t, nil)
	a.stop()
	p, registry := openCounted(t, false, nil, a)
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := p.RoundTrip(request(ctx, t, http.MethodGet, "left"))
		gone <- err
	}()
	eventually(t, func() bool { return a.count("left") == 1 }, "it is asked")
	leave()
	require.ErrorIs(t, <-gone, context.Canceled)
	require.InDelta(t, 1, metric(t, registry, "gateway_upstream_requests_total", "abandoned"), 0)
	require.Zero(t, metric(t, registry, "gateway_upstream_requests_total", "failed"))
}

// TestTheTimeThatIsLeftIsPassedOn, less with a repetition.
func TestTheTimeThatIsLeftIsPassedOn(t *testing.T) {
	t.Parallel()
	var said atomic.Value
	a := newBackend(t, func(_ http.ResponseWriter, r *http.Request) { said.Store(r.Header.Get(middleware.TimeoutHeader)) })
	_, _, err := send(t, open(t, false, nil, a), http.MethodGet, middleware.GatewayDeadline)
	require.NoError(t, err)
	require.Regexp(t, `^2[78]\d\d$`, said.Load())
	h := http.Header{middleware.TimeoutHeader: {"from outside"}}
	pool.SetTimeout(t.Context(), h, time.Now())
	require.Empty(t, h, "no end, no header")
}

func TestNobodyIsKnown(t *testing.T) {
	t.Parallel()
	_, _, err := send(t, open(t, false, nil), http.MethodGet, time.Minute)
	require.ErrorContains(t, err, "no instance is known")
}

func TestARegistryIsUsedOnce(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	_, err := pool.NewMetrics(registry)
	require.NoError(t, err)
	_, err = pool.NewMetrics(registry)
	require.ErrorContains(t, err, "pool: ")
}

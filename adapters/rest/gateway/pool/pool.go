// Package pool sends the gateway's requests to the instances of one service: it finds them, checks their health,
// chooses one for each request, repeats what may be repeated at another, and refuses at once what no instance can
// answer. The rules are those of core/upstream; what an operator should know is in docs/upstreams.md. Begin with Pool
// (pool.go).
package pool

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"phonebill/adapters/internal/targets"
	"phonebill/core/upstream"
	"phonebill/ports"
)

// Target is where instances of a service are.
type Target = targets.Target

// Resolver looks names up.
type Resolver = targets.Resolver

// ParseTargets reads a list of targets (targets.Parse).
func ParseTargets(list []string) ([]Target, error) {
	all, err := targets.Parse(list)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the target
	}
	return all, nil
}

// Config is the configuration of a pool; Default has everything but what differs from service to service.
type Config struct {
	Service  string // its name in logs and metrics
	Targets  []Target
	Instance upstream.Policy
	Retries  upstream.Budget
	Breaker  upstream.BreakerPolicy
	Load     upstream.LoadPolicy

	ProbeEvery   time.Duration // between two health checks of an instance
	ProbeAgain   time.Duration // after a failed one
	ProbeTimeout time.Duration
	LookupEvery  time.Duration // between two look-ups of names
	HedgeAfter   time.Duration // a read that has no answer by then is sent to another instance as well
	DialTimeout  time.Duration

	// DialTLS connects to an address as the server of that name; nil for the system's roots.
	DialTLS  func(ctx context.Context, network, address, name string) (net.Conn, error)
	Resolver Resolver
	Log      *slog.Logger
	Now      ports.Clock
	Random   ports.Random
	Metrics  *Metrics
}

// Default returns the numbers of phonebill (docs/spec/numbers.md).
func Default() Config {
	return Config{
		Instance: upstream.Default(), Retries: upstream.DefaultBudget(), Breaker: upstream.DefaultBreaker(),
		Load: upstream.DefaultLoad(), ProbeEvery: time.Second, ProbeAgain: 100 * time.Millisecond,
		ProbeTimeout: time.Second, LookupEvery: 5 * time.Second, HedgeAfter: time.Second, DialTimeout: time.Second,
	}
}

// Pool is the instances of one service. It implements http.RoundTripper: the scheme and host of a request's URL are
// replaced by those of the instance. It is safe for concurrent use.
type Pool struct {
	c       Config
	metrics *Metrics
	load    *limiter
	finder  *targets.Finder
	savings atomic.Int64 // upstream.Savings
	quiet   atomic.Bool  // breaker.Quiet(), to be read without the lock
	now     atomic.Pointer[selection]

	mu      sync.Mutex
	breaker upstream.Breaker
	since   time.Time // of the breaker's state
	all     []*instance
	spawn   func(*instance) // starts the health checks of an instance; nil before Run
}

// selection is who is asked now. It is not changed, only replaced.
type selection struct {
	use   []candidate // one of these is chosen
	spare []*instance // asked only to repeat what all of those failed to answer
	state upstream.State
}

type candidate struct {
	*instance
	weight float64
}

// New returns a pool that knows the instances of its targets. A name that cannot be looked up is no error: Run looks it
// up again. Without Run nothing is probed.
func New(ctx context.Context, c Config) *Pool {
	p := &Pool{c: c, metrics: c.Metrics, load: newLimiter(c.Load, c.Now), since: c.Now()}
	p.finder = targets.NewFinder(c.Targets, c.Resolver, p.notFound)
	p.savings.Store(int64(c.Retries.Begin()))
	p.quiet.Store(true)
	p.now.Store(&selection{})
	p.lookUp(ctx, upstream.Started())
	p.metrics.add(p)
	return p
}

// UnansweredError is the error of a request that no instance answered.
type UnansweredError struct {
	MayHaveLeft bool          // the service may have received it, so that what it asks for may have happened
	Late        bool          // its time was over
	RetryIn     time.Duration // when to try again
	Cause       error
}

// Error implements error; it is for logs.
func (u *UnansweredError) Error() string { return "no instance answered: " + u.Cause.Error() }

// Unwrap returns the cause.
func (u *UnansweredError) Unwrap() error { return u.Cause }

var (
	errOpen       = errors.New("the circuit breaker is open")
	errNoInstance = errors.New("no instance is known")
)

// retryIn is when a client should try again that was refused for load, or for an instance that failed.
const retryIn = time.Second

// Admit waits for a place among the requests of the service, and fails with *UnansweredError when the breaker is open
// or the service has too much to do. The caller calls done once, when the request is over. A long poll takes no place:
// it waits for an event, not for a processor.
func (p *Pool) Admit(ctx context.Context, c upstream.Class, longPoll bool) (done func(), err error) {
	if !p.quiet.Load() {
		if wait, ok := p.allowed(); !ok {
			return nil, &UnansweredError{RetryIn: wait, Cause: errOpen}
		}
	}
	if longPoll {
		return func() {}, nil
	}
	if err := p.load.acquire(ctx, c); err != nil {
		p.metrics.shed.WithLabelValues(p.c.Service, c.String()).Inc()
		return nil, &UnansweredError{RetryIn: retryIn, Cause: err}
	}
	began := p.c.Now()
	return func() {
		if c != upstream.First { // a password's hash is slow by design
			p.load.observe(p.c.Now().Sub(began))
		}
		p.load.release()
	}, nil
}

func (p *Pool) allowed() (retryIn time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breaker, ok, retryIn = p.breaker.Allow(p.c.Breaker, p.c.Now())
	return retryIn, ok
}

// settle tells the breaker whether a request was answered.
func (p *Pool) settle(answered bool) {
	if answered && p.quiet.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.breaker.Open()
	if answered {
		p.breaker = p.breaker.Answered()
	} else {
		p.breaker = p.breaker.Failed(p.c.Breaker, p.c.Now())
	}
	p.quiet.Store(p.breaker.Quiet())
	if is := p.breaker.Open(); is != was {
		p.since = p.c.Now()
		p.c.Log.Warn("circuit breaker of an upstream", "service", p.c.Service, "open", is)
	}
}

// earn takes one more request into the budget of repetitions.
func (p *Pool) earn() {
	for {
		have := p.savings.Load()
		after := int64(p.c.Retries.Earn(upstream.Savings(have)))
		if after == have || p.savings.CompareAndSwap(have, after) {
			return
		}
	}
}

// spend takes one repetition from the budget.
func (p *Pool) spend(kind string) bool {
	for {
		have := p.savings.Load()
		after, ok := p.c.Retries.Spend(upstream.Savings(have))
		if !ok {
			p.metrics.repeats.WithLabelValues(p.c.Service, "refused").Inc()
			return false
		}
		if p.savings.CompareAndSwap(have, int64(after)) {
			p.metrics.repeats.WithLabelValues(p.c.Service, kind).Inc()
			return true
		}
	}
}

// choose returns the instance for a request that the tried ones did not answer; nil when there is no other. When those
// that should be asked have all been tried it is one of the others, if spare is set.
func (p *Pool) choose(tried []*instance, spare bool) *instance {
	s := p.now.Load()
	use := s.use
	if len(tried) > 0 {
		use = slices.DeleteFunc(slices.Clone(use), func(c candidate) bool { return slices.Contains(tried, c.instance) })
	}
	switch n := len(use); n {
	case 0:
		for _, i := range s.spare {
			if spare && !slices.Contains(tried, i) {
				return i
			}
		}
		return nil
	case 1:
		return use[0].instance
	default:
		first := p.index(n)
		second := p.index(n - 1)
		if second >= first {
			second++
		}
		a, b := use[first], use[second]
		if upstream.Prefer(a.seen(), b.seen(), p.c.Random()) {
			return a.instance
		}
		return b.instance
	}
}

// index returns a random index of a list of n.
func (p *Pool) index(n int) int { return min(int(math.Floor(p.c.Random()*float64(n))), n-1) }

func (c candidate) seen() upstream.Candidate {
	return upstream.Candidate{InFlight: c.inFlight.Load(), Weight: c.weight}
}

// refresh chooses anew who is asked. The caller holds the lock.
func (p *Pool) refresh() {
	now := p.c.Now()
	known := make([]upstream.Instance, len(p.all))
	for n, i := range p.all {
		known[n] = i.known
		i.note(now)
	}
	use, state := upstream.Eligible(known, now)
	s := &selection{state: state}
	for n, i := range p.all {
		switch {
		case slices.Contains(use, n):
			s.use = append(s.use, candidate{i, i.known.Weight(p.c.Instance, now)})
		case i.known.Health != upstream.Down:
			s.spare = append(s.spare, i)
		}
	}
	p.now.Store(s)
}

// others counts the instances beside one that take requests. The caller holds the lock.
func (p *Pool) others(than *instance, now time.Time) (n int) {
	for _, i := range p.all {
		if i != than && i.known.State(now) == upstream.Up {
			n++
		}
	}
	return n
}

// answered notes that an instance answered a request.
func (p *Pool) answered(i *instance) {
	i.answered.Inc()
	if !i.failing.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i.known = i.known.Answered()
	i.failing.Store(false)
}

// failed notes that an instance did not answer a request, and ejects it when that was one too many.
func (p *Pool) failed(i *instance, cause error) {
	i.failed.Inc()
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.c.Now()
	var ejected bool
	i.known, ejected = i.known.Failed(p.c.Instance, p.others(i, now), now)
	i.failing.Store(i.known.Failing())
	if ejected {
		i.ejections.Inc()
		p.c.Log.Warn("an instance is ejected", "service", p.c.Service, "instance", i.Label(), "cause", cause.Error())
		p.refresh()
	}
}

// RoundTrip implements http.RoundTripper. It fails with *UnansweredError, or with the error of the request's context
// when the client has gone. A request with a body has GetBody.
func (p *Pool) RoundTrip(r *http.Request) (*http.Response, error) {
	p.earn()
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if reads && !isLongPoll(r) {
		if len(p.now.Load().use) > 1 {
			return p.hedge(r)
		}
	}
	return p.rounds(r, reads, nil, nil)
}

// mostRounds is how many instances are asked at most, one after the other.
const mostRounds = 3

// rounds asks instances one after the other, beside those that were tried already, of which the last one failed with
// the outcome.
func (p *Pool) rounds(r *http.Request, reads bool, tried []*instance, last *outcome) (*http.Response, error) {
	for {
		i := p.choose(tried, true)
		switch {
		case last == nil && i == nil:
			p.settle(false)
			return nil, &UnansweredError{RetryIn: retryIn, Cause: errNoInstance}
		case last != nil && (i == nil || len(tried) >= mostRounds || !upstream.Repeatable(reads, last.mayHaveLeft) ||
			r.Context().Err() != nil || !p.spend("repeated")):
			return nil, p.giveUp(r, *last)
		}
		out := p.ask(r.Context(), r, i, reads, len(tried) > 0)
		if out.err == nil {
			p.settle(true)
			return out.res, nil
		}
		tried, last = append(tried, i), &out
	}
}

// giveUp returns the error of a request that was not answered.
func (p *Pool) giveUp(r *http.Request, last outcome) error {
	err := r.Context().Err()
	if errors.Is(err, context.Canceled) {
		return err //nolint:wrapcheck // the client has gone
	}
	p.settle(false)
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	return &UnansweredError{
		MayHaveLeft: last.mayHaveLeft && !reads, Late: err != nil, RetryIn: retryIn, Cause: last.err,
	}
}

// isLongPoll reports whether a request waits for an event.
func isLongPoll(r *http.Request) bool { return r.URL.RawQuery != "" && r.URL.Query().Has("wait") }

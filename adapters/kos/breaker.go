package kos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"

	"phonebill/core/alert"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/ports"
)

// Breakers holds one breaker per KOS operation. Clients that share them share what they learn. They are safe for concurrent use.
type Breakers struct {
	log    *slog.Logger
	alerts ports.Alerts
	state  *prometheus.GaugeVec
	all    map[Operation]*breaker
}

// errTrouble is what a gobreaker hears of a call that counts, errIgnored of one that says nothing about KOS.
var (
	errTrouble = errors.New("kos: call failed")
	errIgnored = errors.New("kos: call says nothing about KOS")
)

// NewBreakers answers closed breakers. registerer may be nil. A registerer that refuses costs the metric, not the service.
func NewBreakers(policies BreakerPolicies, log *slog.Logger, alerts ports.Alerts, registerer prometheus.Registerer) *Breakers {
	gauge, err := register(registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kos_breaker_state", Help: "0 closed, 1 half-open, 2 open.",
	}, []string{"operation"}))
	if err != nil {
		log.Warn("the breakers' state is not exported", slog.Any("error", err))
	}
	b := &Breakers{log: log, alerts: alerts, state: gauge, all: map[Operation]*breaker{}}
	for _, op := range used() {
		b.all[op] = b.breaker(op, policies.of(op))
	}
	return b
}

// breaker opens after enough failures in a row. Failures of one line alone do not open it, however many: one bad line must not shut
// KOS for everybody. Failures of the connection, and of operations that have no line, concern everybody. For the same reason only probes,
// which are about nobody's line, decide whether a half-open breaker closes or opens again; customers' calls do not pass before it is
// closed.
type breaker struct {
	two *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu       sync.Mutex // held while an outcome is reported, so that streak and gobreaker count the same
	first    line.Number
	everyone bool          // the failures in a row come from two lines, or concern everybody
	failures int           // in a row, whatever the breaker made of them
	rest     time.Duration // between probes that say nothing about KOS; 0 = the last one did
	probeAt  time.Time     // not before

	turned sync.Mutex
	since  time.Time // of the state
	until  time.Time // end of the open period
}

func (b *Breakers) breaker(op Operation, policy BreakerPolicy) *breaker {
	out := &breaker{since: time.Now().UTC()}
	b.state.WithLabelValues(string(op)).Set(float64(gobreaker.StateClosed))
	out.two = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: string(op), MaxRequests: policy.Successes, Timeout: policy.Open,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= policy.Failures && out.everyone // called from report, which holds mu
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errIgnored) },
		OnStateChange: func(name string, from, to gobreaker.State) {
			out.turn(to, policy.Open)
			b.tell(name, from, to)
		},
	})
	return out
}

// turn remembers when the state changed. gobreaker's clock is the machine's.
func (b *breaker) turn(to gobreaker.State, open time.Duration) {
	b.turned.Lock()
	defer b.turned.Unlock()
	b.since = time.Now().UTC()
	if to == gobreaker.StateOpen {
		b.until = b.since.Add(open)
	}
}

// tell exports, logs and, when a person must hear of it, alerts. A failed probe is no news.
func (b *Breakers) tell(name string, from, to gobreaker.State) {
	b.state.WithLabelValues(name).Set(float64(to))
	b.log.Warn("kos breaker", slog.String("operation", name), slog.String("from", from.String()), slog.String("to", to.String()))
	switch {
	case from == gobreaker.StateClosed && to == gobreaker.StateOpen:
		b.alerts.Raise(context.Background(), alert.Alert{Kind: alert.BreakerOpened, Subject: name, Note: "KOS is not asked for a while"})
	case to == gobreaker.StateClosed:
		b.alerts.Raise(context.Background(), alert.Alert{Kind: alert.BreakerClosed, Subject: name, Note: "KOS is asked again"})
	}
}

// stateOf names gobreaker's state as operators see it.
func stateOf(s gobreaker.State) operations.BreakerState {
	switch s {
	case gobreaker.StateClosed:
		return operations.Closed
	case gobreaker.StateHalfOpen:
		return operations.HalfOpen
	case gobreaker.StateOpen:
		return operations.Open
	default:
		return operations.Open
	}
}

// States tells how the breakers are, one per operation and always in the same order.
func (b *Breakers) States() []operations.Breaker {
	out := make([]operations.Breaker, 0, len(b.all))
	for _, op := range used() {
		out = append(out, b.all[op].told(string(op)))
	}
	return out
}

func (b *breaker) told(name string) operations.Breaker {
	state := stateOf(b.two.State()) // first: it may turn an open breaker half-open
	b.mu.Lock()
	failures := b.failures
	b.mu.Unlock()
	b.turned.Lock()
	defer b.turned.Unlock()
	out := operations.Breaker{Name: name, State: state, Failures: failures, Since: b.since}
	if state == operations.Open {
		out.RetryAt = b.until
	}
	return out
}

// halfOpen lists the operations that wait for a probe.
func (b *Breakers) halfOpen() []Operation {
	var found []Operation
	for _, op := range used() {
		if br := b.all[op]; br.two.State() == gobreaker.StateHalfOpen && br.rested() {
			found = append(found, op)
		}
	}
	return found
}

// probing is when to come back while the breaker lets only a few calls pass.
const probing = time.Second

// pass is leave to make a call.
type pass struct {
	state  operations.BreakerState        // in which it was given
	report func(o outcome, n line.Number) // to be called once, with what came of it
}

// allow answers a pass, or how long to stay away and why.
func (b *Breakers) allow(op Operation, probe bool) (p pass, wait time.Duration, err error) {
	br := b.all[op]
	before := br.two.State()
	if before == gobreaker.StateHalfOpen && !probe {
		return pass{}, probing, errBreaker
	}
	done, err := br.two.Allow()
	if errors.Is(err, gobreaker.ErrTooManyRequests) {
		return pass{}, probing, fmt.Errorf("%w: %w", errBreaker, err)
	}
	if err != nil {
		br.turned.Lock()
		defer br.turned.Unlock()
		return pass{}, max(probing, time.Until(br.until)), fmt.Errorf("%w: %w", errBreaker, err)
	}
	if before != gobreaker.StateClosed && !probe { // it turned half-open just now
		done(errIgnored)
		return pass{}, probing, errBreaker
	}
	state := operations.Closed
	if probe {
		state = operations.HalfOpen
	}
	return pass{state, func(o outcome, n line.Number) { br.report(done, o, n, probe) }}, 0, nil
}

// The rest between probes that say nothing about KOS (E429, no budget, a dead credential) doubles from one to the other.
const (
	firstRest = 2 * probing
	lastRest  = 30 * time.Second
)

// rested tells that it is time for a probe.
func (b *breaker) rested() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !time.Now().Before(b.probeAt)
}

// pause puts the next probe off after one that said nothing. The caller holds mu.
func (b *breaker) pause(retryAfter time.Duration) {
	b.rest = min(lastRest, max(firstRest, 2*b.rest))
	b.probeAt = time.Now().Add(min(lastRest, max(b.rest, retryAfter)))
}

func (b *breaker) report(done func(error), o outcome, n line.Number, probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	effect := o.effect()
	if probe && o.verdict == ourFault { // KOS does not like what we ask about nobody's line, so it lives
		effect = succeeds
	}
	switch effect {
	case succeeds:
		b.first, b.everyone, b.failures, b.rest = line.Number{}, false, 0, 0
		done(nil)
	case fails:
		if b.first.IsZero() {
			b.first = n
		}
		b.everyone = b.everyone || o.connection || n.IsZero() || n != b.first
		b.failures++
		b.rest = 0
		done(errTrouble)
	case ignored:
		if probe {
			b.pause(o.retryAfter)
		}
		done(errIgnored)
	}
}

package kos

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"

	"phonebill/core/line"
)

// BreakerPolicy says when a breaker opens and closes (product.md); it holds for each operation on its own.
type BreakerPolicy struct {
	Failures  uint32        // consecutive ones that open it
	Open      time.Duration // how long nothing passes; then it is half-open
	Successes uint32        // consecutive ones that close it; as many calls may be out while it is half-open
}

// DefaultBreakers is 5 failures, 30 s, 3 successes.
func DefaultBreakers() BreakerPolicy {
	return BreakerPolicy{Failures: 5, Open: 30 * time.Second, Successes: 3}
}

// Breakers holds one breaker per KOS operation. Clients that share them share what they learn. They are safe for concurrent use.
type Breakers struct {
	policy BreakerPolicy
	log    *slog.Logger
	state  *prometheus.GaugeVec
	all    map[Operation]*breaker
}

// errTrouble is what a gobreaker hears of a call that counts, errIgnored of one that says nothing about KOS.
var (
	errTrouble = errors.New("kos: call failed")
	errIgnored = errors.New("kos: call says nothing about KOS")
)

// NewBreakers answers closed breakers. registerer may be nil. A registerer that refuses costs the metric, not the service.
func NewBreakers(policy BreakerPolicy, log *slog.Logger, registerer prometheus.Registerer) *Breakers {
	gauge, err := register(registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kos_breaker_state", Help: "0 closed, 1 half-open, 2 open.",
	}, []string{"operation"}))
	if err != nil {
		log.Warn("the breakers' state is not exported", slog.Any("error", err))
	}
	b := &Breakers{policy: policy, log: log, state: gauge, all: map[Operation]*breaker{}}
	for _, op := range operations() {
		b.all[op] = b.breaker(op)
	}
	return b
}

// breaker opens after enough failures in a row. Failures of one line alone do not open it, however many: one bad line must not shut
// KOS for everybody. Failures of the connection, and of operations that have no line, concern everybody.
type breaker struct {
	two *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu       sync.Mutex // held while an outcome is reported, so that streak and gobreaker count the same
	first    line.Number
	everyone bool // the failures in a row come from two lines, or concern everybody

	opened sync.Mutex
	until  time.Time // end of the open period
}

func (b *Breakers) breaker(op Operation) *breaker {
	out := &breaker{}
	b.state.WithLabelValues(string(op)).Set(float64(gobreaker.StateClosed))
	out.two = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: string(op), MaxRequests: b.policy.Successes, Timeout: b.policy.Open,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= b.policy.Failures && out.everyone // called from report, which holds mu
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errIgnored) },
		OnStateChange: func(name string, from, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				out.opened.Lock()
				out.until = time.Now().Add(b.policy.Open) // gobreaker's clock is the machine's
				out.opened.Unlock()
			}
			b.state.WithLabelValues(name).Set(float64(to))
			b.log.Warn("kos breaker", slog.String("operation", name), slog.String("from", from.String()), slog.String("to", to.String()))
		},
	})
	return out
}

// halfOpen lists the operations that wait for a probe.
func (b *Breakers) halfOpen() []Operation {
	var found []Operation
	for _, op := range operations() {
		if b.all[op].two.State() == gobreaker.StateHalfOpen {
			found = append(found, op)
		}
	}
	return found
}

// probing is when to come back while the breaker lets only a few calls pass.
const probing = time.Second

// allow answers the function that takes the outcome, or how long to stay away and why.
func (b *Breakers) allow(op Operation) (report func(outcome, line.Number), wait time.Duration, err error) {
	br := b.all[op]
	done, err := br.two.Allow()
	if errors.Is(err, gobreaker.ErrTooManyRequests) {
		return nil, probing, fmt.Errorf("%w: %w", errBreaker, err)
	}
	if err != nil {
		br.opened.Lock()
		defer br.opened.Unlock()
		return nil, max(probing, time.Until(br.until)), fmt.Errorf("%w: %w", errBreaker, err)
	}
	return func(o outcome, n line.Number) { br.report(done, o, n) }, 0, nil
}

func (b *breaker) report(done func(error), o outcome, n line.Number) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch o.verdict.effect() {
	case succeeds:
		b.first, b.everyone = line.Number{}, false
		done(nil)
	case fails:
		if b.first.IsZero() {
			b.first = n
		}
		b.everyone = b.everyone || o.connection || n.IsZero() || n != b.first
		done(errTrouble)
	case ignored:
		done(errIgnored)
	}
}

package kos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"

	"phonebill/adapters/internal/breaking"
	"phonebill/core/operations"
	"phonebill/ports"
)

// Breakers holds one circuit breaker per KOS operation. Clients may share it. It is safe for concurrent use.
type Breakers struct {
	log    *slog.Logger
	alerts ports.Alerts
	state  *prometheus.GaugeVec
	all    map[Operation]*breaker // one for each of allOperations()
}

// errCounts is reported to gobreaker for a call that counts as a failure, errIgnored for one that says nothing about
// KOS.
var (
	errCounts  = errors.New("kos: call failed")
	errIgnored = errors.New("kos: call says nothing about KOS")
)

// errBreaker is the cause of a call that the breaker did not let pass.
var errBreaker = errors.New("kos: breaker open")

// NewBreakers returns closed breakers. registerer may be nil. A registerer that refuses costs the metric, not the
// service.
func NewBreakers(
	policies BreakerPolicies, log *slog.Logger, alerts ports.Alerts, registerer prometheus.Registerer,
) *Breakers {
	gauge, err := register(registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kos_breaker_state", Help: "0 closed, 1 half-open, 2 open.",
	}, []string{"operation"}))
	if err != nil {
		log.Warn("the breakers' state is not exported", slog.Any("error", err))
	}
	b := &Breakers{log: log, alerts: alerts, state: gauge, all: map[Operation]*breaker{}}
	for _, op := range allOperations() {
		name := op.properties().name
		b.all[name] = b.breaker(name, policies.of(name))
	}
	return b
}

// breaker opens after enough failures in a row. Failures of one subject (a line) alone do not open it, however many:
// one bad line must not shut KOS for all customers. Failures of the connection, and of operations that have no
// subject, concern all. For the same reason only probes, which are about an unassigned line, decide whether a
// half-open breaker closes or opens again; customers' calls do not pass before it is closed.
type breaker struct {
	two *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu         sync.Mutex    // held while an outcome is reported, so that failures and gobreaker count the same
	first      subjectKey    // of the failures in a row
	concernAll bool          // the failures in a row come from two subjects, or concern all
	failures   int           // in a row, whether or not they open the breaker
	pause      time.Duration // between probes that say nothing about KOS; 0 = the last one did
	probeAt    time.Time     // the next probe is not made before

	stateMu sync.Mutex
	since   time.Time // when the state was entered
	until   time.Time // end of the open period
}

func (b *Breakers) breaker(op Operation, policy BreakerPolicy) *breaker {
	out := &breaker{since: time.Now().UTC()}
	b.state.WithLabelValues(string(op)).Set(float64(gobreaker.StateClosed))
	out.two = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: string(op), MaxRequests: policy.Successes, Timeout: policy.Open,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= policy.Failures && out.concernAll // called from report, which holds mu
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errIgnored) },
		OnStateChange: func(name string, from, to gobreaker.State) {
			out.entered(to, policy.Open)
			b.announce(name, from, to)
		},
	})
	return out
}

// entered records when the state changed, by the machine's clock as gobreaker does.
func (b *breaker) entered(to gobreaker.State, open time.Duration) {
	b.stateMu.Lock()
	defer b.stateMu.Unlock()
	b.since = time.Now().UTC()
	if to == gobreaker.StateOpen {
		b.until = b.since.Add(open)
	}
}

// announce exports and logs a change of state, and raises an alert when the breaker leaves or enters the closed state.
func (b *Breakers) announce(name string, from, to gobreaker.State) {
	b.state.WithLabelValues(name).Set(float64(to))
	b.log.Warn("kos breaker", slog.String("operation", name), slog.String("from", from.String()),
		slog.String("to", to.String()))
	switch {
	case from == gobreaker.StateClosed && to == gobreaker.StateOpen:
		b.alerts.Raise(context.Background(),
			operations.Alert{Kind: operations.BreakerOpened, Subject: name, Note: "KOS is not asked for a while"})
	case to == gobreaker.StateClosed:
		b.alerts.Raise(context.Background(),
			operations.Alert{Kind: operations.BreakerClosed, Subject: name, Note: "KOS is asked again"})
	}
}

// stateOf converts gobreaker's state to the one that operators see.
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

// States returns the states of the breakers, one per operation and always in the same order.
func (b *Breakers) States() []operations.Breaker {
	out := make([]operations.Breaker, 0, len(b.all))
	for _, op := range allOperations() {
		name := op.properties().name
		out = append(out, b.all[name].snapshot(string(name)))
	}
	return out
}

func (b *breaker) snapshot(name string) operations.Breaker {
	state := stateOf(b.two.State()) // first: it may turn an open breaker half-open
	b.mu.Lock()
	failures := b.failures
	b.mu.Unlock()
	b.stateMu.Lock()
	defer b.stateMu.Unlock()
	out := operations.Breaker{Name: name, State: state, Failures: failures, Since: b.since}
	if state == operations.Open {
		out.RetryAt = b.until
	}
	return out
}

// awaitingProbe lists the operations whose breakers are half-open and due for a probe.
func (b *Breakers) awaitingProbe() []declared {
	var found []declared
	for _, op := range allOperations() {
		br := b.all[op.properties().name]
		if br.two.State() == gobreaker.StateHalfOpen && br.probeIsDue() {
			found = append(found, op)
		}
	}
	return found
}

// probeInterval is how long callers are to wait while only probes pass the breaker.
const probeInterval = time.Second

// subjectKey says what a call is about; equal subjects have equal keys. It is empty when the call is about none, and is
// never logged.
type subjectKey string

// permit is the breaker's permission to make a call.
type permit struct {
	state  operations.BreakerState             // of the breaker when it gave the permission
	report func(o outcome, subject subjectKey) // to be called once, with the call's outcome
}

// allow returns a permit, or how long to wait before asking again and why.
func (b *Breakers) allow(name Operation, probe bool) (p permit, wait time.Duration, err error) {
	br := b.all[name]
	before := br.two.State()
	if before == gobreaker.StateHalfOpen && !probe {
		return permit{}, probeInterval, errBreaker
	}
	done, err := br.two.Allow()
	if errors.Is(err, gobreaker.ErrTooManyRequests) {
		return permit{}, probeInterval, fmt.Errorf("%w: %w", errBreaker, err)
	}
	if err != nil {
		br.stateMu.Lock()
		defer br.stateMu.Unlock()
		return permit{}, max(probeInterval, time.Until(br.until)), fmt.Errorf("%w: %w", errBreaker, err)
	}
	if before != gobreaker.StateClosed && !probe { // it turned half-open just now
		done(errIgnored)
		return permit{}, probeInterval, errBreaker
	}
	state := operations.Closed
	if probe {
		state = operations.HalfOpen
	}
	return permit{state, func(o outcome, subject subjectKey) { br.report(done, o, subject, probe) }}, 0, nil
}

// The pause between probes that say nothing about KOS (E429, no budget, a refused credential) doubles from
// shortestPause to longestPause.
const (
	shortestPause = 2 * probeInterval
	longestPause  = 30 * time.Second
)

// probeIsDue reports whether it is time for a probe.
func (b *breaker) probeIsDue() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !time.Now().Before(b.probeAt)
}

// postponeProbe delays the next probe after one that said nothing about KOS. The caller holds mu.
func (b *breaker) postponeProbe(retryAfter time.Duration) {
	b.pause = min(longestPause, max(shortestPause, 2*b.pause))
	b.probeAt = time.Now().Add(min(longestPause, max(b.pause, retryAfter)))
}

// report passes the outcome of a call to gobreaker through done, and counts failures in a row.
func (b *breaker) report(done func(error), o outcome, subject subjectKey, probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	effect := o.effect()
	if probe && o.verdict == ourFault { // KOS refuses the question about an unassigned line, so it works
		effect = succeeds
	}
	switch effect {
	case succeeds:
		b.first, b.concernAll, b.failures, b.pause = "", false, 0, 0
		done(nil)
	case fails:
		if b.first == "" {
			b.first = subject
		}
		b.concernAll = b.concernAll || o.connection || subject == "" || subject != b.first
		b.failures++
		b.pause = 0
		done(errCounts)
	case ignored:
		if probe {
			b.postponeProbe(o.retryAfter)
		}
		done(errIgnored)
	}
}

// BreakerPolicy says when a circuit breaker opens and closes; it holds for each operation on its own.
type BreakerPolicy = breaking.Policy

// DefaultBreaker returns 5 failures, 30 s, 3 successes.
func DefaultBreaker() BreakerPolicy { return breaking.Default() }

// BreakerPolicies are the policies of operations that differ from DefaultBreaker.
type BreakerPolicies map[Operation]BreakerPolicy

func (p BreakerPolicies) of(op Operation) BreakerPolicy {
	if policy, ok := p[op]; ok {
		return policy
	}
	return DefaultBreaker()
}

// ParseBreakers parses policies like "bill.inquiry=5/30s/3,product.change=3/60s/2": failures in a row that open the
// breaker, how long it stays open (1s to 1h), successes in a row that close it. The error names the entry that is
// wrong.
func ParseBreakers(value string) (BreakerPolicies, error) {
	var known []Operation
	for _, op := range allOperations() {
		known = append(known, op.properties().name)
	}
	out := BreakerPolicies{}
	for entry := range strings.SplitSeq(value, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		name, rule, _ := strings.Cut(entry, "=")
		op := Operation(name)
		if !slices.Contains(known, op) {
			return nil, fmt.Errorf("%q: %q is none of %v", entry, name, known)
		}
		if _, twice := out[op]; twice {
			return nil, fmt.Errorf("%q: %s is there already", entry, name)
		}
		policy, ok := breaking.Parse(rule)
		if !ok {
			return nil, fmt.Errorf(
				"%q is not like bill.inquiry=5/30s/3: failures (1 to %d), open (1s to 1h), successes (1 to %d)",
				entry, breaking.Most, breaking.Most)
		}
		out[op] = policy
	}
	return out, nil
}

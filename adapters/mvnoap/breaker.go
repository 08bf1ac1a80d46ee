package mvnoap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"

	"phonebill/adapters/internal/breaking"
	"phonebill/core/delivery"
	"phonebill/core/operations"
	"phonebill/ports"
)

// BreakerPolicy configures when the breaker opens and closes.
type BreakerPolicy = breaking.Policy

// DefaultBreaker is that of S-BREAKER, the same as KOS's.
func DefaultBreaker() BreakerPolicy { return breaking.Default() }

// ParseBreaker reads a policy like 5/30s/3. The error names what is wrong.
func ParseBreaker(text string) (BreakerPolicy, error) {
	policy, ok := breaking.Parse(text)
	if !ok {
		return policy, fmt.Errorf("%q is not like 5/30s/3: failures (1 to %d), open (1s to 1h), successes (1 to %d)",
			text, breaking.Most, breaking.Most)
	}
	return policy, nil
}

// breakerName is what operators see.
const breakerName = "mvnoap"

// breaker stops calls to an AP server that does not respond. A rejection is a response. It closes by itself with the
// next due results. It resembles the one of KOS (adapters/kos) but has no lines, probes and lanes, and its attempts are
// postponed instead of refused. Both use gobreaker; packages below the adapters use the standard library only.
type breaker struct {
	policy BreakerPolicy
	two    *gobreaker.TwoStepCircuitBreaker[struct{}]
	state  prometheus.Gauge
	log    *slog.Logger
	alerts ports.Alerts

	mu       sync.Mutex
	failures int // in a row
	since    time.Time
	until    time.Time // end of the open period
	pausedTo time.Time // the receiver asked for a pause until then
}

// Results of an attempt for gobreaker: one that counts, and one that says nothing about the AP server.
var (
	errFailed  = errors.New("mvnoap: not delivered")
	errIgnored = errors.New("mvnoap: given up")
)

func newBreaker(policy BreakerPolicy, deps Deps) *breaker {
	if policy == (BreakerPolicy{}) {
		policy = DefaultBreaker()
	}
	b := &breaker{
		policy: policy,
		state: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mvnoap_breaker_state",
			Help: "0 closed, 1 half-open, 2 open."}),
		log: deps.Log, alerts: deps.Alerts, since: time.Now().UTC(),
	}
	if deps.Metrics != nil {
		if err := deps.Metrics.Register(b.state); err != nil {
			b.log.Warn("the breaker's state is not exported", slog.Any("error", err))
		}
	}
	b.two = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: breakerName, MaxRequests: policy.Successes, Timeout: policy.Open,
		ReadyToTrip:   func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= policy.Failures },
		IsExcluded:    func(err error) bool { return errors.Is(err, errIgnored) },
		OnStateChange: b.stateChanged,
	})
	return b
}

// stateChanged stores, exports and logs the new state and, when a person must know of it, raises an alert. A failed
// probe is not reported.
func (b *breaker) stateChanged(_ string, from, to gobreaker.State) {
	b.mu.Lock()
	b.since = time.Now().UTC()
	if to == gobreaker.StateOpen {
		b.until = b.since.Add(b.policy.Open)
	}
	b.mu.Unlock()
	b.state.Set(float64(to))
	b.log.Warn("mvnoap breaker", slog.String("from", from.String()), slog.String("to", to.String()))
	switch {
	case from == gobreaker.StateClosed && to == gobreaker.StateOpen:
		b.alerts.Raise(context.Background(), operations.Alert{
			Kind: operations.BreakerOpened, Subject: breakerName, Note: "results wait until the MVNO AP server responds again",
		})
	case to == gobreaker.StateClosed:
		b.alerts.Raise(context.Background(), operations.Alert{Kind: operations.BreakerClosed, Subject: breakerName,
			Note: "results are delivered again"})
	}
}

// ready returns how many of n attempts may be made now.
func (b *breaker) ready(n int) int {
	if b.paused() {
		return 0
	}
	switch b.two.State() {
	case gobreaker.StateClosed:
		return n
	case gobreaker.StateHalfOpen:
		c := b.two.Counts()
		return max(0, min(n, int(b.policy.Successes)-int(c.Requests)+int(c.TotalExclusions)))
	case gobreaker.StateOpen:
	}
	return 0
}

// guard makes the attempt, or none while the breaker does not allow it.
func (b *breaker) guard(attempt func() (a delivery.Attempt, ignore bool)) delivery.Attempt {
	if b.paused() {
		return delivery.Attempt{Outcome: delivery.NotAttempted, Note: "the MVNO AP server asked for a pause"}
	}
	done, err := b.two.Allow()
	if err != nil {
		return delivery.Attempt{Outcome: delivery.NotAttempted, Note: "the circuit breaker of the MVNO AP server is open"}
	}
	a, ignore := attempt()
	switch {
	case ignore:
		done(errIgnored)
	case a.Outcome == delivery.Failed:
		b.pause(a.RetryAfter)
		b.count(true)
		done(errFailed)
	default:
		b.count(false)
		done(nil)
	}
	return a
}

// pause stops attempts for as long as the receiver asked (Retry-After of 429 and 503).
func (b *breaker) pause(long time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if to := time.Now().Add(long); long > 0 && to.After(b.pausedTo) {
		b.pausedTo = to
	}
}

func (b *breaker) paused() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.pausedTo)
}

// count keeps the failures in a row.
func (b *breaker) count(failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	if !failed {
		b.failures = 0
	}
}

// status returns the breaker as operators see it.
func (b *breaker) status() operations.Breaker {
	states := map[gobreaker.State]operations.BreakerState{
		gobreaker.StateClosed: operations.Closed, gobreaker.StateHalfOpen: operations.HalfOpen,
		gobreaker.StateOpen: operations.Open,
	}
	out := operations.Breaker{Name: breakerName, State: states[b.two.State()]}
	b.mu.Lock()
	defer b.mu.Unlock()
	out.Failures, out.Since = b.failures, b.since
	if out.State == operations.Open {
		out.RetryAt = b.until
	}
	return out
}

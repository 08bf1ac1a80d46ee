package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/middleware"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/ratelimit"
	"phonebill/core/throttle"
	"phonebill/ports"
)

// Limits are how many requests callers may make (S-RATE-LIMIT, S-TIERS) and how many the gateway takes altogether.
type Limits struct {
	Limiter  ports.RateLimiter
	Policies ratelimit.Limits
	Bench    bool // the tier BENCH exists: development alone
	PerSec   int  // requests a second that this gateway takes of all callers; 0 = no ceiling
	// Service names the system that calls for the user with a service credential; empty when there is none.
	Service func(context.Context) string
}

// ServiceOf is the Limits.Service of requests whose client the middleware has resolved.
func ServiceOf(ctx context.Context) string { return middleware.ClientOf(ctx).Service }

// limits carries out Limits.
type limits struct {
	Limits
	now       ports.Clock
	decisions *prometheus.CounterVec
	all       throttle.Buckets
}

// newLimits fails when the registry has the metric already.
func newLimits(l Limits, now ports.Clock, registry prometheus.Registerer) (*limits, error) {
	made := &limits{Limits: l, now: now, decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rate_limit_decisions_total",
		Help: "Requests by the caller's tier (SERVICE: a service credential; ALL: the gateway's ceiling), whether they " +
			"passed, and by what that was decided: local, cache, fallback.",
	}, []string{"tier", "outcome", "by"})}
	if err := registry.Register(made.decisions); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return made, nil
}

// limits returns what carries out the configured limits, nil without.
func (c Config) limits() (*limits, error) {
	if c.Limits == nil {
		return nil, nil //nolint:nilnil // nobody is limited
	}
	return newLimits(*c.Limits, c.Clock, c.Registry)
}

// limit puts the ceiling before the services. The public keys are free: without them nobody can verify a token.
func (r routes) limit(l *limits) {
	for segment, router := range r.first {
		if l != nil && segment != ".well-known" {
			r.first[segment] = l.ceiling(router, r.fail)
		}
	}
}

// What the policies are called in the headers.
const (
	userPolicy    = "user"
	servicePolicy = "service"
)

// admit takes a request from the bucket of its user, and from that of the service that calls for the user, and tells
// the caller what is left. It fails with RATE_LIMIT_EXCEEDED.
func (l *limits) admit(ctx context.Context, answer http.Header) error {
	p := contract.Principal(ctx)
	if p.UserID == "" {
		return nil
	}
	var policies, left []byte
	err := l.take(ctx, &policies, &left, userPolicy, "user:"+string(p.UserID), p.Tier.OrDefault(),
		l.Policies.Of(p.Tier, l.Bench))
	if service := l.Service(ctx); service != "" && err == nil {
		err = l.take(ctx, &policies, &left, servicePolicy, "service:"+service, "SERVICE",
			l.Policies.Of(auth.TierMVNOAP, false))
	}
	if len(policies) > 0 {
		answer.Set("RateLimit-Policy", string(policies))
		answer.Set("RateLimit", string(left))
	}
	return err
}

// take takes a request from one bucket and appends what the headers say of it (draft-ietf-httpapi-ratelimit-headers).
func (l *limits) take(
	ctx context.Context, policies, left *[]byte, name, caller string, tier auth.Tier, p ratelimit.Policy,
) error {
	d := l.Limiter.Take(ctx, caller, p)
	l.count(tier, d.OK, d.Source)
	if p.Unlimited() {
		return nil
	}
	*policies = parameters(*policies, name, "q", p.Quota, "w", seconds(p.Window))
	*left = parameters(*left, name, "r", d.Remaining, "t", seconds(d.Reset))
	if !d.OK {
		return fault.New(fault.RateLimitExceeded).RetryIn(d.RetryIn)
	}
	return nil
}

func (l *limits) count(tier auth.Tier, passed bool, by ratelimit.Source) {
	outcome := "refused"
	if passed {
		outcome = "passed"
	}
	l.decisions.WithLabelValues(string(tier), outcome, string(by)).Inc()
}

// parameters appends an item with two parameters to a list of structured fields (RFC 9651): "user";q=100;w=60.
func parameters(list []byte, name, key1 string, value1 int, key2 string, value2 int) []byte {
	if len(list) > 0 {
		list = append(list, ", "...)
	}
	list = append(append(append(list, '"'), name...), `";`...)
	list = strconv.AppendInt(append(append(list, key1...), '='), int64(value1), 10)
	list = append(append(append(list, ';'), key2...), '=')
	return strconv.AppendInt(list, int64(value2), 10)
}

// seconds are whole ones, rounded up: after them it is certain.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

var errCeiling = errors.New("gateway: more requests than RATE_LIMIT_GLOBAL allows")

// ceiling refuses what is more than this gateway takes, before anything is done about it. That is no caller's fault:
// SERVICE_UNAVAILABLE. Preflights cost nothing and are not counted.
func (l *limits) ceiling(next http.Handler, fail contract.Fail) http.Handler {
	if l.PerSec == 0 {
		return next
	}
	rate := throttle.Rate{PerMinute: l.PerSec * int(time.Minute/time.Second), Burst: l.PerSec}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodOptions {
			if ok, _ := l.all.Take("", rate, l.now()); !ok {
				l.count("ALL", false, ratelimit.ByLocal)
				fail(w, r, fault.New(fault.ServiceUnavailable).RetryIn(time.Second).Because(errCeiling))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/gateway"
	"phonebill/adapters/rest/resttest"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/ratelimit"
	"phonebill/openapi"
)

// limited is a gateway with the real check of tokens and the policies of a test.
type limited struct {
	http.Handler
	tokens   *memory.AccessTokens
	registry *prometheus.Registry
	now      time.Time
}

func newLimited(t *testing.T, change func(*gateway.Limits)) *limited {
	t.Helper()
	l := &limited{tokens: &memory.AccessTokens{}, registry: prometheus.NewRegistry(), now: time.Unix(1_800_000_000, 0)}
	clock := func() time.Time { return l.now }
	revoked := access.NewRevoked(&memory.Revocations{}, nil, clock, time.Hour)
	require.NoError(t, revoked.Pull(t.Context()))
	limits := &gateway.Limits{
		Limiter: &memory.RateLimiter{Now: clock}, Service: gateway.ServiceOf,
		Policies: ratelimit.Limits{
			auth.TierDefault: {Quota: 3, Window: time.Minute}, auth.TierVIP: {Quota: 5, Window: time.Minute},
			auth.TierMVNOAP: {Quota: 4, Window: time.Minute},
		},
	}
	if change != nil {
		change(limits)
	}
	c := config()
	c.Authenticator = contract.AccessGuard{Guard: &access.Guard{Verifier: l.tokens, Revoked: revoked, Now: clock}}
	c.Limits, c.Registry, c.Clock = limits, l.registry, clock
	l.Handler = newGateway(t, c)
	return l
}

func (l *limited) token(t *testing.T, user auth.UserID, tier auth.Tier) string {
	t.Helper()
	token, err := l.tokens.Issue(t.Context(), auth.Principal{
		UserID: user, SessionID: id.ID{1}, Tier: tier, Permissions: auth.AllPermissions(), ExpiresAt: l.now.Add(time.Hour),
	}, l.now)
	require.NoError(t, err)
	return token.Reveal()
}

func TestAUserHasALimit(t *testing.T) {
	t.Parallel()
	l := newLimited(t, nil)
	hong := l.token(t, "hong", "")
	for n := range 3 {
		res := send(l, http.MethodGet, "/api/v1/bills/menu", hong)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, `"user";q=3;w=60`, res.Header.Get("RateLimit-Policy"))
		require.Regexp(t, `^"user";r=`+string(rune('2'-n))+`;t=(60|61)$`, res.Header.Get("RateLimit"))
		require.Empty(t, res.Header.Get("X-Ratelimit-Limit"))
	}
	req := httptest.NewRequest(http.MethodGet, "/api/v1/bills/menu", nil)
	res := send(l, http.MethodGet, "/api/v1/products/menu", hong)
	require.Equal(t, http.StatusTooManyRequests, res.StatusCode, "whatever the operation")
	require.Regexp(t, `^"user";r=0;t=(60|61)$`, res.Header.Get("RateLimit"))
	_, wait, _ := strings.Cut(res.Header.Get("RateLimit"), "t=")
	require.Equal(t, wait, res.Header.Get("Retry-After"))
	resttest.Validate(t, resttest.Bill(t), req, res)
	require.Contains(t, body(t, res), string(fault.RateLimitExceeded))

	res = send(l, http.MethodGet, "/api/v1/bills/menu", l.token(t, "kim", auth.TierVIP))
	require.Equal(t, http.StatusOK, res.StatusCode, "another user is not affected")
	require.Equal(t, `"user";q=5;w=60`, res.Header.Get("RateLimit-Policy"))
	res = send(l, http.MethodGet, "/api/v1/bills/menu", l.token(t, "hong", auth.TierVIP))
	require.Equal(t, http.StatusOK, res.StatusCode, "another tier holds at once, in the same window")
	require.Regexp(t, `^"user";r=1;t=`, res.Header.Get("RateLimit"))
	l.now = l.now.Add(62 * time.Second)
	require.Equal(t, http.StatusOK, send(l, http.MethodGet, "/api/v1/bills/menu", hong).StatusCode)

	require.Equal(t, map[string]float64{
		"cache passed DEFAULT": 4, "cache passed VIP": 2, "cache refused DEFAULT": 1,
	}, l.decisions(t))
}

// decisions returns rate_limit_decisions_total by the values of its labels.
func (l *limited) decisions(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := l.registry.Gather()
	require.NoError(t, err)
	counts := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "rate_limit_decisions_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, label := range m.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			counts[strings.Join(labels, " ")] = m.GetCounter().GetValue()
		}
	}
	return counts
}

// TestAServiceCredentialHasALimitToo: the request takes from the user's bucket first, so that one user over the limit
// takes nothing from the others.
func TestAServiceCredentialHasALimitToo(t *testing.T) {
	t.Parallel()
	l := newLimited(t, func(c *gateway.Limits) { c.Service = func(context.Context) string { return "ap" } })
	get := func(user auth.UserID) *http.Response {
		res := send(l, http.MethodGet, "/api/v1/bills/menu", l.token(t, user, ""))
		require.NoError(t, res.Body.Close())
		return res
	}
	for n := range 3 {
		res := get("hong")
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, `"user";q=3;w=60, "service";q=4;w=60`, res.Header.Get("RateLimit-Policy"))
		require.Regexp(t, `^"user";r=`+string(rune('2'-n))+`;t=6\d, "service";r=`+string(rune('3'-n))+`;t=6\d$`,
			res.Header.Get("RateLimit"))
	}
	res := get("hong")
	require.Equal(t, http.StatusTooManyRequests, res.StatusCode)
	require.Equal(t, `"user";q=3;w=60`, res.Header.Get("RateLimit-Policy"))
	require.Equal(t, http.StatusOK, get("kim").StatusCode, "the service has one left")
	res = get("lee")
	require.Equal(t, http.StatusTooManyRequests, res.StatusCode)
	require.Regexp(t, `^"user";r=2;t=6\d, "service";r=0;t=6\d$`, res.Header.Get("RateLimit"))
	require.NotEmpty(t, res.Header.Get("Retry-After"))
	require.InDelta(t, 1, l.decisions(t)["cache refused SERVICE"], 0)
}

func TestTheTierWithoutALimit(t *testing.T) {
	t.Parallel()
	for bench, want := range map[bool]int{true: 20, false: 3} {
		l := newLimited(t, func(c *gateway.Limits) { c.Bench = bench })
		token, passed := l.token(t, "load", auth.TierBench), 0
		for range 20 {
			res := send(l, http.MethodGet, "/api/v1/bills/menu", token)
			require.Equal(t, bench, res.Header.Get("RateLimit-Policy") == "")
			if res.StatusCode == http.StatusOK {
				passed++
			}
		}
		require.Equal(t, want, passed, "outside development it is an ordinary tier")
	}
}

func TestTheCeilingOfAGateway(t *testing.T) {
	t.Parallel()
	l := newLimited(t, func(c *gateway.Limits) { c.PerSec = 2 })
	for range 2 {
		require.Equal(t, http.StatusOK, send(l, http.MethodPost, "/api/v1/auth/login", "").StatusCode)
	}
	res := send(l, http.MethodPost, "/api/v1/auth/login", "")
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, "the caller has done nothing wrong")
	require.Equal(t, "1", res.Header.Get("Retry-After"))
	require.Contains(t, body(t, res), string(fault.ServiceUnavailable))
	for _, path := range []string{"/health", "/.well-known/jwks.json"} {
		require.Equal(t, http.StatusOK, send(l, http.MethodGet, path, "").StatusCode)
	}
	require.Equal(t, http.StatusMethodNotAllowed, send(l, http.MethodOptions, "/api/v1/auth/login", "").StatusCode)
	l.now = l.now.Add(time.Second)
	require.Equal(t, http.StatusOK, send(l, http.MethodPost, "/api/v1/auth/login", "").StatusCode)
}

// refusing is a limiter that lets nothing pass and notes who asked.
type refusing struct{ asked []string }

func (r *refusing) Take(_ context.Context, caller string, _ ratelimit.Policy) ratelimit.Decision {
	r.asked = append(r.asked, caller)
	return ratelimit.Decision{RetryIn: 1500 * time.Millisecond, Reset: 1500 * time.Millisecond, Source: ratelimit.ByCache}
}

var parameter = regexp.MustCompile(`\{[^}]+\}`)

// TestEveryOperationWithATokenIsLimited goes through all operations of the specifications: those with bearer security
// are limited, document 429 and write it as the specification says; the others never ask the limiter.
func TestEveryOperationWithATokenIsLimited(t *testing.T) {
	t.Parallel()
	limiter := &refusing{}
	l := newLimited(t, func(c *gateway.Limits) { c.Limiter = limiter })
	token := l.token(t, "hong", "")
	seen := map[bool]int{}
	for _, name := range []string{openapi.Auth, openapi.Bill, openapi.Product, openapi.Operations} {
		spec, err := contract.Load(name)
		require.NoError(t, err)
		for template, item := range spec.Paths.Map() {
			for method, op := range item.Operations() {
				limiter.asked = nil
				res := send(l, method, "/api/v1"+parameter.ReplaceAllString(template, "x"), token)
				require.NoError(t, res.Body.Close())
				bearer := isBearer(spec, op)
				seen[bearer]++
				if !bearer {
					require.Empty(t, limiter.asked, "%s %s", method, template)
					require.NotEqual(t, http.StatusTooManyRequests, res.StatusCode)
					continue
				}
				require.Equal(t, []string{"user:hong"}, limiter.asked, "%s %s", method, template)
				require.Equal(t, http.StatusTooManyRequests, res.StatusCode, "%s %s", method, template)
				require.Equal(t, "2", res.Header.Get("Retry-After"))
				documented := op.Responses.Status(http.StatusTooManyRequests)
				require.NotNil(t, documented, "%s %s", method, template)
				for _, header := range []string{"Retry-After", "RateLimit", "RateLimit-Policy"} {
					require.Contains(t, documented.Value.Headers, header, "%s %s", method, template)
				}
			}
		}
	}
	require.Greater(t, seen[true], 40)
	require.Equal(t, 3, seen[false], "login, refresh, public keys")
	for path := range config().Health {
		limiter.asked = nil
		require.Equal(t, http.StatusOK, send(l, http.MethodGet, path, token).StatusCode)
		require.Empty(t, limiter.asked)
	}
	limiter.asked = nil
	require.Equal(t, http.StatusUnauthorized, send(l, http.MethodGet, "/api/v1/bills/menu", "forged").StatusCode)
	require.Empty(t, limiter.asked, "who is nobody has no bucket")
	require.Equal(t, http.StatusMethodNotAllowed, send(l, http.MethodOptions, "/api/v1/bills/menu", token).StatusCode)
	require.Empty(t, limiter.asked)
}

func isBearer(spec *openapi3.T, op *openapi3.Operation) bool {
	security := spec.Security
	if op.Security != nil {
		security = *op.Security
	}
	return slices.ContainsFunc(security, func(r openapi3.SecurityRequirement) bool { return len(r) > 0 })
}

package gateway

import (
	"phonebill/adapters/rest/gateway"
	"phonebill/adapters/valkey"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/ratelimit"
)

// Limits are how many requests callers may make.
type Limits struct {
	// Requests a minute by tier of the account, like `DEFAULT=100,VIP=500,MVNO_AP=10000` (the default), or in another
	// window of 1s to 1h: `DEFAULT=20/10s`. A tier that is left out keeps its default; BENCH has no limit and exists in
	// development alone ([docs/rate-limits.md](docs/rate-limits.md)).
	Tiers ratelimit.Limits `env:"RATE_LIMITS" envDefault:"DEFAULT=100,VIP=500,MVNO_AP=10000"`
	// Requests a second that one gateway takes of all callers together, and as many at once; more are answered with
	// 503. 0 = no ceiling.
	PerSecond int `env:"RATE_LIMIT_GLOBAL" envDefault:"0" range:"0..10000000"`
	// How many gateways there are: while the cache is away each of them lets pass its share of a limit. Up to 4 may run
	// without changing what the limits allow while it is there.
	Instances int `env:"GATEWAY_INSTANCES" envDefault:"1" range:"1..1000"`
}

// rateLimits returns what the gateway limits callers by, and adds its worker. cache may be nil: then each gateway
// counts for itself.
func (c Config) rateLimits(b *service.Builder, cache *valkey.Client) (*gateway.Limits, error) {
	limiter, err := valkey.NewRateLimiter(cache, valkey.RateLimiterConfig{
		Instances: c.Limits.Instances, Secret: c.Auth.Token, Metrics: b.Registry, Log: b.Log,
	})
	if err != nil {
		return nil, err
	}
	b.Unit.Workers = append(b.Unit.Workers, boot.Worker(limiter.Run))
	return &gateway.Limits{
		Limiter: limiter, Policies: c.Limits.Tiers, Bench: c.Process.Development(), PerSec: c.Limits.PerSecond,
		Service: gateway.ServiceOf,
	}, nil
}

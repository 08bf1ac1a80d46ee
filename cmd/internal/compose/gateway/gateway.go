// Package gateway wires the gateway, the single entry, and what staff do through it. Begin with New (gateway.go).
package gateway

import (
	"context"
	"net/http"

	"phonebill/adapters/internalclient"
	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/gateway"
	"phonebill/adapters/rest/opsapi"
	"phonebill/adapters/valkey"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/service"
)

// Upstreams are the services behind the gateway: proxies when deployed, their own handlers in the all-in-one.
type Upstreams struct{ Auth, Bill, Product http.Handler }

// NewWithProxies wires the gateway in front of the services' instances at their origins.
func NewWithProxies(ctx context.Context, c Config, t service.Tools) (*boot.Unit, error) {
	b := begin(c, t)
	p, err := newPools(ctx, c.Upstreams, b)
	if err != nil {
		return b.Fail(err)
	}
	up, err := p.proxies(b)
	if err != nil {
		return b.Fail(err)
	}
	return finish(ctx, c, up, p.auth, b)
}

// New wires the gateway in front of the upstreams.
func New(ctx context.Context, c Config, up Upstreams, t service.Tools) (*boot.Unit, error) {
	return finish(ctx, c, up, nil, begin(c, t))
}

func begin(c Config, t service.Tools) *service.Builder {
	return service.Begin("gateway", service.Listen{Addr: c.Addr, Internal: c.Internal, Draining: c.Draining}, t)
}

// finish wires everything behind the proxies. keys is how the auth service's public keys are fetched; nil for directly.
func finish(
	ctx context.Context, c Config, up Upstreams, keys http.RoundTripper, b *service.Builder,
) (*boot.Unit, error) {
	if err := c.Audit.Distinct(c.Auth.Token); err != nil {
		return b.Fail(err)
	}

	// The check of tokens.
	var cache *valkey.Client
	if c.Cache.Addr != "" {
		var err error
		if cache, err = b.OpenCache(ctx, c.Cache); err != nil {
			return b.Fail(err)
		}
	}
	auth := internalclient.NewAuth(c.Auth.URL, c.Auth.InternalURL, c.Auth.Token)
	if keys != nil {
		auth = auth.WithKeysThrough(keys)
	}
	guard, err := b.GuardBy(auth, c.Auth.Token, cache)
	if err != nil {
		return b.Fail(err)
	}

	// What staff do, recorded by the auth service.
	staff, err := NewStaff(
		c.Instances, c.Auth.Token, auth.WithAuditCredential(c.Audit.AuditToken), b.Report, b.Tools)
	if err != nil {
		return b.Fail(err)
	}
	overview := staff.Overview()
	overview.Report = func(ctx context.Context, err error) {
		b.Log.WarnContext(ctx, "staff asked for an instance that does not answer", "error", err.Error())
	}
	own := &opsapi.Handlers{
		Overview: overview, Desk: staff.Deliveries(), Parked: staff.ParkedChanges(), Timelines: staff.Timelines(),
		Requests: staff.Requests(auth.WithAuditCredential(c.Audit.AuditToken)),
	}

	handler, err := gateway.New(gateway.Config{
		Auth: up.Auth, Bill: up.Bill, Product: up.Product, Operations: own.Mount, Health: b.Probes(),
		Authenticator: contract.AccessGuard{Guard: guard, Log: b.Log}, Log: b.Log, Registry: b.Registry, Clock: b.Now,
		Trusted: c.TrustedProxies,
	})
	if err != nil {
		return b.Fail(err)
	}
	b.Unit.Handler, b.Unit.InternalHandler = handler, b.Mux
	return b.Unit, nil
}

// Package gateway wires the gateway, the single entry, and what staff do through it. Begin with New (gateway.go).
package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"

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

// Proxies returns upstreams at their origins.
func Proxies(c Config, t service.Tools) (Upstreams, error) {
	proxy := func(origin string) (http.Handler, error) {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" {
			return nil, errors.New("not an origin: " + origin)
		}
		return gateway.NewProxy(u, t.Log, t.Now), nil
	}
	auth, err1 := proxy(c.Auth.URL)
	bill, err2 := proxy(c.Upstreams.Bill)
	product, err3 := proxy(c.Upstreams.Product)
	return Upstreams{auth, bill, product}, errors.Join(err1, err2, err3)
}

// NewWithProxies wires the gateway in front of upstreams at their origins.
func NewWithProxies(ctx context.Context, c Config, t service.Tools) (*boot.Unit, error) {
	up, err := Proxies(c, t)
	if err != nil {
		return nil, err
	}
	return New(ctx, c, up, t)
}

// New wires the gateway in front of the upstreams.
func New(ctx context.Context, c Config, up Upstreams, t service.Tools) (*boot.Unit, error) {
	b := service.Begin("gateway", service.Listen{Addr: c.Addr, Internal: c.Internal}, t)
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
	guard, err := b.GuardByAuth(c.Auth, cache)
	if err != nil {
		return b.Fail(err)
	}

	// What staff do, recorded by the auth service.
	auth := internalclient.NewAuth(c.Auth.URL, c.Auth.InternalURL, c.Auth.Token).WithAuditCredential(c.Audit.AuditToken)
	staff, err := NewStaff(c.Instances, c.Auth.Token, auth, b.Report, b.Tools)
	if err != nil {
		return b.Fail(err)
	}
	overview := staff.Overview()
	overview.Report = func(ctx context.Context, err error) {
		b.Log.WarnContext(ctx, "staff asked for an instance that does not answer", "error", err.Error())
	}
	own := &opsapi.Handlers{
		Overview: overview, Desk: staff.Deliveries(), Parked: staff.ParkedChanges(), Timelines: staff.Timelines(),
		Requests: staff.Requests(auth),
	}

	handler, err := gateway.New(gateway.Config{
		Auth: up.Auth, Bill: up.Bill, Product: up.Product, Operations: own.Mount, Health: b.Probes(),
		Authenticator: contract.AccessGuard{Guard: guard, Log: b.Log}, Log: b.Log, Registry: b.Registry, Clock: b.Now,
		Trusted: c.TrustedProxies, SandboxLogins: c.Portal.SandboxLogins,
	})
	if err != nil {
		return b.Fail(err)
	}
	b.Unit.Handler, b.Unit.InternalHandler = handler, b.Mux
	return b.Unit, nil
}

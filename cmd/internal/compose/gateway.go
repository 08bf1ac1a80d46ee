package compose

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
)

// Upstreams are the services behind the gateway: proxies when deployed, their own handlers in the all-in-one.
type Upstreams struct{ Auth, Bill, Product http.Handler }

// Proxies answers upstreams at their origins.
func Proxies(c GatewayConfig, t Tools) (Upstreams, error) {
	proxy := func(origin string) (http.Handler, error) {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" {
			return nil, errors.New("not an origin: " + origin)
		}
		return gateway.NewProxy(u, t.Log, t.Now), nil
	}
	auth, err1 := proxy(c.Auth.URL)
	bill, err2 := proxy(c.BillService)
	product, err3 := proxy(c.ProductService)
	return Upstreams{auth, bill, product}, errors.Join(err1, err2, err3)
}

// Gateway wires the gateway in front of the upstreams.
func Gateway(ctx context.Context, c GatewayConfig, up Upstreams, t Tools) (*boot.Unit, error) {
	p := begin("gateway", c.Listen, t)
	var cache *valkey.Client
	if c.Cache.Addr != "" {
		var err error
		if cache, err = p.cache(ctx, c.Cache); err != nil {
			return p.failed(err)
		}
	}
	guard, err := p.guardBy(c.Auth, cache)
	if err != nil {
		return p.failed(err)
	}
	seen, err := Overview(c.Instances, c.Auth.Token, func(ctx context.Context, err error) {
		p.Log.WarnContext(ctx, "staff asked for an instance that does not answer", "error", err.Error())
	})
	if err != nil {
		return p.failed(err)
	}
	if err := distinct(c.Auth.Token, c.AuditToken); err != nil {
		return p.failed(err)
	}
	log := internalclient.NewAuth(c.Auth.URL, c.Auth.InternalURL, c.Auth.Token).WithAuditCredential(c.AuditToken)
	told, err := Desk(c.Instances, c.Auth.Token, log, p.report, p.Tools)
	if err != nil {
		return p.failed(err)
	}
	undecided, err := ParkedDesk(c.Instances, c.Auth.Token, log, p.report, p.Tools)
	if err != nil {
		return p.failed(err)
	}
	stories, err := Timelines(c.Instances, c.Auth.Token, log, p.report, p.Tools)
	if err != nil {
		return p.failed(err)
	}
	found, err := RequestDesk(c.Instances, c.Auth.Token, log, log, p.report, p.Tools)
	if err != nil {
		return p.failed(err)
	}
	own := &opsapi.Handlers{Overview: seen, Desk: told, Parked: undecided, Timelines: stories, Requests: found}
	handler, err := gateway.New(gateway.Config{
		Auth: up.Auth, Bill: up.Bill, Product: up.Product, Operations: own.Mount, Health: p.probes(),
		Authenticator: contract.AccessGuard{Guard: guard, Log: p.Log}, Log: p.Log, Registry: p.registry, Clock: p.Now, Trusted: c.Trusted,
	})
	if err != nil {
		return p.failed(err)
	}
	p.unit.Handler, p.unit.Inside = handler, p.inside
	return p.unit, nil
}

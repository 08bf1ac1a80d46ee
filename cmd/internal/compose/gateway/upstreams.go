package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"

	"phonebill/adapters/rest/gateway"
	"phonebill/adapters/rest/gateway/pool"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/operations"
	"phonebill/openapi"
)

// pools are the instances of the services.
type pools struct{ auth, bill, product *pool.Pool }

// newPools finds the instances, and adds the workers that check their health.
func newPools(ctx context.Context, o Origins, b *service.Builder) (pools, error) {
	metrics, err := pool.NewMetrics(b.Registry)
	if err != nil {
		return pools{}, err
	}
	open := func(name string, origins []string) (*pool.Pool, error) {
		targets, err := pool.ParseTargets(origins)
		if err != nil {
			return nil, err
		}
		c := pool.Default()
		c.Service, c.Targets, c.Metrics, c.Resolver = name, targets, metrics, net.DefaultResolver
		c.Log, c.Now, c.Random = b.Log, b.Now, b.Random
		if b.Identity != nil {
			c.DialTLS = b.Identity.DialAs
		}
		p := pool.New(ctx, c)
		b.Unit.Workers = append(b.Unit.Workers, p.Run)
		return p, nil
	}
	auth, err1 := open(service.Auth, o.Auth)
	bill, err2 := open(service.Bill, o.Bill)
	product, err3 := open(service.Product, o.Product)
	return pools{auth, bill, product}, errors.Join(err1, err2, err3)
}

// proxies returns the upstreams behind the pools.
func (p pools) proxies(b *service.Builder) (Upstreams, error) {
	proxy := func(file string, instances *pool.Pool) (http.Handler, error) {
		return gateway.NewProxy(file, instances, b.Log, b.Now)
	}
	auth, err1 := proxy(openapi.Auth, p.auth)
	bill, err2 := proxy(openapi.Bill, p.bill)
	product, err3 := proxy(openapi.Product, p.product)
	return Upstreams{
		Auth: auth, Bill: bill, Product: product,
		Causes: []func() operations.Causes{p.auth.Causes, p.bill.Causes, p.product.Causes},
	}, errors.Join(err1, err2, err3)
}

// status adds to what the gateway says about itself how it sees the services: nothing when it calls their handlers.
func (p pools) status(own operations.Status) operations.Status {
	if p.auth == nil {
		return own
	}
	for _, one := range []*pool.Pool{p.auth, p.bill, p.product} {
		u := toUpstream(one.Snapshot())
		own.Upstreams, own.Breakers = append(own.Upstreams, u), append(own.Breakers, u.Breaker)
	}
	return own
}

func toUpstream(s pool.Snapshot) operations.Upstream {
	u := operations.Upstream{
		Service: s.Service, Limit: s.Limit, InFlight: s.InFlight, Waiting: s.Waiting,
		Breaker: operations.Breaker{
			Name: s.Service, State: operations.Closed, Failures: s.Breaker.Failures, Since: s.Breaker.Since,
			RetryAt: s.Breaker.RetryAt,
		},
	}
	if s.Breaker.Open {
		u.Breaker.State = operations.Open
	}
	for _, i := range s.Instances {
		u.Instances = append(u.Instances, operations.UpstreamInstance{
			Name: i.Address, State: i.State, InFlight: int(i.InFlight), Failures: i.Failures, Since: i.Since,
		})
	}
	return u
}

package allinone

import (
	"context"
	"path/filepath"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/auth"
	"phonebill/cmd/internal/compose/billinquiry"
	"phonebill/cmd/internal/compose/gateway"
	"phonebill/cmd/internal/compose/productchange"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/simulators"
	"phonebill/core/operations"
)

// Names of the parts beside service.Bill and service.Product: those of their programs.
const (
	kosName     = "kos-simulator"
	apName      = "mvnoap-simulator"
	authName    = "auth"
	gatewayName = "gateway"
)

// part is a simulator, a service or the gateway, in one process with the others or in its own.
type part struct {
	name      string
	variables []boot.Variable
	own       map[string]string // its variables beside those that are given to all
	// listeners checks the configuration and returns the addresses of the two listeners.
	listeners func(boot.Env) (service.Listen, error)
	// wire wires the part with the parts before it.
	wire func(ctx context.Context, env boot.Env, before units) (*boot.Unit, error)
	// url and internalURL are the variables by which the other parts find its listeners; empty for none.
	url, internalURL string
}

// units are parts that run already, by name.
type units = map[string]*boot.Unit

// urls are the variables by which the other parts find the part.
func (p part) urls(at site) map[string]string {
	all := map[string]string{p.url: at.url, p.internalURL: at.internal}
	delete(all, "")
	return all
}

// newPart returns the part whose configuration is a C. at returns the addresses of its listeners.
func newPart[C any](
	p part, load func(boot.Env) (C, error), at func(C) (public, internal string),
	wire func(ctx context.Context, c C, before units) (*boot.Unit, error),
) part {
	p.variables = boot.Variables[C]()
	p.listeners = func(env boot.Env) (service.Listen, error) {
		c, err := load(env)
		public, internal := at(c)
		return service.Listen{Addr: public, Internal: internal}, err
	}
	p.wire = func(ctx context.Context, env boot.Env, before units) (*boot.Unit, error) {
		c, err := load(env)
		if err != nil {
			return nil, err
		}
		return wire(ctx, c, before)
	}
	return p
}

// parts are the whole system in the order in which it starts.
func (s *system) parts() []part {
	folder := func(name string) map[string]string { return map[string]string{"STATE_DIR": filepath.Join(s.dir, name)} }
	return []part{
		newPart(part{name: kosName, own: folder("kos"), url: "KOS_URL"}, simulators.LoadKOS,
			func(c simulators.KOS) (string, string) { return c.Addr, c.Control },
			func(ctx context.Context, c simulators.KOS, _ units) (*boot.Unit, error) {
				return simulators.NewKOS(ctx, c, s.tools.Log)
			}),
		newPart(part{name: apName, own: folder("mvnoap"), url: "MVNOAP_URL"}, simulators.LoadAP,
			func(c simulators.AP) (string, string) { return c.Addr, c.Control },
			func(ctx context.Context, c simulators.AP, _ units) (*boot.Unit, error) {
				return simulators.NewAP(ctx, c, s.tools.Log)
			}),
		newPart(part{name: authName, url: "AUTH_URL", internalURL: "AUTH_INTERNAL_URL"}, auth.Load,
			func(c auth.Config) (string, string) { return c.Addr, c.Internal },
			func(ctx context.Context, c auth.Config, _ units) (*boot.Unit, error) {
				c.Peers.Trusted = nil // the gateway calls its handler; any other caller is a client
				return auth.New(ctx, c, s.tools)
			}),
		newPart(part{name: service.Bill, url: "BILL_URL", internalURL: "BILL_INTERNAL_URLS"}, billinquiry.Load,
			func(c billinquiry.Config) (string, string) { return c.Addr, c.Internal },
			func(ctx context.Context, c billinquiry.Config, _ units) (*boot.Unit, error) {
				c.Peers.Trusted = nil
				return billinquiry.New(ctx, c, s.tools)
			}),
		newPart(part{name: service.Product, url: "PRODUCT_URL", internalURL: "PRODUCT_INTERNAL_URLS"}, productchange.Load,
			func(c productchange.Config) (string, string) { return c.Addr, c.Internal },
			func(ctx context.Context, c productchange.Config, _ units) (*boot.Unit, error) {
				c.Peers.Trusted = nil
				return productchange.New(ctx, c, s.tools)
			}),
		newPart(part{name: gatewayName}, gateway.Load,
			func(c gateway.Config) (string, string) { return c.Addr, c.Internal },
			func(ctx context.Context, c gateway.Config, before units) (*boot.Unit, error) {
				auth, bill, product := before[authName], before[service.Bill], before[service.Product]
				return gateway.New(ctx, c, gateway.Upstreams{
					Auth: auth.Handler, Bill: bill.Handler, Product: product.Handler,
					Causes: []func() operations.Causes{auth.Causes, bill.Causes, product.Causes},
				}, s.tools)
			}),
	}
}

// before are the parts that were started before the next one.
func (o *oneProcess) before() units {
	all := units{}
	for _, u := range o.units {
		all[u.Name] = u
	}
	return all
}

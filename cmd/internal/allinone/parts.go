package allinone

import (
	"context"
	"net/http"
	"path/filepath"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/auth"
	"phonebill/cmd/internal/compose/billinquiry"
	"phonebill/cmd/internal/compose/gateway"
	"phonebill/cmd/internal/compose/productchange"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/simulators"
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
	// wire wires the part with the handlers of the parts before it, by name.
	wire func(ctx context.Context, env boot.Env, before map[string]http.Handler) (*boot.Unit, error)
	// urls are the variables by which the other parts find it.
	urls func(at site) map[string]string
}

// parts are the whole system in the order in which it starts.
func (s *system) parts() []part {
	folder := func(name string) map[string]string { return map[string]string{"STATE_DIR": filepath.Join(s.dir, name)} }
	return []part{
		{
			name: kosName, variables: boot.Variables[simulators.KOS](), own: folder("kos"),
			listeners: listeners(simulators.LoadKOS, func(c simulators.KOS) (string, string) { return c.Addr, c.Control }),
			wire: func(_ context.Context, env boot.Env, _ map[string]http.Handler) (*boot.Unit, error) {
				c, err := simulators.LoadKOS(env)
				if err != nil {
					return nil, err
				}
				return simulators.NewKOS(c)
			},
			urls: func(at site) map[string]string { return map[string]string{"KOS_URL": at.url} },
		},
		{
			name: apName, variables: boot.Variables[simulators.AP](), own: folder("mvnoap"),
			listeners: listeners(simulators.LoadAP, func(c simulators.AP) (string, string) { return c.Addr, c.Control }),
			wire: func(_ context.Context, env boot.Env, _ map[string]http.Handler) (*boot.Unit, error) {
				c, err := simulators.LoadAP(env)
				if err != nil {
					return nil, err
				}
				return simulators.NewAP(c)
			},
			urls: func(at site) map[string]string { return map[string]string{"MVNOAP_URL": at.url} },
		},
		{
			name: authName, variables: boot.Variables[auth.Config](),
			listeners: listeners(auth.Load, func(c auth.Config) (string, string) { return c.Addr, c.Internal }),
			wire: func(ctx context.Context, env boot.Env, _ map[string]http.Handler) (*boot.Unit, error) {
				c, err := auth.Load(env)
				if err != nil {
					return nil, err
				}
				c.Peers.Trusted = nil // the gateway calls its handler; whoever else calls is a client
				return auth.New(ctx, c, s.tools)
			},
			urls: func(at site) map[string]string {
				return map[string]string{"AUTH_URL": at.url, "AUTH_INTERNAL_URL": at.internal}
			},
		},
		{
			name: service.Bill, variables: boot.Variables[billinquiry.Config](),
			listeners: listeners(billinquiry.Load, func(c billinquiry.Config) (string, string) { return c.Addr, c.Internal }),
			wire: func(ctx context.Context, env boot.Env, _ map[string]http.Handler) (*boot.Unit, error) {
				c, err := billinquiry.Load(env)
				if err != nil {
					return nil, err
				}
				c.Peers.Trusted = nil
				return billinquiry.New(ctx, c, s.tools)
			},
			urls: func(at site) map[string]string {
				return map[string]string{"BILL_URL": at.url, "BILL_INTERNAL_URLS": at.internal}
			},
		},
		{
			name: service.Product, variables: boot.Variables[productchange.Config](),
			listeners: listeners(productchange.Load, func(c productchange.Config) (string, string) {
				return c.Addr, c.Internal
			}),
			wire: func(ctx context.Context, env boot.Env, _ map[string]http.Handler) (*boot.Unit, error) {
				c, err := productchange.Load(env)
				if err != nil {
					return nil, err
				}
				c.Peers.Trusted = nil
				return productchange.New(ctx, c, s.tools)
			},
			urls: func(at site) map[string]string {
				return map[string]string{"PRODUCT_URL": at.url, "PRODUCT_INTERNAL_URLS": at.internal}
			},
		},
		{
			name: gatewayName, variables: boot.Variables[gateway.Config](),
			listeners: listeners(gateway.Load, func(c gateway.Config) (string, string) { return c.Addr, c.Internal }),
			wire: func(ctx context.Context, env boot.Env, before map[string]http.Handler) (*boot.Unit, error) {
				c, err := gateway.Load(env)
				if err != nil {
					return nil, err
				}
				return gateway.New(ctx, c, gateway.Upstreams{
					Auth: before[authName], Bill: before[service.Bill], Product: before[service.Product],
				}, s.tools)
			},
			urls: func(site) map[string]string { return nil },
		},
	}
}

func listeners[C any](
	load func(boot.Env) (C, error), of func(C) (public, internal string),
) func(boot.Env) (service.Listen, error) {
	return func(env boot.Env) (service.Listen, error) {
		c, err := load(env)
		public, internal := of(c)
		return service.Listen{Addr: public, Internal: internal}, err
	}
}

// handlers are those of the parts that run already, by name.
func (o *oneProcess) handlers() map[string]http.Handler {
	all := map[string]http.Handler{}
	for _, u := range o.units {
		all[u.Name] = u.Handler
	}
	return all
}

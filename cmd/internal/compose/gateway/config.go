package gateway

import (
	"net/netip"

	"phonebill/adapters/rest/gateway/pool"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/service"
)

// Config is the environment of the gateway. Without a cache it learns of revocations by pulling alone.
type Config struct {
	// Public listener of the gateway.
	Addr string `env:"GATEWAY_ADDR" envDefault:"127.0.0.1:8080"`
	// Internal listener of the gateway: `/metrics`, probes; keep it private.
	Internal string `env:"GATEWAY_INTERNAL_ADDR" envDefault:"127.0.0.1:9080"`
	// Networks of the load balancers before the gateway, whose `X-Forwarded-For` it believes: the rightmost address
	// that is not one of them is the client's. Without it all customers behind a balancer share one address, and its
	// throttle.
	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES"`
	Cache          service.Cache
	Auth           service.AuthLink
	Audit          service.AuditCredential
	Upstreams      Origins
	Instances      Instances
	Draining       boot.Draining
	Process        boot.Process
}

// Origins are where the instances of the services behind the gateway are (docs/upstreams.md).
type Origins struct {
	// The gateway takes several instances, separated by commas, or a name that stands for them, as in `BILL_URL`.
	Auth []string `env:"AUTH_URL" envDefault:"http://127.0.0.1:8081"`
	// Origins of the bill inquiry service's instances, separated by commas. `dns+http://name:port` stands for an
	// instance at each address of a name, `dns+srv+http://_service._tcp.name` for one at each SRV record; both are
	// looked up every 5 s ([docs/upstreams.md](docs/upstreams.md)).
	Bill []string `env:"BILL_URL" envDefault:"http://127.0.0.1:8082"`
	// The same of the product change service.
	Product []string `env:"PRODUCT_URL" envDefault:"http://127.0.0.1:8083"`
}

// Validate implements boot.Config.
func (o Origins) Validate(f *boot.Faults) {
	for key, list := range map[string][]string{"AUTH_URL": o.Auth, "BILL_URL": o.Bill, "PRODUCT_URL": o.Product} {
		_, err := pool.ParseTargets(list)
		f.Add(key, err)
	}
}

// Instances are the instances of the services that staff look at, by the origins of their internal listeners.
type Instances struct {
	// The internal origins of the bill inquiry service's instances, separated by commas: those that the gateway's
	// `/ops` pages show ([docs/operations.md](docs/operations.md)).
	Bill []string `env:"BILL_INTERNAL_URLS" envDefault:"http://127.0.0.1:9082"`
	// The same of the product change service.
	Product []string `env:"PRODUCT_INTERNAL_URLS" envDefault:"http://127.0.0.1:9083"`
}

// Load reads the configuration; its error names every fault.
func Load(env boot.Env) (Config, error) { return boot.Load[Config](env) }

// Validate implements boot.Config.
func (c Config) Validate(f *boot.Faults) {
	service.CheckNetworks(f, "TRUSTED_PROXIES", c.TrustedProxies)
	c.Cache.Validate(f)
	c.Auth.Validate(f)
	c.Audit.Validate(f)
	c.Upstreams.Validate(f)
	c.Process.Validate(f)
}

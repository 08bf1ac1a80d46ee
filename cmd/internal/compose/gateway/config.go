package gateway

import (
	"net/netip"

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
	Portal         Portal
	Process        boot.Process
}

// Origins are the services behind the gateway, beside the auth service.
type Origins struct {
	// Origin of the bill inquiry service.
	Bill string `env:"BILL_URL" envDefault:"http://127.0.0.1:8082"`
	// Origin of the product change service.
	Product string `env:"PRODUCT_URL" envDefault:"http://127.0.0.1:8083"`
}

// Instances are the instances of the services that staff look at, by the origins of their internal listeners.
type Instances struct {
	// The internal origins of the bill inquiry service's instances, separated by commas: those that the gateway's
	// `/ops` pages show ([docs/operations.md](docs/operations.md)).
	Bill []string `env:"BILL_INTERNAL_URLS" envDefault:"http://127.0.0.1:9082"`
	// The same of the product change service.
	Product []string `env:"PRODUCT_INTERNAL_URLS" envDefault:"http://127.0.0.1:9083"`
}

// Portal is the developer portal, `/docs`.
type Portal struct {
	// Ids of demo accounts, separated by commas, as `ID` or `ID:LINE`, that the login form of `/docs` suggests. Only for
	// development, where the all-in-one sets it; passwords have no place here.
	SandboxLogins []string `env:"PORTAL_SANDBOX_LOGINS"`
}

// Load reads the configuration; its error names every fault.
func Load(env boot.Env) (Config, error) { return boot.Load[Config](env) }

// Validate implements boot.Config.
func (c Config) Validate(f *boot.Faults) {
	service.CheckNetworks(f, "TRUSTED_PROXIES", c.TrustedProxies)
	c.Cache.Validate(f)
	c.Auth.Validate(f)
	c.Audit.Validate(f)
	f.Weakens("PORTAL_SANDBOX_LOGINS", len(c.Portal.SandboxLogins) > 0, "it shows ids of accounts to everybody")
	c.Process.Validate(f)
}

package gateway

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"phonebill/adapters/rest/gateway"
	"phonebill/adapters/rest/gateway/pool"
	"phonebill/adapters/rest/middleware"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/ratelimit"
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
	// The one header that those load balancers write: `X-Forwarded-For` or `Forwarded` (RFC 7239).
	ForwardedHeader string `env:"FORWARDED_HEADER" envDefault:"X-Forwarded-For"`
	// `true`: those load balancers begin a connection with a PROXY protocol header (version 1 or 2), which states the
	// client's address; for balancers that pass on TCP. Nobody else's header is believed.
	ProxyProtocol bool `env:"PROXY_PROTOCOL" envDefault:"false"`
	// Origins of the web pages that may call the gateway from a browser, like `https://app.example.com`, separated by
	// commas ([docs/browsers.md](docs/browsers.md)).
	Origins gateway.Origins `env:"CORS_ORIGINS"`
	// Names by which the gateway is called, like `api.example.com`, separated by commas; requests for another host are
	// refused. Without it every name is served.
	Hosts     []string `env:"GATEWAY_HOSTS"`
	TLS       TLS
	Identity  service.Identity
	Cache     service.Cache
	Auth      service.AuthLink
	Audit     service.AuditCredential
	Upstreams Origins
	Instances Instances
	Limits    Limits
	Firewall  Firewall
	Portal    Portal
	Draining  boot.Draining
	Process   boot.Process
}

// TLS is the certificate of the public listener.
type TLS struct {
	// The certificate of the public listener, in PEM form, followed by those between it and the root. With it the
	// listener speaks TLS 1.3 and HTTP/2 alone; it is read again when it changes ([docs/tls.md](docs/tls.md)). Without it
	// the listener speaks plain HTTP, for a load balancer that ends TLS.
	Cert string `env:"TLS_CERT_FILE"`
	// Its key.
	Key string `env:"TLS_KEY_FILE"`
}

// Validate implements boot.Config.
func (t TLS) Validate(f *boot.Faults) {
	if (t.Cert == "") != (t.Key == "") {
		f.Add("TLS_CERT_FILE", errors.New("TLS_CERT_FILE and TLS_KEY_FILE belong together"))
	}
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
	// The internal origins of the bill inquiry service's instances, separated by commas, or names that stand for them, in
	// the forms of `BILL_URL`: those that the gateway's `/ops` pages show ([docs/operations.md](docs/operations.md)).
	Bill []string `env:"BILL_INTERNAL_URLS" envDefault:"http://127.0.0.1:9082"`
	// The same of the product change service.
	Product []string `env:"PRODUCT_INTERNAL_URLS" envDefault:"http://127.0.0.1:9083"`
	// The same of the auth service; without it the origins of `AUTH_INTERNAL_URL`, which takes no names.
	Auth []string `env:"AUTH_INTERNAL_URLS"`
	// The same of the gateways. A gateway shows itself in any case, and without it itself alone; `phonebillctl` then asks
	// `http://127.0.0.1:9080`.
	Gateway []string `env:"GATEWAY_INTERNAL_URLS"`
}

// Validate implements boot.Config.
func (i Instances) Validate(f *boot.Faults) {
	for key, list := range map[string][]string{
		"BILL_INTERNAL_URLS": i.Bill, "PRODUCT_INTERNAL_URLS": i.Product, "AUTH_INTERNAL_URLS": i.Auth,
		"GATEWAY_INTERNAL_URLS": i.Gateway,
	} {
		if len(list) > 0 {
			_, err := pool.ParseTargets(list)
			f.Add(key, err)
		}
	}
}

// WithAuth returns the instances with those of the auth service when they are not named: the origins of
// AUTH_INTERNAL_URL.
func (i Instances) WithAuth(authLink []string) Instances {
	if len(i.Auth) == 0 {
		i.Auth = authLink
	}
	return i
}

// Portal is the developer portal, `/docs`.
type Portal struct {
	// Ids of demo accounts, separated by commas, as `ID` or `ID:LINE`, that the login form of `/docs` suggests. Only for
	// development, where the all-in-one sets it; passwords have no place here.
	SandboxLogins []string `env:"PORTAL_SANDBOX_LOGINS"`
}

// Load reads the configuration; its error names every fault.
func Load(env boot.Env) (Config, error) {
	return boot.Load[Config](env, boot.ParserOf(parseOrigins), boot.ParserOf(ratelimit.ParseLimits))
}

// parseOrigins reads origins that are separated by commas or spaces.
func parseOrigins(value string) (gateway.Origins, error) {
	var all gateway.Origins
	for _, s := range strings.FieldsFunc(value, func(c rune) bool { return c == ',' || c == ' ' }) {
		origin, err := gateway.ParseOrigin(s)
		if err != nil {
			return nil, err
		}
		all = append(all, origin)
	}
	return all, nil
}

// Validate implements boot.Config.
func (c Config) Validate(f *boot.Faults) {
	service.CheckNetworks(f, "TRUSTED_PROXIES", c.TrustedProxies)
	if !slices.Contains([]string{middleware.ForwardedFor, middleware.Forwarded}, c.ForwardedHeader) {
		f.Add("FORWARDED_HEADER", errors.New("it is neither X-Forwarded-For nor Forwarded"))
	}
	if c.ProxyProtocol && len(c.TrustedProxies) == 0 {
		f.Add("PROXY_PROTOCOL", errors.New("it needs TRUSTED_PROXIES, whose headers are believed"))
	}
	plain := slices.ContainsFunc(c.Origins, func(o string) bool { return strings.HasPrefix(o, "http:") })
	f.Weakens("CORS_ORIGINS", plain, "a page without TLS can be changed on its way, and would call for the customer")
	c.TLS.Validate(f)
	c.Identity.Validate(f)
	c.Cache.Validate(f)
	c.Auth.Validate(f)
	c.Audit.Validate(f)
	c.Upstreams.Validate(f)
	c.Instances.Validate(f)
	c.Firewall.Validate(f)
	f.Weakens("PORTAL_SANDBOX_LOGINS", len(c.Portal.SandboxLogins) > 0, "it shows ids of accounts to everybody")
	c.Process.Validate(f)
}

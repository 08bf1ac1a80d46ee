package service

import (
	"errors"
	"net/netip"
	"slices"

	"phonebill/cmd/internal/boot"
	"phonebill/core/personal"
)

// Listen are a unit's two listeners, the peers whose X-Forwarded-For it believes, and how it leaves.
type Listen struct {
	Addr, Internal string
	Trusted        []netip.Prefix
	Draining       boot.Draining
}

// Peers are the gateways before a service.
type Peers struct {
	// Networks of the gateways, whose `X-Forwarded-For` the services believe.
	Trusted []netip.Prefix `env:"TRUSTED_PEERS" envDefault:"127.0.0.0/8,::1/128"`
}

// Validate implements boot.Config.
func (p Peers) Validate(f *boot.Faults) { CheckNetworks(f, "TRUSTED_PEERS", p.Trusted) }

// CheckNetworks adds a fault when trusted networks are so wide that strangers are among them.
func CheckNetworks(f *boot.Faults, key string, networks []netip.Prefix) {
	wide := slices.ContainsFunc(networks, func(p netip.Prefix) bool {
		return p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 16
	})
	f.Weakens(key, wide, "a network that wide lets strangers say from which address they come")
}

// Cache is where Valkey or Redis is.
type Cache struct {
	// Your cache, `host:port`; with `VALKEY_CLUSTER=true` one or more nodes of a cluster: `a:6379,b:6379`
	// ([docs/cache.md](docs/cache.md)). `make run` starts a private one. The gateway can do without: it then learns of
	// revocations by pulling alone.
	Addr string `env:"VALKEY_ADDR"`
	// `true`: the cache is a cluster.
	Cluster bool `env:"VALKEY_CLUSTER" envDefault:"false"`
	// The cache's password.
	Password personal.Secret `env:"VALKEY_PASSWORD"`
	// `true`: the cache is the in-process one of `make run` on a machine without a server, which knows less; in
	// development alone.
	Mini bool `env:"VALKEY_MINI" envDefault:"false"`
}

// Validate implements boot.Config.
func (c Cache) Validate(f *boot.Faults) {
	f.Weakens("VALKEY_MINI", c.Mini, "the in-process cache is for a look around")
}

// InternalAPI is what all services share.
type InternalAPI struct {
	// What gateway and services share: the internal API and the push of revocations
	// ([docs/revocation.md](docs/revocation.md)); at least 32 characters, without it no service starts. `make run` makes
	// it.
	Token personal.Secret `env:"INTERNAL_TOKEN"`
}

// Validate implements boot.Config. Without the token the internal API stands open, which only development allows.
func (i InternalAPI) Validate(f *boot.Faults) { f.Guard("INTERNAL_TOKEN", i.Token) }

// AuthLink is where the auth service is, for those that verify tokens. Without a token, in development, the internal
// API stands open.
type AuthLink struct {
	// Origins of the auth service's instances, separated by commas; the next is asked when one cannot be reached.
	URL []string `env:"AUTH_URL" envDefault:"http://127.0.0.1:8081"`
	// Origins of their internal listeners, likewise.
	InternalURL []string `env:"AUTH_INTERNAL_URL" envDefault:"http://127.0.0.1:9081"`
	InternalAPI
}

// AuditCredential is what the gateway and the auth service share with no other.
type AuditCredential struct {
	// What the gateway shares with the auth service alone: it puts what staff do through the gateway into the audit
	// log ([docs/administration.md](docs/administration.md)). At least 32 characters, the same for both and another than
	// `INTERNAL_TOKEN`; without it neither starts. `make run` makes it.
	AuditToken personal.Secret `env:"GATEWAY_AUDIT_TOKEN"`
}

// Validate implements boot.Config.
func (a AuditCredential) Validate(f *boot.Faults) { f.Guard("GATEWAY_AUDIT_TOKEN", a.AuditToken) }

// Distinct returns an error when the credential is the token that every service has.
func (a AuditCredential) Distinct(shared personal.Secret) error {
	if a.AuditToken.Reveal() != "" && a.AuditToken == shared {
		return errors.New("GATEWAY_AUDIT_TOKEN is that of INTERNAL_TOKEN, which every service has: it must be another")
	}
	return nil
}

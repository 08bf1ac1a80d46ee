// Package gateway wires the gateway, the single entry, and what staff do through it. Begin with New (gateway.go).
package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/pires/go-proxyproto"

	"phonebill/adapters/internalclient"
	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/gateway"
	"phonebill/adapters/rest/gateway/pool"
	"phonebill/adapters/rest/internalapi"
	"phonebill/adapters/rest/middleware"
	"phonebill/adapters/rest/opsapi"
	"phonebill/adapters/tlsfiles"
	"phonebill/adapters/valkey"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/auth"
	"phonebill/core/auth/keys"
	"phonebill/core/fault"
	"phonebill/core/operations"
	"phonebill/core/personal"
)

// Upstreams are the services behind the gateway: proxies when deployed, their own handlers in the all-in-one. Causes
// are what the services go on without; none may block.
type Upstreams struct {
	Auth, Bill, Product http.Handler
	Causes              []func() operations.Causes
}

// NewWithProxies wires the gateway in front of the services' instances at their origins.
func NewWithProxies(ctx context.Context, c Config, t service.Tools) (*boot.Unit, error) {
	b := begin(c, t)
	if err := b.UseIdentity(c.Identity); err != nil {
		return b.Fail(err)
	}
	p, err := newPools(ctx, c.Upstreams, b)
	if err != nil {
		return b.Fail(err)
	}
	up, err := p.proxies(b)
	if err != nil {
		return b.Fail(err)
	}
	return finish(ctx, c, up, p, b)
}

// New wires the gateway in front of the upstreams.
func New(ctx context.Context, c Config, up Upstreams, t service.Tools) (*boot.Unit, error) {
	b := begin(c, t)
	if err := b.UseIdentity(c.Identity); err != nil {
		return b.Fail(err)
	}
	return finish(ctx, c, up, pools{}, b)
}

func begin(c Config, t service.Tools) *service.Builder {
	return service.Begin(service.Gateway, service.Listen{Addr: c.Addr, Internal: c.Internal, Draining: c.Draining}, t)
}

// finish wires everything behind the proxies. The public keys of the auth service are fetched through its pool, and
// directly when there is none.
func finish(ctx context.Context, c Config, up Upstreams, p pools, b *service.Builder) (*boot.Unit, error) {
	if err := c.Audit.Distinct(c.Auth.Token); err != nil {
		return b.Fail(err)
	}
	if c.ProxyProtocol {
		b.Unit.PublicConnections = proxied(c.TrustedProxies)
	}
	if c.TLS.Cert != "" {
		files, err := b.OpenCertificate("public", tlsfiles.Paths{Cert: c.TLS.Cert, Key: c.TLS.Key})
		if err != nil {
			return b.Fail(err)
		}
		b.Unit.PublicTLS = &boot.TLS{Config: files.Server()}
	}

	// The check of tokens.
	var cache *valkey.Client
	if c.Cache.Addr != "" {
		var err error
		if cache, err = b.OpenCache(ctx, c.Cache); err != nil {
			return b.Fail(err)
		}
	}
	link := internalclient.NewAuth(b.Via, c.Auth.URL, c.Auth.InternalURL, c.Auth.Token)
	if p.auth != nil {
		link = link.WithKeysThrough(p.auth)
	}
	guard, err := b.GuardBy(link, c.Auth.Token, cache)
	if err != nil {
		return b.Fail(err)
	}
	clients := middleware.Clients{
		Trusted: c.TrustedProxies, Header: c.ForwardedHeader, Identify: identify(b.RecogniseServices(link)),
	}

	// What staff do, recorded by the auth service.
	trail := link.WithAuditCredential(c.Audit.AuditToken)
	instances := c.Instances.WithAuth(c.Auth.InternalURL)
	staff, err := NewStaff(staffAccess(b, c.Auth.Token), instances, trail, b.Report, b.Tools)
	if err != nil {
		return b.Fail(err)
	}
	if staff.services.HasNames() {
		b.Worker("instances for staff", pool.Default().LookupEvery, staff.lookUp)
	}
	b.Internal.Token = c.Auth.Token
	b.Internal.Status = func(ctx context.Context) operations.Status { return p.status(b.Status(ctx)) }
	b.Mux.Handle(internalapi.Base, b.Internal.Handler())
	overview := staff.Overview()
	overview.Self = func(ctx context.Context) operations.Answer {
		return operations.Answer{
			Instance: operations.Instance{Service: service.Gateway, Name: ownName(b.Unit.InternalAddr())},
			Status:   b.Internal.Status(ctx),
		}
	}
	overview.Report = func(ctx context.Context, err error) {
		b.Log.WarnContext(ctx, "staff asked for an instance that does not answer", "error", err.Error())
	}
	own := &opsapi.Handlers{
		Overview: overview, Desk: staff.Deliveries(), Parked: staff.ParkedChanges(), Timelines: staff.Timelines(),
		Requests: staff.Requests(trail), Maintenance: staff.Maintenance(trail.Maintenance()),
	}

	for _, causes := range up.Causes {
		b.DegradedBy(causes)
	}
	limits, err := c.rateLimits(b, cache)
	if err != nil {
		return b.Fail(err)
	}
	screen, err := c.Firewall.screen(b)
	if err != nil {
		return b.Fail(err)
	}
	handler, err := gateway.New(gateway.Config{
		Auth: up.Auth, Bill: up.Bill, Product: up.Product, Operations: own.Mount, Health: b.Probes(),
		Authenticator: contract.AccessGuard{Guard: guard, Log: b.Log}, Log: b.Log, Registry: b.Registry, Clock: b.Now,
		Clients: clients, Origins: c.Origins, Hosts: c.Hosts, Limits: limits, SandboxLogins: c.Portal.SandboxLogins,
		Screen: screen, Degradation: b.Degradation, Maintenance: followMaintenance(b, link.Maintenance()),
	})
	if err != nil {
		return b.Fail(err)
	}
	b.Unit.Handler, b.Unit.InternalHandler = handler, b.Mux
	return b.Unit, nil
}

// staffAccess is how staff's questions reach the instances.
func staffAccess(b *service.Builder, token personal.Secret) internalclient.Access {
	to := internalclient.Access{Token: token, Now: b.Now}
	if b.Identity != nil {
		to.DialTLS = b.Identity.DialAs
	}
	to.NotFound = func(ctx context.Context, service, name string, err error) {
		b.Log.WarnContext(ctx, "instances for staff are not found; those that were known are kept", "service", service,
			"target", name, "error", err)
	}
	return to
}

// ownName is what a gateway calls itself when no other name leads to it: the address of its internal listener, with the
// machine's name in place of an address that stands for all.
func ownName(listener string) string {
	at, err := netip.ParseAddrPort(listener)
	if err != nil || !at.Addr().IsUnspecified() {
		return listener
	}
	machine, err := os.Hostname()
	if err != nil {
		return listener
	}
	return net.JoinHostPort(machine, strconv.Itoa(int(at.Port())))
}

// proxied returns the listener whose connections have the client's address where a trusted proxy states it. A trusted
// proxy may leave the header out, as for its own probes; what looks like a header of another peer is part of its
// request.
func proxied(trusted []netip.Prefix) func(net.Listener) net.Listener {
	policy := func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { //nolint:unparam // the library's type
		peer, err := netip.ParseAddrPort(o.Upstream.String())
		known := slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(peer.Addr().Unmap()) })
		if err != nil || !known {
			return proxyproto.SKIP, nil //nolint:nilerr // an address that cannot be read is not trusted
		}
		return proxyproto.USE, nil
	}
	return func(ln net.Listener) net.Listener {
		return &proxyproto.Listener{Listener: ln, ConnPolicy: policy, ReadHeaderTimeout: headerTimeout}
	}
}

// headerTimeout is how long a trusted proxy may take to send the header.
const headerTimeout = 2 * time.Second

// identify returns how the gateway recognises a system that calls for its users (R-API-SERVICES). While the auth
// service cannot be asked for the keys, a credential that is not known yet is not refused: the call counts as its
// peer's own. Log-in and refresh check the credential once more.
func identify(systems *keys.Registry) func(context.Context, auth.Client, http.Header) (auth.Client, error) {
	return func(ctx context.Context, seen auth.Client, h http.Header) (auth.Client, error) {
		client, err := systems.Identify(ctx, seen, keys.ServiceRequest{
			Credential: personal.NewSecret(h.Get("X-Service-Credential")), Address: h.Get("X-End-User-Address"),
			UserAgent: h.Get("X-End-User-Agent"),
		})
		if errors.Is(err, fault.New(fault.ServiceUnavailable)) {
			return seen, nil
		}
		return client, err
	}
}

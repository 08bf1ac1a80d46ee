// Package targets finds the instances of a service: by a list of origins, or by the records of a name, which are looked
// up again and again (docs/upstreams.md). Begin with Parse and Finder.
package targets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// lookup is how the instances of a target are found.
type lookup uint8

const (
	listed     lookup = iota // the target is one instance
	byAddress                // one for each A and AAAA record
	byServices               // one for each SRV record
)

// Target is where instances of a service are: an origin, or a name whose records are looked up again and again.
type Target struct {
	scheme string // http or https
	host   string // host:port; for byServices the name of the records
	lookup lookup
}

// Parse reads a list of targets: http://host:port or https://host:port is one instance,
// dns+http://name:port (dns+https) one for each address of the name, dns+srv+http://_service._tcp.name
// (dns+srv+https) one for each SRV record.
func Parse(list []string) ([]Target, error) {
	all := make([]Target, 0, len(list))
	for _, text := range list {
		t, err := parseTarget(text)
		if err != nil {
			return nil, err
		}
		if slices.Contains(all, t) {
			return nil, fmt.Errorf("%q is named twice", text)
		}
		all = append(all, t)
	}
	if len(all) == 0 {
		return nil, errors.New("no instance is named")
	}
	return all, nil
}

func parseTarget(text string) (Target, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" ||
		u.Fragment != "" {
		return Target{}, fmt.Errorf("%q is not an origin like http://host:port", text)
	}
	scheme, how := u.Scheme, listed
	if s, ok := strings.CutPrefix(scheme, "dns+srv+"); ok {
		scheme, how = s, byServices
	} else if s, ok := strings.CutPrefix(scheme, "dns+"); ok {
		scheme, how = s, byAddress
	}
	if scheme != "http" && scheme != "https" {
		return Target{}, fmt.Errorf("%q has another scheme than http, https, dns+http(s) and dns+srv+http(s)", text)
	}
	if u.Hostname() == "" {
		return Target{}, fmt.Errorf("%q names no host", text)
	}
	t := Target{scheme: scheme, host: u.Host, lookup: how}
	switch {
	case how == byServices && u.Port() != "":
		return Target{}, fmt.Errorf("%q has a port: an SRV record names its own", text)
	case how != byServices && u.Port() == "":
		t.host = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[scheme])
	}
	return t, nil
}

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// Endpoint is one instance as it was found.
type Endpoint struct {
	Scheme  string
	Host    string // host:port that requests name, and certificates have
	Address string // host:port to connect to
}

// Label names the endpoint in metrics, in logs and for staff.
func (e Endpoint) Label() string { return e.Address }

// String returns the name whose records are looked up, or the host and port of the one instance.
func (t Target) String() string { return t.host }

// IsName reports whether the target is a name whose records change.
func (t Target) IsName() bool { return t.lookup != listed }

// Endpoints returns the instances of the target, in the order of their addresses: name servers return records in a
// changing order.
func (t Target) Endpoints(ctx context.Context, r Resolver) ([]Endpoint, error) {
	switch t.lookup {
	case byAddress:
		all, err := resolve(ctx, r, t.scheme, t.host)
		return ordered(all), err
	case byServices:
		_, records, err := r.LookupSRV(ctx, "", "", t.host)
		if err != nil {
			return nil, fmt.Errorf("targets: %w", err)
		}
		var all []Endpoint
		for _, record := range records {
			host := net.JoinHostPort(strings.TrimSuffix(record.Target, "."), strconv.Itoa(int(record.Port)))
			found, err := resolve(ctx, r, t.scheme, host)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		return ordered(all), nil
	case listed:
	}
	return []Endpoint{{t.scheme, t.host, t.host}}, nil
}

func ordered(all []Endpoint) []Endpoint {
	slices.SortFunc(all, func(a, b Endpoint) int { return cmp.Compare(a.Address, b.Address) })
	return all
}

func resolve(ctx context.Context, r Resolver, scheme, hostPort string) ([]Endpoint, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, fmt.Errorf("targets: %w", err)
	}
	addresses, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("targets: %w", err)
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("targets: %s has no address", host)
	}
	all := make([]Endpoint, 0, len(addresses))
	for _, a := range addresses {
		all = append(all, Endpoint{scheme, hostPort, net.JoinHostPort(a.Unmap().String(), port)})
	}
	return all, nil
}

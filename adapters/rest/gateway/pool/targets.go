package pool

import (
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

// ParseTargets reads a list of targets: http://host:port or https://host:port is one instance,
// dns+http://name:port (dns+https) one for each address of the name, dns+srv+http://_service._tcp.name
// (dns+srv+https) one for each SRV record.
func ParseTargets(list []string) ([]Target, error) {
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

// endpoint is one instance as it was found.
type endpoint struct {
	scheme  string
	host    string // host:port that requests name, and certificates have
	address string // host:port to connect to
}

// label names the endpoint in metrics and logs.
func (e endpoint) label() string { return e.address }

// endpoints returns the instances of the target.
func (t Target) endpoints(ctx context.Context, r Resolver) ([]endpoint, error) {
	switch t.lookup {
	case byAddress:
		return resolve(ctx, r, t.scheme, t.host)
	case byServices:
		_, records, err := r.LookupSRV(ctx, "", "", t.host)
		if err != nil {
			return nil, fmt.Errorf("pool: %w", err)
		}
		var all []endpoint
		for _, record := range records {
			host := net.JoinHostPort(strings.TrimSuffix(record.Target, "."), strconv.Itoa(int(record.Port)))
			found, err := resolve(ctx, r, t.scheme, host)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		return all, nil
	case listed:
	}
	return []endpoint{{t.scheme, t.host, t.host}}, nil
}

func resolve(ctx context.Context, r Resolver, scheme, hostPort string) ([]endpoint, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	addresses, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("pool: %s has no address", host)
	}
	all := make([]endpoint, 0, len(addresses))
	for _, a := range addresses {
		all = append(all, endpoint{scheme, hostPort, net.JoinHostPort(a.Unmap().String(), port)})
	}
	return all, nil
}

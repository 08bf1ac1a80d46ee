//go:build waf

package gateway

import (
	"phonebill/adapters/rest/gateway"
	"phonebill/adapters/rest/gateway/waf"
	"phonebill/cmd/internal/compose/service"
)

// FirewallBuilt reports whether this program has the web application firewall.
const FirewallBuilt = true

// screen returns what judges requests before they are routed; nil for nothing.
func (w Firewall) screen(b *service.Builder) (gateway.Screen, error) {
	if w.Mode == "" || w.Mode == firewallOff {
		return nil, nil
	}
	f, err := waf.New(waf.Config{
		Block: w.Mode == firewallBlock, Routes: w.Routes, Base: "/api/v1",
		Probes: []string{"/health", "/livez", "/readyz"}, Log: b.Log, Registry: b.Registry,
	})
	if err != nil {
		return nil, err
	}
	return f.Screen, nil
}

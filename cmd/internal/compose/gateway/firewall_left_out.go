//go:build !waf

package gateway

import (
	"phonebill/adapters/rest/gateway"
	"phonebill/cmd/internal/compose/service"
)

// FirewallBuilt reports whether this program has the web application firewall.
const FirewallBuilt = false

// screen returns what judges requests before they are routed; nil for nothing.
func (w Firewall) screen(*service.Builder) (gateway.Screen, error) {
	if w.Mode == "" || w.Mode == firewallOff {
		return nil, nil
	}
	return nil, errNoFirewall
}

package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"phonebill/cmd/internal/boot"
)

// Firewall is the optional web application firewall (docs/waf.md). A program has it when it was built with the tag waf.
type Firewall struct {
	// The web application firewall: `off`, `detect` (a request that looks like an attack is logged and counted) or
	// `block` (it is refused with 403). It needs a gateway that was built with `-tags waf`, and costs as much CPU as
	// many requests ([docs/waf.md](docs/waf.md)).
	Mode string `env:"WAF" envDefault:"off"`
	// Which paths it looks at, with all below them, without `/api/v1`, separated by commas: `/auth,/bills/inquiry`.
	// Without it all but the probes.
	Routes []string `env:"WAF_ROUTES"`
}

// Modes of the firewall.
const (
	firewallOff    = "off"
	firewallDetect = "detect"
	firewallBlock  = "block"
)

var errNoFirewall = errors.New("this program was built without the firewall: go build -tags waf")

// Validate implements boot.Config.
func (w Firewall) Validate(f *boot.Faults) {
	switch {
	case !slices.Contains([]string{firewallOff, firewallDetect, firewallBlock}, w.Mode):
		f.Add("WAF", errors.New("it is neither off, detect nor block"))
	case w.Mode != firewallOff && !FirewallBuilt:
		f.Add("WAF", errNoFirewall)
	}
	for _, route := range w.Routes {
		if !strings.HasPrefix(route, "/") || len(route) > 1 && strings.HasSuffix(route, "/") ||
			strings.ContainsAny(route, "*?#%{} ") || strings.HasPrefix(route, "/api/") {
			f.Add("WAF_ROUTES", fmt.Errorf("%q: a route is a path without /api/v1, like /auth or /products/change", route))
		}
	}
}

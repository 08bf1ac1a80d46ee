package ctl

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"phonebill/adapters/internalclient"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/gateway"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/devstack"
	"phonebill/core/auth"
	"phonebill/core/operations"
	"phonebill/core/quota"
	"phonebill/core/staff/cases"
	"phonebill/ports"
)

const opsHelp = `Look at the running system and its link to KOS, as the gateway's /ops pages show it.

Every instance is asked at once, on its internal listener, for a second at most. One that does not answer
stands in the list with the reason. The instances are those of GATEWAY_INTERNAL_URLS, AUTH_INTERNAL_URLS,
BILL_INTERNAL_URLS and PRODUCT_INTERNAL_URLS (origins, or names like dns+http://bill:9082, separated by
commas; default http://127.0.0.1:9080 to :9083), asked with INTERNAL_TOKEN; with none of these variables
and no AUTH_DATABASE_URL, those of the system that "make run" started. docs/operations.md says what to do
when it looks bad.`

func (c Console) ops() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ops", Short: "Look at the running system: instances, circuit breakers, KOS budget, memory",
		Long: opsHelp,
	}
	page := func(use, short string, show func([]operations.Answer, *printer), services ...string) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Example: "  phonebillctl ops " + use,
			RunE: func(cmd *cobra.Command, _ []string) error { return c.look(cmd.Context(), show, services...) },
		}
	}
	cmd.AddCommand(
		page("instances", "Show which instances run", showInstances),
		page("upstreams", "Show how the gateways see the services", showUpstreams, service.Gateway),
		page("breakers", "Show which calls are let through", showBreakers, service.Gateway, service.Bill, service.Product),
		page("quota", "Show what is left of the KOS budget, and the waiting calls", showQuota, service.Bill, service.Product),
		page("cache", "Show how often memory does", showCache, service.Bill, service.Product),
	)
	return cmd
}

// look asks all instances of the services, of all when none is named, and shows what they say. It needs the internal
// token, so it may do what an OPERATOR may.
func (c Console) look(ctx context.Context, show func([]operations.Answer, *printer), services ...string) error {
	seen, err := c.overview()
	if err != nil {
		return err
	}
	answers, err := seen.Ask(ctx, auth.Principal{Roles: []auth.Role{auth.Operator}}, services...)
	if err != nil {
		return err
	}
	p := c.printer()
	show(answers, p)
	for _, a := range operations.Unreached(answers) {
		p.line(a.Service, a.Name, fmt.Sprintf(c.lang.text("does not answer: %s"), a.Trouble))
	}
	return p.done()
}

func (c Console) overview() (*cases.Overview, error) {
	staff, err := c.staff(nil)
	if err != nil {
		return nil, err
	}
	overview := staff.Overview()
	overview.Report = func(ctx context.Context, err error) {
		c.Log.DebugContext(ctx, "an instance does not answer", "error", err.Error())
	}
	return overview, nil
}

// staff asks the services; log may be nil when nothing is changed.
func (c Console) staff(log ports.AuditLog) (*gateway.Staff, error) {
	config, err := c.services()
	if err != nil {
		return nil, err
	}
	to := internalclient.Access{Token: config.InternalAPI.Token}
	if to.DialTLS, err = config.Identity.DialAs(time.Now()); err != nil {
		return nil, err
	}
	return gateway.NewStaff(to, config.Instances.WithAuth(config.AuthInside), log, func(ctx context.Context, err error) {
		c.Log.ErrorContext(ctx, "not in the audit log", "error", err.Error())
	}, service.RealTools(c.Log))
}

// servicesConfig is where the running services are.
type servicesConfig struct {
	Instances   gateway.Instances
	InternalAPI service.InternalAPI
	Identity    service.Identity
	AuthInside  []string `env:"AUTH_INTERNAL_URL" envDefault:"http://127.0.0.1:9081"`
}

// Validate implements boot.Config.
func (c servicesConfig) Validate(f *boot.Faults) { c.Instances.Validate(f) }

// services are those of the environment, or of the system that "make run" started.
func (c Console) services() (servicesConfig, error) {
	services, err := boot.Load[servicesConfig](c.Env)
	if len(services.Instances.Gateway) == 0 {
		services.Instances.Gateway = []string{"http://127.0.0.1:9080"}
	}
	named := slices.ContainsFunc([]string{
		"BILL_INTERNAL_URLS", "PRODUCT_INTERNAL_URLS", "AUTH_INTERNAL_URLS", "GATEWAY_INTERNAL_URLS", "AUTH_DATABASE_URL",
	}, func(key string) bool { return c.Env(key) != "" })
	if err != nil || named {
		return services, err
	}
	config, err := c.config()
	if err != nil {
		return services, err
	}
	f, err := devstack.ReadDemo(filepath.Join(c.folder(), "demo.json"))
	if err != nil {
		return services, err
	}
	inside := func(service string) []string { return []string{strings.TrimSuffix(f.Metrics[service], "/metrics")} }
	services.Instances = gateway.Instances{
		Bill: inside("bill"), Product: inside("product"), Auth: inside("auth"), Gateway: inside("gateway"),
	}
	services.InternalAPI, services.Identity = config.InternalAPI, f.TLS
	return services, nil
}

func showInstances(all []operations.Answer, p *printer) {
	p.head("SERVICE", "FOUND", "READY", "NOT READY", "DRAINING", "UNKNOWN", "UNREACHABLE", "RELEASES")
	for _, f := range operations.Fleets(all) {
		p.line(f.Service, strconv.Itoa(f.Found()), strconv.Itoa(f.Ready), strconv.Itoa(f.NotReady), strconv.Itoa(f.Draining),
			strconv.Itoa(f.Unknown), strconv.Itoa(f.Unreachable), joined(f.Releases, func(r string) string { return r }))
	}
	p.line()
	p.head("SERVICE", "INSTANCE", "RELEASE", "STATE", "BEGAN", "RUNS FOR")
	for _, a := range operations.Reached(all) {
		one, runs := a.Status.Process, "-"
		if one != (operations.Process{}) {
			runs = one.Uptime.Round(time.Second).String()
		}
		p.line(a.Service, a.Name, cmp.Or(one.Release, "-"), cmp.Or(string(one.Readiness), "-"), stamp(one.Started), runs)
	}
}

func showUpstreams(all []operations.Answer, p *printer) {
	p.head("SERVICE", "GATEWAYS", "BREAKERS OPEN", "IN FLIGHT", "WAITING", "BEST VIEW", "WORST VIEW")
	for _, s := range operations.SumUpstreams(all) {
		p.line(s.Service, strconv.Itoa(s.Gateways), strconv.Itoa(s.BreakersOpen), strconv.Itoa(s.InFlight),
			strconv.Itoa(s.Waiting), p.lang.view(s.Best), p.lang.view(s.Worst))
	}
	p.line()
	p.head("GATEWAY", "SERVICE", "INSTANCE", "STATE", "IN FLIGHT", "FAILURES", "SINCE")
	for _, a := range operations.Reached(all) {
		for _, u := range a.Status.Upstreams {
			p.line(a.Name, u.Service, fmt.Sprintf(p.lang.text("all: breaker %s, %d waiting"), u.Breaker.State, u.Waiting), "",
				fmt.Sprintf("%d/%d", u.InFlight, u.Limit), strconv.Itoa(u.Breaker.Failures), stamp(u.Breaker.Since))
			for _, i := range u.Instances {
				p.line(a.Name, u.Service, i.Name, strings.ToUpper(string(i.State)), strconv.Itoa(i.InFlight),
					strconv.Itoa(i.Failures), stamp(i.Since))
			}
		}
	}
}

// view is how many instances a gateway sees in each state.
func (l lang) view(c operations.StateCounts) string {
	return fmt.Sprintf(l.text("%d up, %d ejected, %d not ready, %d down"), c.Up, c.Ejected, c.NotReady, c.Down)
}

func showBreakers(all []operations.Answer, p *printer) {
	p.head("SERVICE", "INSTANCE", "BREAKER", "STATE", "FAILURES", "SINCE", "TRIED AGAIN")
	for _, a := range operations.Reached(all) {
		for _, b := range a.Status.Breakers {
			p.line(a.Service, a.Name, b.Name, string(b.State), strconv.Itoa(b.Failures), stamp(b.Since), stamp(b.RetryAt))
		}
	}
}

func showQuota(all []operations.Answer, p *printer) {
	showLedger(operations.Ledger(all), p)
	p.head("SERVICE", "INSTANCE", "FLOOR", "HELD UNTIL")
	for _, a := range operations.Reached(all) {
		if q := a.Status.Quota; q != nil {
			p.line(a.Service, a.Name, strconv.Itoa(q.Floor.Calls), stamp(q.Floor.Until))
		}
	}
	p.line()
	p.head("SERVICE", "INSTANCE", "LANE", "WAITING", "ETA")
	for _, a := range operations.Reached(all) {
		if q := a.Status.Quota; q != nil {
			for _, lane := range quota.Lanes() {
				p.line(a.Service, a.Name, lane.String(), strconv.Itoa(q.Waiting[lane]), q.ETA[lane].Round(time.Second/10).String())
			}
		}
	}
}

func showLedger(q *operations.Quota, p *printer) {
	switch {
	case q == nil:
		p.row("budget", p.lang.text("no instance reports it"))
	case !q.Ledger:
		p.row("budget", p.lang.text("the ledger cannot be asked: each instance spends the floor that it holds"))
	default:
		budget := p.lang.text("no limit")
		if !q.Window.IsUnlimited() {
			budget = fmt.Sprintf(p.lang.text("%d of %d calls per %s"), q.Budget, q.Window.Budget, q.Window.Per)
		}
		if q.IsSqueezed() {
			budget += fmt.Sprintf(p.lang.text(", KOS has said E429: until %s"), stamp(q.Squeezed))
		}
		p.row("budget", budget)
		if !q.Window.IsUnlimited() {
			p.row("floors", fmt.Sprintf(p.lang.text("%d calls are leased"), q.Leased))
		}
		p.row("used", fmt.Sprintf(p.lang.text("%d within the last 60 s"), q.Used()))
		for _, lane := range quota.Lanes() {
			p.line("  "+lane.String(), fmt.Sprintf(p.lang.text("%d (%d reserved)"), q.Spent[lane], q.Window.Reserve[lane]))
		}
	}
	p.line()
}

func showCache(all []operations.Answer, p *printer) {
	p.head("SERVICE", "INSTANCE", "KIND", "HITS", "STALE", "MISSES", "COALESCED", "HIT RATE")
	row := func(service, instance string, c operations.Cache) {
		n := func(v int64) string { return strconv.FormatInt(v, 10) }
		p.line(service, instance, string(c.Kind), n(c.Counts.Hits), n(c.Counts.Stale), n(c.Counts.Misses),
			n(c.Counts.Coalesced),
			fmt.Sprintf("%.2f %%", 100*c.Counts.HitRate()))
	}
	for _, a := range operations.Reached(all) {
		for _, c := range a.Status.Caches {
			row(a.Service, a.Name, c)
		}
	}
	for _, c := range operations.Total(all) {
		row("all", "-", c)
	}
}

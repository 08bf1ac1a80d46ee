package ctl

import (
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

const opsHelp = `Look at the link to KOS, as the gateway's /ops pages show it.

Every instance is asked at once, on its internal listener, for a second at most. One that does not answer
stands in the list with the reason. The instances are those of BILL_INTERNAL_URLS and PRODUCT_INTERNAL_URLS
(origins, separated by commas; default http://127.0.0.1:9082 and :9083), asked with INTERNAL_TOKEN; with
neither variable and no AUTH_DATABASE_URL, those of the system that "make run" started. docs/operations.md
says what to do when it looks bad.`

func (c Console) ops() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ops", Short: "Look at the link to KOS: circuit breakers, budget, memory",
		Long: opsHelp,
	}
	page := func(use, short string, show func([]operations.Answer, *printer)) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Example: "  phonebillctl ops " + use,
			RunE: func(cmd *cobra.Command, _ []string) error { return c.look(cmd.Context(), show) },
		}
	}
	cmd.AddCommand(
		page("breakers", "Show which calls are let through", showBreakers),
		page("quota", "Show what is left of the KOS budget, and the waiting calls", showQuota),
		page("cache", "Show how often memory does", showCache),
	)
	return cmd
}

// look asks all instances and shows what they say. It needs the internal token, so it may do what an OPERATOR may.
func (c Console) look(ctx context.Context, show func([]operations.Answer, *printer)) error {
	seen, err := c.overview()
	if err != nil {
		return err
	}
	answers, err := seen.Ask(ctx, auth.Principal{Roles: []auth.Role{auth.Operator}})
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
		p.row("budget", p.lang.text("the ledger cannot be asked: each instance spends its floor alone"))
	default:
		budget := p.lang.text("no limit")
		if !q.Window.IsUnlimited() {
			budget = fmt.Sprintf(p.lang.text("%d of %d calls per %s"), q.Budget, q.Window.Budget, q.Window.Per)
		}
		if q.IsSqueezed() {
			budget += fmt.Sprintf(p.lang.text(", KOS has said E429: until %s"), stamp(q.Squeezed))
		}
		p.row("budget", budget)
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

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"phonebill/adapters/devservers"
	"phonebill/adapters/tlsfiles/devca"
	"phonebill/cmd/internal/compose/gateway"
)

// gatewayScenario is S1: an authenticated, routed GET of many users through our gateway with everything on, against a
// bare httputil.ReverseProxy without any check and against other gateways that are installed, all in front of the same
// backend; once without and once with TLS on the listener. A gateway that was built with the web application firewall
// is compared with itself without it.
func gatewayScenario(ctx context.Context, o options, r *report) error {
	for _, encrypted := range []bool{false, true} {
		if err := compareDoors(ctx, o, r, encrypted); err != nil {
			return err
		}
	}
	return compareFirewall(ctx, o, r)
}

// doors starts what is compared in S1. Each stands in front of one backend.
type doors struct {
	dir     string
	backend string // host:port
	files   *tlsPair
	cache   *devservers.Cache
	users   int
	stops   []func()
}

// openDoors starts the backend and the cache; encrypted makes a certificate for all that is started later.
func openDoors(ctx context.Context, o options, encrypted bool) (*doors, error) {
	dir, err := devservers.TempDir("phonebill-bench-")
	if err != nil {
		return nil, err
	}
	d := &doors{dir: dir, users: o.users}
	d.stops = append(d.stops, func() { _ = os.RemoveAll(dir) })
	if encrypted {
		if d.files, err = issue(dir); err != nil {
			d.close()
			return nil, err
		}
	}
	if d.cache, err = devservers.StartCache(ctx, devservers.CacheOptions{}); err != nil {
		d.close()
		return nil, err
	}
	d.stops = append(d.stops, func() { _ = d.cache.Stop(context.WithoutCancel(ctx)) })
	if d.backend, _, err = d.self(ctx, nil, "serve", "backend"); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *doors) close() {
	for i := len(d.stops) - 1; i >= 0; i-- {
		d.stops[i]()
	}
}

// self starts this program with the arguments and returns the first line that it prints, and its process.
func (d *doors) self(ctx context.Context, env []string, args ...string) (printed string, pid int, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", 0, fmt.Errorf("bench: %w", err)
	}
	printed, stop, err := spawnAs(ctx, env, func(p *os.Process) { pid = p.Pid }, self, args...)
	if err != nil {
		return "", 0, err
	}
	d.stops = append(d.stops, stop)
	return printed, pid, nil
}

// tokened returns a subject whose requests take turns with the tokens of all users. Each user has called once before it
// is measured: of the calls of a session, only the first has a token that is new to the gateway.
func (d *doors) tokened(name, addr string, pid int, tokens []string) subject {
	requests := make([]request, len(tokens))
	for i, token := range tokens {
		requests[i] = newRequest(addr, http.MethodGet, "/api/v1/bills/menu", token, "")
		requests[i].tls = d.files.client()
	}
	var turn atomic.Uint64
	return subject{name: name, pid: pid, warm: len(tokens), next: func(int) request {
		return requests[turn.Add(1)%uint64(len(requests))]
	}}
}

// Names of rows that bars look for.
const (
	bareProxy   = "bare reverse proxy"
	ourGateway  = "phonebill gateway"
	haproxyName = "haproxy, ES256 and stick-table"
)

func compareDoors(ctx context.Context, o options, r *report, encrypted bool) error {
	name := "S1"
	if encrypted {
		name = "S1 TLS"
	}
	o.progress.step("starting gateways")
	d, err := openDoors(ctx, o, encrypted)
	if err != nil {
		return err
	}
	defer d.close()
	var subjects []subject
	if !encrypted {
		subjects = append(subjects, d.tokened("backend alone", d.backend, 0, []string{""}))
	}
	bare, pid, err := d.self(ctx, nil, append([]string{"serve", "proxy", "http://" + d.backend}, d.files.args()...)...)
	if err != nil {
		return err
	}
	subjects = append(subjects, d.tokened(bareProxy, bare, pid, []string{""}))
	g, pid, err := d.gateway(ctx)
	if err != nil {
		return err
	}
	subjects = append(subjects, d.tokened(ourGateway, g.Addr, pid, g.Tokens))
	for _, start := range []func(context.Context) (subject, error){d.haproxy, d.nginx, d.caddy} {
		rival, err := start(ctx)
		if missing := (&missingError{}); errors.As(err, &missing) {
			r.Notes = append(r.Notes, name+": no row of "+missing.name+", which is not installed (scripts/deps.sh --bench)")
			continue
		}
		if err != nil {
			return err
		}
		subjects = append(subjects, rival)
	}
	rows, err := compare(ctx, o, r, name, subjects...)
	if err != nil {
		return err
	}
	r.doorBars(name, rows)
	counted, err := g.decisions(ctx)
	if err != nil {
		return err
	}
	r.Notes = append(r.Notes, name+": "+counted)
	return nil
}

// doorBars adds the bars of S1, and the note with what else the rows say of each other.
func (r *report) doorBars(name string, rows []row) {
	by := map[string]row{}
	for _, x := range rows {
		by[x.Subject] = x
	}
	bare, mine := by[bareProxy], by[ourGateway]
	through := mine.Closed.PerSecond / bare.Closed.PerSecond
	tail := float64(mine.Open.P99) / float64(bare.Open.P99)
	r.Bars = append(r.Bars,
		bar{name + " throughput / bare reverse proxy", ">= 0.75", through, through >= 0.75},
		bar{name + " p99 / bare reverse proxy", "<= 1.5", tail, tail <= 1.5})
	if h, there := by[haproxyName]; there {
		ratio := mine.Closed.PerSecond / h.Closed.PerSecond
		r.Bars = append(r.Bars, bar{name + " throughput / haproxy", ">= 0.90", ratio, ratio >= 0.9})
	}
	var parts []string
	for _, x := range rows {
		if x.Subject != bareProxy {
			parts = append(parts, fmt.Sprintf("%s %.2f of the throughput, %.2f of the p99, %.2f of the CPU", x.Subject,
				x.Closed.PerSecond/bare.Closed.PerSecond, float64(x.Open.P99)/float64(bare.Open.P99),
				float64(x.CPU)/float64(max(bare.CPU, 1))))
		}
	}
	r.Notes = append(r.Notes, name+" against the bare proxy: "+strings.Join(parts, "; "))
}

// compareFirewall measures the gateway without and with the web application firewall, which only reports.
func compareFirewall(ctx context.Context, o options, r *report) error {
	if !gateway.FirewallBuilt {
		r.Notes = append(r.Notes, "S1 WAF: no row, the bench was built without it (go build -tags waf -o bin/ ./cmd/...)")
		return nil
	}
	d, err := openDoors(ctx, o, false)
	if err != nil {
		return err
	}
	defer d.close()
	var subjects []subject
	for _, s := range []struct {
		name string
		args []string
	}{{ourGateway, nil}, {ourGateway + " with WAF, detect", []string{"-waf", "detect"}}} {
		g, pid, err := d.gateway(ctx, s.args...)
		if err != nil {
			return err
		}
		subjects = append(subjects, d.tokened(s.name, g.Addr, pid, g.Tokens))
	}
	rows, err := compare(ctx, o, r, "S1 WAF", subjects...)
	if err != nil {
		return err
	}
	r.Notes = append(r.Notes, fmt.Sprintf("S1 WAF: it costs %s of CPU for each request, and leaves %.2f of the throughput",
		(rows[1].CPU-rows[0].CPU).Round(time.Microsecond), rows[1].Closed.PerSecond/rows[0].Closed.PerSecond))
	return nil
}

// issue makes a certificate for loopback, by an authority of its own in the folder.
func issue(dir string) (*tlsPair, error) {
	authority, err := devca.Open(dir, time.Now())
	if err != nil {
		return nil, err
	}
	paths, err := authority.Issue("door", time.Now(), "127.0.0.1")
	if err != nil {
		return nil, err
	}
	return openPair(paths)
}

func awaitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("bench: %s does not get ready", url)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

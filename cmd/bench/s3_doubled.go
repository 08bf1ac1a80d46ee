package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"phonebill/adapters/postgres"
	"phonebill/cmd/internal/devstack"
	"phonebill/migrations"
)

// heldRate is how many requests a second S3+ holds.
const heldRate = 1000

// doubledScenario is S3+: 1,000 requests a second, held for minutes, through two gateways and two instances of each
// service. The gateways limit each customer as they do by default, and KOS allows its 100 calls a minute.
func doubledScenario(ctx context.Context, o options, r *report) error {
	t, err := o.datasets.get(ctx, o.progress)
	if err != nil {
		return err
	}
	o.progress.step("waiting until the ledger has a full budget")
	if err := t.waitForBudget(ctx); err != nil {
		return err
	}
	o.progress.step("starting two of each and filling the cache")
	began := time.Now()
	// All gateways share the customers' windows, so the system's own has the limits of the others: a larger limit would
	// take larger blocks of them.
	s, err := startSplit(ctx, t.dir, "RATE_LIMITS=DEFAULT=100")
	if err != nil {
		return err
	}
	defer s.stop()
	d := &doubled{running: s}
	defer d.close()
	if err := d.start(ctx); err != nil {
		return err
	}
	if err := t.warm(ctx, s); err != nil { // three of the 100 requests of each customer
		return err
	}
	cpuBefore, err := cpuSnapshot()
	if err != nil {
		return err
	}
	o.progress.step(fmt.Sprintf("%d requests/s for %s", heldRate, o.held))
	think := time.Duration(len(t.customers)) * time.Second / heldRate
	a, _, err := t.day(ctx, d.through(), crowdPlan{o.held, think, d.gates})
	if err != nil {
		return err
	}
	who, err := cpuUsedSince(cpuBefore)
	if err != nil {
		return err
	}
	calls, err := s.calls(ctx, began)
	if err != nil {
		return err
	}
	d.judge(r, a, busiest(calls, time.Minute))
	r.Notes = append(r.Notes,
		fmt.Sprintf("S3+: held for %s; KOS was called %d times", a.elapsed.Round(time.Second), len(calls)), "S3+: "+who)
	for _, gate := range d.internal {
		m, err := scrape(ctx, gate+"/metrics")
		if err != nil {
			return err
		}
		r.Notes = append(r.Notes, fmt.Sprintf("S3+: one gateway's limiter let %.0f pass and refused %.0f",
			m.sum("rate_limit_decisions_total", `outcome="passed"`), m.sum("rate_limit_decisions_total", `outcome="refused"`)))
	}
	for _, line := range a.summary() {
		r.Notes = append(r.Notes, "S3+: "+line)
	}
	if a.firstErr != "" {
		r.Notes = append(r.Notes, "S3+: the first that failed: "+a.firstErr)
	}
	return nil
}

// judge adds the rows and bars.
func (d *doubled) judge(r *report, a *outcomes, mostCalls int) {
	reads, writes, all := a.result("read"), a.result("write"), a.result("")
	refused := a.count("", func(status int) bool { return status == 429 })
	r.Rows = append(r.Rows, row{Scenario: "S3+", Subject: "reads through two gateways", Open: reads},
		row{Scenario: "S3+", Subject: "checks, changes, logins", Open: writes})
	r.Bars = append(r.Bars,
		bar{"S3+ requests/s held", ">= 980", all.PerSecond, all.PerSecond >= 0.98*heldRate},
		bar{"S3+ p99, ms", "< 200", ms(all.P99), ms(all.P99) < 200},
		bar{"S3+ answers with 5xx or none", "0", float64(all.Errors), all.Errors == 0},
		bar{"S3+ KOS calls in the busiest 60 s", "<= 100", float64(mostCalls), mostCalls <= 100},
		bar{"S3+ share of 429", "<= 0.001", float64(refused) / float64(max(all.Requests, 1)),
			float64(refused) <= 0.001*float64(all.Requests)})
}

// doubled is a running system with a second instance of each service, and two gateways before all of them. The system's
// own gateway is left alone.
type doubled struct {
	*running
	gates    []string // their addresses
	internal []string // origins of their internal listeners
	stops    []func()
}

func (d *doubled) close() {
	for i := len(d.stops) - 1; i >= 0; i-- {
		d.stops[i]()
	}
}

// through returns the system as it is seen through the first of the gateways.
func (d *doubled) through() *running {
	s := *d.running
	s.BaseURL = "http://" + d.gates[0]
	return &s
}

// start starts the second instances and the gateways.
func (d *doubled) start(ctx context.Context) error {
	secret := map[string]string{}
	for _, name := range []string{devstack.InternalToken, "databases", "kos.token", "mvnoap.secret"} {
		value, err := d.secret(name)
		if err != nil {
			return err
		}
		secret[name] = value
	}
	access, err := postgres.NewAccess(d.Databases["auth"], postgres.DerivePasswords(secret["databases"]))
	if err != nil {
		return err
	}
	shared := []string{
		"LOG_LEVEL=error", "KEYRING_FILE=" + filepath.Join(d.dir, "keyring.json"), "VALKEY_ADDR=" + d.Cache.Address,
		"VALKEY_PASSWORD=" + d.Cache.Password, "INTERNAL_TOKEN=" + secret[devstack.InternalToken],
		"AUTH_INTERNAL_URL=" + strings.TrimSuffix(d.Metrics["auth"], "/metrics"),
	}
	link := []string{
		"SPOOL_DIR=" + filepath.Join(d.dir, "spool-2"), "BILL_DATABASE_URL=" + access.AppURL(migrations.Bill),
		"PRODUCT_DATABASE_URL=" + access.AppURL(migrations.Product), "KOS_DATABASE_URL=" + access.AppURL(migrations.KOS),
		"KOS_URL=" + d.KOS.URL, "KOS_TOKEN=" + secret["kos.token"], "MVNOAP_URL=" + d.MVNOAP.URL,
		"MVNOAP_SECRET=" + secret["mvnoap.secret"], "AUTH_URL=" + d.Services["auth"],
	}
	gate := []string{"GATEWAY_INSTANCES=2"}
	for _, one := range []struct {
		binary, prefix, name string
		env                  []string
	}{
		{"auth", "AUTH", "auth", []string{"AUTH_DATABASE_URL=" + access.AppURL(migrations.Auth)}},
		{"bill-inquiry", "BILL", "bill", link},
		{"product-change", "PRODUCT", "product", link},
	} {
		origin, _, err := d.launch(ctx, one.binary, one.prefix, "", append(one.env, shared...))
		if err != nil {
			return err
		}
		if d.Services[one.name] == "" {
			return errors.New("bench: the demo file has no service " + one.name)
		}
		gate = append(gate, one.prefix+"_URL="+d.Services[one.name]+","+origin)
	}
	for n := range 2 {
		origin, internal, err := d.launch(ctx, "gateway", "GATEWAY", fmt.Sprint("-", n+1), append(gate, shared...))
		if err != nil {
			return err
		}
		d.gates = append(d.gates, strings.TrimPrefix(origin, "http://"))
		d.internal = append(d.internal, internal)
	}
	return nil
}

// launch starts one more instance of a program and waits until it is ready.
func (d *doubled) launch(
	ctx context.Context, binary, prefix, suffix string, env []string,
) (origin, internal string, err error) {
	path, err := siblingBinary(binary)
	if err != nil {
		return "", "", err
	}
	public, err1 := freeAddr(ctx)
	inner, err2 := freeAddr(ctx)
	if err := errors.Join(err1, err2); err != nil {
		return "", "", err
	}
	env = append([]string{prefix + "_ADDR=" + public, prefix + "_INTERNAL_ADDR=" + inner}, env...)
	_, stop, err := startQuiet(ctx, filepath.Join(d.dir, binary+suffix+".second.log"), env, path)
	if err != nil {
		return "", "", err
	}
	d.stops = append(d.stops, stop)
	return "http://" + public, "http://" + inner, awaitReady(ctx, "http://"+inner+"/readyz")
}

package compose

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/kos"
	"phonebill/adapters/mvnoap"
	"phonebill/adapters/postgres"
	"phonebill/adapters/valkey"
	"phonebill/core/freshness/copies"
	"phonebill/core/quota"
	"phonebill/migrations"
	"phonebill/ports"
)

// probeEvery is how often a half-open breaker is tried.
const probeEvery = time.Second

// kosPool is smaller than a service's own: KOS sees 100 calls a minute.
const kosPool = 5

// outside are the two systems that are not ours, and KOS's shared database.
type outside struct {
	kos     *kos.Client
	kosPool *pgxpool.Pool
	quota   *postgres.Quota
	ap      *mvnoap.Client
}

func (p *parts) outside(ctx context.Context, k KOS, a AP, v ports.Vault) (o outside, err error) {
	if err = p.kos(ctx, k, v, &o); err != nil {
		return o, err
	}
	secrets, err := p.apSecrets(a)
	if err != nil {
		return o, err
	}
	o.ap, err = mvnoap.New(mvnoap.Config{URL: a.URL, Secrets: secrets, Timeout: apTimeout, Breaker: a.Breaker, Rate: a.Rate},
		mvnoap.Deps{Now: p.Now, Log: p.Log, Alerts: p.alerts, Metrics: p.registry})
	return o, err
}

// kos wires the link to KOS and its shared database.
func (p *parts) kos(ctx context.Context, c KOS, v ports.Vault, o *outside) (err error) {
	if o.kosPool, err = p.pool(ctx, "kos-database", c.DatabaseURL, kosPool); err != nil {
		return err
	}
	p.forms.add(ctx, migrations.KOS, postgres.NewSealingForm(migrations.KOS, o.kosPool))
	p.Now = p.clock(ctx, o.kosPool)
	keys, err := p.kosKeys(c)
	if err != nil {
		return err
	}
	o.quota = postgres.NewQuota(o.kosPool, c.Quota, c.Floor, p.alerts, time.Now) // time.Now: the floor needs a clock that is not set
	o.kos, err = kos.New(kos.Config{URL: c.URL, Keys: keys, Connect: time.Second}, kos.Deps{
		Quota: o.quota, Log: postgres.NewCallLog(o.kosPool, v),
		Breakers: kos.NewBreakers(c.Breakers, p.Log, p.alerts, p.registry), Alerts: p.alerts,
		Bulkhead: bulkhead(c.Quota), Now: p.Now, NewID: p.NewID, Logger: p.Log, Metrics: p.registry,
	})
	if err == nil {
		p.worker("kos-probes", probeEvery, o.kos.Probe)
		p.worker("kos-call-log", time.Second, o.kos.WritePendingCalls)
		p.unit.OnClose(func() { p.logTheRest(o.kos) })
	}
	return err
}

// logTheRest is the last chance of calls that the log did not take while the process ran.
func (p *parts) logTheRest(c *kos.Client) {
	if _, err := c.WritePendingCalls(context.Background()); err != nil {
		p.Log.Error("calls that were made are not in the call log", "error", err.Error())
	}
}

// bulkhead is the usual one, with promises at the pace of the budget.
func bulkhead(w quota.Window) kos.Bulkhead {
	b := kos.DefaultBulkhead()
	if !w.IsUnlimited() {
		b.Interval = w.Per / time.Duration(w.Budget)
	}
	return b
}

func (p *parts) kosKeys(c KOS) (*kos.Credentials, error) {
	if c.TokenFile != "" {
		return kos.OpenCredentials(c.TokenFile, p.Now, p.Log)
	}
	return kos.FixedCredentials(c.Token.Reveal())
}

// clock tells the same time in all instances that share the database, from here on for everything in the unit.
func (p *parts) clock(ctx context.Context, kos *pgxpool.Pool) ports.Clock {
	clock := postgres.NewClock(kos, p.Now)
	ctx, cancel := context.WithTimeout(ctx, syncWithin)
	defer cancel()
	if err := clock.Sync(ctx); err != nil {
		p.Log.WarnContext(ctx, "the machine's own clock is believed until the kos database tells the time", "error", err.Error())
	}
	p.worker("clock", postgres.SyncEvery, func(ctx context.Context) (int, error) { return 0, clock.Sync(ctx) })
	return clock.Now
}

const syncWithin = 2 * time.Second

// epochs wires the epochs of the lines, and the worker that tells the cache of those raised elsewhere.
func (p *parts) epochs(cache *valkey.Client, pool *pgxpool.Pool, v ports.Vault) ports.Epochs {
	stored := postgres.NewEpochs(pool, v)
	p.worker("epochs", valkey.PullEvery, valkey.NewRaises(cache, stored, p.Log).Step)
	return valkey.NewCachedEpochs(cache, stored, v, p.Log)
}

// copiesOf returns copies for which KOS is asked once at a time about one subject, over all instances. Calls for a
// customer are taken from the allowances. The unit drains them before it closes the stores.
func copiesOf[V any](p *parts, flights ports.Flights, allowances ports.Allowances) *copies.Copies[V] {
	c := &copies.Copies[V]{Flights: flights, Allowances: allowances, Now: p.Now, Random: p.Random}
	p.flights = append(p.flights, c.Wait)
	return c
}

// sharedFlights keep the instances from asking KOS the same at the same time.
func (p *parts) sharedFlights(at stores, kos *pgxpool.Pool) ports.Flights {
	flights := postgres.NewFlights(kos, at.keyring, p.Now)
	p.worker("flights", forgetting, func(ctx context.Context) (int, error) { return 0, flights.Forget(ctx) })
	return flights
}

// allowances are what each customer may spend of the KOS budget, over all instances.
func (p *parts) allowances(at stores, kos *pgxpool.Pool, allowed quota.Allowance) ports.Allowances {
	allowances := postgres.NewAllowances(kos, at.keyring, allowed, time.Now) // time.Now: a refusal is measured by a clock that is not set
	p.worker("allowances", forgetting, func(ctx context.Context) (int, error) { return 0, allowances.Forget(ctx) })
	return allowances
}

// forgetting is the interval at which abandoned flights, and calls that no longer count, are deleted.
const forgetting = 5 * time.Minute

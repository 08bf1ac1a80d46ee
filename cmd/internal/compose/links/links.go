// Package links is what the services that call KOS have in common: the two systems that are not ours (KOS and the MVNO
// AP server), KOS's shared database with its budget, copies of what KOS says, deliveries, and what staff see of all
// that. Begin with Open (links.go).
package links

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/kos"
	"phonebill/adapters/mvnoap"
	"phonebill/adapters/postgres"
	"phonebill/adapters/valkey"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/stores"
	"phonebill/core/freshness/copies"
	"phonebill/core/operations"
	"phonebill/core/quota"
	"phonebill/migrations"
	"phonebill/ports"
)

const (
	// probeInterval is how often a half-open breaker is tried.
	probeInterval = time.Second
	// callLogInterval is how often calls are written to the log that could not be at once.
	callLogInterval = time.Second
	// kosPoolSize is smaller than a service's own: KOS sees 100 calls a minute.
	kosPoolSize = 5
	// syncTimeout bounds the first question for the database's time.
	syncTimeout = 2 * time.Second
)

// Links are the two systems that are not ours, and KOS's shared database with what lies there.
type Links struct {
	b          *service.Builder
	at         stores.Stores
	KOS        *kos.Client
	Pool       *pgxpool.Pool // KOS's shared database
	AP         *mvnoap.Client
	Epochs     ports.Epochs     // of the lines
	Flights    ports.Flights    // who asks KOS about what now
	Allowances ports.Allowances // what each customer may spend of the KOS budget
	quota      *postgres.Quota
}

// Open wires the links. From here on the unit's clock is that of KOS's shared database.
func Open(ctx context.Context, b *service.Builder, c Config, at stores.Stores) (*Links, error) {
	l := &Links{b: b, at: at}
	if err := l.openKOS(ctx, c.KOS); err != nil {
		return nil, err
	}
	allowance, err := c.KOS.Allowance()
	if err != nil {
		return nil, err
	}
	l.Epochs, l.Flights, l.Allowances = l.openEpochs(), l.openFlights(), l.openAllowances(allowance)
	l.AP, err = openAP(b, c.AP)
	return l, err
}

// openKOS wires the link to KOS and its shared database.
func (l *Links) openKOS(ctx context.Context, c KOS) (err error) {
	b := l.b
	if l.Pool, err = stores.Pool(ctx, b, "kos-database", c.DatabaseURL, kosPoolSize); err != nil {
		return err
	}
	l.at.Forms.Add(ctx, migrations.KOS, postgres.NewSealingForm(migrations.KOS, l.Pool))
	b.Now = sharedClock(ctx, b, l.Pool)
	keys, err := openKOSKeys(b, c)
	if err != nil {
		return err
	}
	floor, err := c.Floor()
	if err != nil {
		return err
	}
	l.quota = postgres.NewQuota(l.Pool, c.Budget(), floor, b.Alerts, time.Now) // the floor needs a clock that is not set
	l.leaseFloor(floor)
	l.KOS, err = kos.New(kos.Config{URL: c.URL, Keys: keys, Connect: time.Second}, kos.Deps{
		Quota: l.quota, Log: postgres.NewCallLog(l.Pool, l.at.Keyring),
		Breakers: kos.NewBreakers(c.Breakers, b.Log, b.Alerts, b.Registry), Alerts: b.Alerts,
		Bulkhead: bulkhead(c.Budget()), Now: b.Now, NewID: b.NewID, Logger: b.Log, Metrics: b.Registry,
	})
	if err != nil {
		return err
	}
	b.DegradedBy(func() operations.Causes { return operations.KOSCauses(l.KOS.Breakers()) })
	b.Worker("kos-probes", probeInterval, l.KOS.Probe)
	b.Worker("kos-call-log", callLogInterval, l.KOS.WritePendingCalls)
	b.Unit.OnClose(l.writeLastCalls)
	return nil
}

// leaseFloor keeps the lease of this instance's floor renewed, and gives it back when all calls are done.
func (l *Links) leaseFloor(f postgres.Floor) {
	missing := &missingFloor{log: l.b.Log, now: time.Now, patience: f.Lease + 2*quota.Default().Per}
	l.b.Worker("kos-floor", f.Lease/quota.Renewals, func(ctx context.Context) (int, error) {
		held, err := l.quota.RenewFloor(ctx)
		if err == nil {
			missing.note(ctx, held)
		}
		return 0, err
	})
	l.b.Unit.OnClose(func() {
		if err := l.quota.GiveFloorBack(context.Background()); err != nil {
			l.b.Log.Warn("the floor of calls to KOS is not given back: its place is free after its lease",
				"error", err.Error())
		}
	})
}

// writeLastCalls is the last chance of calls that the log did not take while the process ran.
func (l *Links) writeLastCalls() {
	if _, err := l.KOS.WritePendingCalls(context.Background()); err != nil {
		l.b.Log.Error("calls that were made are not in the call log", "error", err.Error())
	}
}

// bulkhead is the usual one, with promises at the pace of the budget.
func bulkhead(w quota.Window) kos.Bulkhead {
	limit := kos.DefaultBulkhead()
	if !w.IsUnlimited() {
		limit.Interval = w.Per / time.Duration(w.Budget)
	}
	return limit
}

func openKOSKeys(b *service.Builder, c KOS) (*kos.Credentials, error) {
	if c.TokenFile != "" {
		return kos.OpenCredentials(c.TokenFile, b.Now, b.Log)
	}
	return kos.FixedCredentials(c.Token.Reveal())
}

// sharedClock returns the clock of all instances that share the database.
func sharedClock(ctx context.Context, b *service.Builder, pool *pgxpool.Pool) ports.Clock {
	clock := postgres.NewClock(pool, b.Now)
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	if err := clock.Sync(ctx); err != nil {
		b.Log.WarnContext(ctx, "the machine's own clock is believed until the kos database tells the time",
			"error", err.Error())
	}
	b.Worker("clock", postgres.SyncEvery, func(ctx context.Context) (int, error) { return 0, clock.Sync(ctx) })
	return clock.Now
}

// openEpochs wires the epochs of the lines, and the worker that copies those raised elsewhere into the cache.
func (l *Links) openEpochs() ports.Epochs {
	stored := postgres.NewEpochs(l.Pool, l.at.Keyring)
	l.b.Worker("epochs", valkey.PullEvery, valkey.NewRaises(l.at.Cache, stored, l.b.Log).Step)
	return valkey.NewCachedEpochs(l.at.Cache, stored, l.at.Keyring, l.b.Log)
}

// openFlights wires what keeps the instances from asking KOS the same at the same time.
func (l *Links) openFlights() ports.Flights {
	flights := postgres.NewFlights(l.Pool, l.at.Keyring, l.b.Now)
	l.b.Worker("flights", stores.ForgetInterval, func(ctx context.Context) (int, error) { return 0, flights.Forget(ctx) })
	return flights
}

// openAllowances wires what each customer may spend of the KOS budget, over all instances.
func (l *Links) openAllowances(allowed quota.Allowance) ports.Allowances {
	// time.Now: a refusal is measured by a clock that is not set
	allowances := postgres.NewAllowances(l.Pool, l.at.Keyring, allowed, time.Now)
	l.b.Worker("allowances", stores.ForgetInterval, func(ctx context.Context) (int, error) {
		return 0, allowances.Forget(ctx)
	})
	return allowances
}

// CopiesOf returns copies for which KOS is asked once at a time about one subject, over all instances. Calls for a
// customer are taken from the allowances; without allowances they are counted for no customer. The unit drains them
// before it closes the stores.
func CopiesOf[V any](l *Links, allowances ports.Allowances) *copies.Copies[V] {
	c := &copies.Copies[V]{Flights: l.Flights, Allowances: allowances, Now: l.b.Now, Random: l.b.Random}
	l.b.WaitForCalls(c.Wait)
	return c
}

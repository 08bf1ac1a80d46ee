package links

import (
	"fmt"
	"time"

	"phonebill/adapters/kos"
	"phonebill/adapters/mvnoap"
	"phonebill/adapters/postgres"
	"phonebill/cmd/internal/boot"
	"phonebill/core/freshness"
	"phonebill/core/personal"
	"phonebill/core/quota"
)

// Parsers read the types of this configuration.
func Parsers() []boot.Parser {
	return []boot.Parser{
		boot.ParserOf(kos.ParseBreakers), boot.ParserOf(mvnoap.ParseBreaker), boot.ParserOf(freshness.ParseLimits),
		boot.ParserOf(freshness.ParseNight),
	}
}

// Config is the environment of the links to KOS and the MVNO AP server.
type Config struct {
	KOS KOS
	AP  AP
}

// Validate implements boot.Config.
func (c Config) Validate(f *boot.Faults) {
	c.KOS.Validate(f)
	c.AP.Validate(f)
}

// KOS is the link to KOS and its shared database.
type KOS struct {
	// Origin of KOS.
	URL string `env:"KOS_URL,required"`
	// The key for KOS, unless `KOS_TOKEN_FILE` is set.
	Token personal.Secret `env:"KOS_TOKEN"`
	// A file with one or two keys for KOS, one a line, the current one first; it is read again when it changes, so that
	// keys rotate without a restart.
	TokenFile string `env:"KOS_TOKEN_FILE"`
	// URL of the database that all who call KOS share.
	DatabaseURL personal.Secret `env:"KOS_DATABASE_URL,required"`
	// What KOS allows in 60 s; our budget stays 5 % below it in a window 2 s longer; 0 = no limit, for load tests.
	QuotaPerMinute int `env:"KOS_QUOTA_PER_MINUTE" envDefault:"100" range:"0..10000000"`
	// How many calls of KOS one customer may cause, over all instances, like `10/1m,60/1h` (the default, `0` where KOS
	// has no limit); then the last good copy, or 429; at least two a window, since a change needs two; 0 = no limit
	// ([docs/kos-link.md](docs/kos-link.md)).
	PerCustomer string `env:"KOS_PER_CUSTOMER"`
	// Processes that may hold a floor at the same time, bill and product services together; one more has none.
	Instances int `env:"KOS_INSTANCES" envDefault:"4" range:"1..100"`
	// What each of those processes may spend a minute while the quota's ledger cannot be asked. Taken off the common
	// budget while it is leased, and must leave something of it ([ADR 10](docs/adr/0010-turnstile.md)). The default,
	// `-1`, is 1, or 0 on a budget too small for one each.
	FloorCalls int `env:"KOS_FLOOR" envDefault:"-1" range:"0..100"`
	// How long the lease of a floor is good after it was granted or renewed, `3m` to `1h`: so long a process goes on
	// calling KOS, and its place stays taken, when the ledger is away or the process is gone
	// ([docs/kos-link.md](docs/kos-link.md)).
	FloorLease time.Duration `env:"KOS_FLOOR_LEASE" envDefault:"10m"`
	// Circuit breakers that differ from `5/30s/3`, by KOS operation: failures in a row that open, how long, successes
	// that close: `bill.inquiry=5/30s/3,product.change=3/60s/2`.
	Breakers kos.BreakerPolicies `env:"KOS_BREAKERS"`
	Copies   Copies
	Prefetch Prefetch
}

// Copies are how long copies of what KOS says are good (docs/spec/numbers.md).
type Copies struct {
	// How long a copy of a bill is fresh, and how long it may be shown as `STALE`.
	Bill freshness.Limits `env:"CACHE_BILL" envDefault:"1h/168h"`
	// The same for the months of a line that have a bill, which the menu shows.
	BillMonths freshness.Limits `env:"CACHE_BILL_MONTHS" envDefault:"24h/168h"`
	// The same for a customer.
	Customer freshness.Limits `env:"CACHE_CUSTOMER" envDefault:"4h/168h"`
	// The same for the status of a line, on a screen.
	Status freshness.Limits `env:"CACHE_LINE_STATUS" envDefault:"30m/168h"`
	// The same for the list of plans.
	Plans freshness.Limits `env:"CACHE_PLANS" envDefault:"24h/720h"`
}

// Prefetch is what is fetched before a customer asks for it.
type Prefetch struct {
	// Lines whose customers were here within that time are prefetched: customers before their copy is old, bills at
	// night.
	Active time.Duration `env:"PREFETCH_ACTIVE" envDefault:"168h"`
	// When bills are prefetched, times of day in Seoul, or `off` (as in `make run`).
	Night freshness.Night `env:"PREFETCH_NIGHT" envDefault:"02:00-05:00"`
}

// Validate implements boot.Config.
func (k KOS) Validate(f *boot.Faults) {
	f.Require("KOS_TOKEN", k.TokenFile != "" || k.Token.Reveal() != "")
	_, err := k.Allowance()
	f.Add("KOS_PER_CUSTOMER", err)
	_, err = k.Floor()
	f.Add("KOS_FLOOR", err)
	if k.FloorLease < quota.ShortestLease || k.FloorLease > quota.LongestLease {
		f.Add("KOS_FLOOR_LEASE", fmt.Errorf("%s: %w", k.FloorLease, errFloorLease))
	}
}

// Budget is what all processes together may spend.
func (k KOS) Budget() quota.Window {
	if k.QuotaPerMinute == 0 {
		return quota.Unlimited()
	}
	return quota.Of(k.QuotaPerMinute)
}

// Allowance is what one customer may spend of the budget.
func (k KOS) Allowance() (quota.Allowance, error) {
	switch {
	case k.PerCustomer != "":
		return quota.ParseAllowance(k.PerCustomer)
	case k.Budget().IsUnlimited():
		return nil, nil
	}
	return quota.DefaultAllowance(), nil
}

var errFloorLease = fmt.Errorf("want %s to %s", quota.ShortestLease, quota.LongestLease)

// Floor is what each process may spend while the ledger cannot be asked.
func (k KOS) Floor() (postgres.Floor, error) {
	budget := k.Budget()
	_, fits := budget.Apart(k.Instances, 1)
	floor := postgres.Floor{Instances: k.Instances, Calls: k.FloorCalls, Lease: k.FloorLease}
	if k.FloorCalls < 0 {
		floor.Calls = fits
	}
	if _, fits = budget.Apart(floor.Instances, floor.Calls); fits < floor.Calls {
		return floor, fmt.Errorf(
			"KOS_INSTANCES=%d times KOS_FLOOR=%d leaves nothing of a budget of %d calls (KOS_QUOTA_PER_MINUTE)",
			floor.Instances, floor.Calls, budget.Budget)
	}
	return floor, nil
}

// AP is the link to the MVNO AP server.
type AP struct {
	// Origin of the MVNO AP server.
	URL string `env:"MVNOAP_URL,required"`
	// The webhook secret that results are signed with, unless `MVNOAP_SECRET_FILE` is set; at least 32 characters.
	Secret personal.Secret `env:"MVNOAP_SECRET"`
	// A second secret that results are signed with too, while it is changed over; at least 32 characters.
	Next personal.Secret `env:"MVNOAP_SECRET_NEXT"`
	// A file with one or two webhook secrets, one a line; both sign while they are changed over; it is read again when
	// it changes ([docs/deliveries.md](docs/deliveries.md)).
	SecretFile string `env:"MVNOAP_SECRET_FILE"`
	// The circuit breaker of the MVNO AP server: failures in a row that open it, how long, successes that close it.
	Breaker mvnoap.BreakerPolicy `env:"MVNOAP_BREAKER" envDefault:"5/30s/3"`
	// How many results a second one process sends to the MVNO AP server at most; 0 = no limit.
	Rate int `env:"MVNOAP_RATE" envDefault:"0" range:"0..100000"`
}

// Validate implements boot.Config.
func (a AP) Validate(f *boot.Faults) {
	if a.SecretFile != "" {
		return
	}
	f.Require("MVNOAP_SECRET", a.Secret.Reveal() != "")
	short := fmt.Sprintf("it is shorter than %d characters", boot.ShortestSecret)
	f.Weakens("MVNOAP_SECRET", len(a.Secret.Reveal()) < boot.ShortestSecret, short)
	f.Weakens("MVNOAP_SECRET_NEXT", a.Next.Reveal() != "" && len(a.Next.Reveal()) < boot.ShortestSecret, short)
}

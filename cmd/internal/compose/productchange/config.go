package productchange

import (
	"time"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/links"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/stores"
	"phonebill/core/freshness"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/core/product/reconciliation"
)

// Config is the environment of the product change service.
type Config struct {
	// Public listener of the product change service.
	Addr string `env:"PRODUCT_ADDR" envDefault:"127.0.0.1:8083"`
	// Internal listener of the product change service: `/metrics`, probes, internal API; keep it private.
	Internal string `env:"PRODUCT_INTERNAL_ADDR" envDefault:"127.0.0.1:9083"`
	Peers    service.Peers
	Identity service.Identity
	// URL of the product database.
	DatabaseURL    personal.Secret `env:"PRODUCT_DATABASE_URL,required"`
	Stores         stores.Config
	Auth           service.AuthLink
	Links          links.Config
	Rules          Rules
	Reconciliation Reconciliation
	Draining       boot.Draining
	Process        boot.Process
}

// Rules are what the operator allows.
type Rules struct {
	// The days a plan change may take effect; the first is the default.
	Effective string `env:"CHANGE_EFFECTIVE" envDefault:"FIRST_OF_NEXT_MONTH,TODAY"`
	// `true`: a line changes its plan once in a calendar month (Seoul) at most.
	OnceAMonth bool `env:"CHANGE_ONCE_A_MONTH" envDefault:"false"`
}

func (r Rules) policy() (product.Policy, error) {
	return product.ParsePolicy(r.Effective, r.OnceAMonth)
}

// Reconciliation is how our orders, KOS and the deliveries are compared.
type Reconciliation struct {
	// When the nightly comparison of orders, KOS and deliveries begins, times of day in Seoul, or `off` (as in `make
	// run`) ([docs/reconciliation.md](docs/reconciliation.md)).
	Night freshness.Night `env:"BOOKS_AT" envDefault:"05:00-06:00"`
	// How many questions a minute the comparison asks KOS at most.
	PerMinute int `env:"BOOKS_PER_MINUTE" envDefault:"20" range:"1..10000"`
	// For how long the comparison asks KOS at most.
	Asking time.Duration `env:"BOOKS_ASKING" envDefault:"4h"`
}

func (r Reconciliation) limits() reconciliation.Limits {
	l := reconciliation.DefaultLimits()
	l.PerMinute, l.Asking = r.PerMinute, r.Asking
	return l
}

// Load reads the configuration; its error names every fault.
func Load(env boot.Env) (Config, error) { return boot.Load[Config](env, links.Parsers()...) }

// Validate implements boot.Config.
func (c Config) Validate(f *boot.Faults) {
	c.Peers.Validate(f)
	c.Identity.Validate(f)
	c.Stores.Validate(f)
	c.Auth.Validate(f)
	c.Links.Validate(f)
	_, err := c.Rules.policy()
	f.Add("CHANGE_EFFECTIVE", err)
	c.Process.Validate(f)
}

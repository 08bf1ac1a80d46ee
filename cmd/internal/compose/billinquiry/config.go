package billinquiry

import (
	"time"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/links"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/stores"
	"phonebill/core/personal"
)

// Config is the environment of the bill inquiry service.
type Config struct {
	// Public listener of the bill inquiry service.
	Addr string `env:"BILL_ADDR" envDefault:"127.0.0.1:8082"`
	// Internal listener of the bill inquiry service: `/metrics`, probes, internal API; keep it private.
	Internal string `env:"BILL_INTERNAL_ADDR" envDefault:"127.0.0.1:9082"`
	Peers    service.Peers
	Identity service.Identity
	// URL of the bill database.
	DatabaseURL personal.Secret `env:"BILL_DATABASE_URL,required"`
	Stores      stores.Config
	Auth        service.AuthLink
	Links       links.Config
	History     History
	Draining    boot.Draining
	Process     boot.Process
}

// History is how inquiries are recorded.
type History struct {
	// A replica that pages of bill history are read from; they are then as old as it is.
	ReadDatabaseURL personal.Secret `env:"BILL_READ_DATABASE_URL"`
	// How long a row of bill history may wait for others to share its commit; without it those that come during a
	// commit share the next.
	Delay time.Duration `env:"HISTORY_DELAY" envDefault:"0"`
	// Where the bill service keeps history while the bill database is away, sealed: on a disk that outlives the
	// process; the instances of one machine may share it.
	SpoolDir string `env:"SPOOL_DIR" envDefault:".data/spool"`
	// What history may take there, in bytes.
	SpoolMaxBytes int `env:"SPOOL_MAX_BYTES" envDefault:"268435456" range:"1048576..1099511627776"`
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
	c.Process.Validate(f)
}

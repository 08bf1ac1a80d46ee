package boot

import (
	"fmt"
	"log/slog"
	"time"
)

// Process is what every program reads beside its own configuration.
type Process struct {
	// `development` (set by `make run`, the tests and the benches) alone allows settings that weaken the security
	// ([SECURITY.md](SECURITY.md)); everywhere else they stop the start.
	Environment string `env:"PHONEBILL_ENV" envDefault:"production"`
	// What is logged at least: `debug`, `info`, `warn` or `error`.
	LogLevel string `env:"LOG_LEVEL" envDefault:"info"`
	// `json` or `text`.
	LogFormat string `env:"LOG_FORMAT" envDefault:"json"`
	// A folder: each process writes a CPU profile of its whole life there when it ends.
	CPUProfile string `env:"CPU_PROFILE"`
	// How much a service's heap may grow before it is collected, in percent; `200` in the gateway and the all-in-one.
	// Go reads it itself.
	GOGC string `env:"GOGC" envDefault:"50"`
}

// Development reports whether settings that weaken the security are allowed.
func (p Process) Development() bool { return p.Environment == development }

// Validate implements Config.
func (p Process) Validate(f *Faults) {
	if err := new(slog.LevelVar).UnmarshalText([]byte(p.LogLevel)); err != nil {
		f.Add("LOG_LEVEL", fmt.Errorf("%q is neither debug, info, warn nor error", p.LogLevel))
	}
	if p.LogFormat != "json" && p.LogFormat != "text" {
		f.Add("LOG_FORMAT", fmt.Errorf("%q is neither json nor text", p.LogFormat))
	}
}

// Delay is a duration that may be 0.
type Delay time.Duration

// Draining is how a program that serves requests stops.
type Draining struct {
	// How long an instance goes on serving after SIGTERM, while its `/readyz` and `/health` are 503: as long as load
	// balancers and gateways need to see that and to go elsewhere, and less than what kills it; 0 = it stops at once
	// ([docs/upstreams.md](docs/upstreams.md)). `make run`: 0.
	Delay Delay `env:"DRAIN_DELAY" envDefault:"10s"`
}

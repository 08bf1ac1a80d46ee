// Package simulators wires the simulators of KOS and of the MVNO AP server.
package simulators

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"phonebill/adapters/kos/kossim"
	"phonebill/adapters/mvnoap/mvnoapsim"
	"phonebill/cmd/internal/boot"
	"phonebill/core/personal"
)

// State is what both simulators keep.
type State struct {
	// A folder where a simulator keeps its state; without it the state is in memory.
	Dir string `env:"STATE_DIR"`
}

// KOS is the environment of the KOS simulator.
type KOS struct {
	// Listener of the KOS simulator.
	Addr string `env:"KOS_ADDR" envDefault:"127.0.0.1:8084"`
	// Listener of the KOS simulator's control API.
	Control string `env:"KOS_CONTROL_ADDR" envDefault:"127.0.0.1:8094"`
	// The keys that the KOS simulator takes: one or two, separated by a comma.
	Tokens personal.Secret `env:"KOS_TOKEN,required"`
	// What KOS allows in 60 s; our budget stays 5 % below it in a window 2 s longer; 0 = no limit, for load tests.
	QuotaPerMinute int `env:"KOS_QUOTA_PER_MINUTE" envDefault:"100" range:"0..10000000"`
	// How long the KOS simulator takes to answer, in percent of what KOS takes (R-KOS-DELAYS).
	DelayPercent int `env:"KOS_DELAY_PERCENT" envDefault:"100" range:"0..1000"`
	State        State
	Process      boot.Process
}

// LoadKOS reads the configuration; its error names every fault.
func LoadKOS(env boot.Env) (KOS, error) { return boot.Load[KOS](env) }

// Validate implements boot.Config.
func (c KOS) Validate(f *boot.Faults) { c.Process.Validate(f) }

// NewKOS wires the KOS simulator; the internal listener is its control API.
func NewKOS(_ context.Context, c KOS, _ *slog.Logger) (*boot.Unit, error) {
	quota := c.QuotaPerMinute
	if quota == 0 {
		quota = kossim.NoQuota
	}
	sim, err := kossim.New(kossim.Options{
		Tokens: list(c.Tokens), StateDir: c.State.Dir, QuotaPerMinute: quota, Delays: delays(c.DelayPercent),
	})
	if err != nil {
		return nil, errors.Join(errors.New("cannot start the KOS simulator"), err)
	}
	u := boot.NewUnit("kos-simulator", c.Addr, c.Control, boot.NewHealth(nil))
	u.Handler, u.InternalHandler = sim.Handler(), sim.Control()
	u.BeforeStop = func() { _ = sim.Close() } // so that hanging calls do not hold up the end
	return u, nil
}

// delays are the usual ones, so many percent of them.
func delays(percent int) *kossim.Delays {
	d := kossim.DefaultDelays()
	for _, long := range []*time.Duration{&d.Bill, &d.Change, &d.Other, &d.SlowLine} {
		*long = *long * time.Duration(percent) / 100
	}
	return &d
}

// AP is the environment of the MVNO AP simulator.
type AP struct {
	// Listener of the MVNO AP simulator.
	Addr string `env:"MVNOAP_ADDR" envDefault:"127.0.0.1:8085"`
	// Listener of the MVNO AP simulator's control API.
	Control string `env:"MVNOAP_CONTROL_ADDR" envDefault:"127.0.0.1:8095"`
	// The webhook secrets that the MVNO AP simulator takes: one or two, separated by a comma.
	Secrets personal.Secret `env:"MVNOAP_SECRET,required"`
	State   State
	Process boot.Process
}

// LoadAP reads the configuration; its error names every fault.
func LoadAP(env boot.Env) (AP, error) { return boot.Load[AP](env) }

// Validate implements boot.Config.
func (c AP) Validate(f *boot.Faults) { c.Process.Validate(f) }

// NewAP wires the MVNO AP simulator; the internal listener is its control API.
func NewAP(_ context.Context, c AP, _ *slog.Logger) (*boot.Unit, error) {
	sim, err := mvnoapsim.New(mvnoapsim.Options{Secrets: list(c.Secrets), StateDir: c.State.Dir})
	if err != nil {
		return nil, errors.Join(errors.New("cannot start the MVNO AP simulator"), err)
	}
	u := boot.NewUnit("mvnoap-simulator", c.Addr, c.Control, boot.NewHealth(nil))
	u.Handler, u.InternalHandler = sim.Handler(), sim.Control()
	u.BeforeStop = func() { _ = sim.Close() }
	return u, nil
}

// list splits secrets that are separated by commas or spaces.
func list(s personal.Secret) []string {
	return strings.FieldsFunc(s.Reveal(), func(c rune) bool { return c == ',' || c == ' ' })
}

package compose

import (
	"errors"
	"strings"
	"time"

	"phonebill/adapters/kos/kossim"
	"phonebill/adapters/mvnoap/mvnoapsim"
	"phonebill/cmd/internal/boot"
)

// KOSSimConfig configures the KOS simulator. Internal of its listeners is the control API.
type KOSSimConfig struct {
	Listen
	Tokens   []string
	StateDir string // empty = in memory
	Quota    int    // calls in any 60 s, 0 = no limit
	Delay    int    // percent of the delays of R-KOS-DELAYS
}

// ReadKOSSim reads KOS_ADDR, KOS_CONTROL_ADDR, KOS_TOKEN (two are separated by a comma), STATE_DIR, KOS_QUOTA_PER_MINUTE and
// KOS_DELAY_PERCENT.
func ReadKOSSim(env boot.Env) (KOSSimConfig, error) {
	r := env.Read()
	c := KOSSimConfig{
		Listen: Listen{Addr: r.String("KOS_ADDR", host+"8084"), Internal: r.String("KOS_CONTROL_ADDR", host+"8094")},
		Tokens: list(r.Required("KOS_TOKEN")), StateDir: r.String("STATE_DIR", ""), Quota: ReadSimQuota(r),
		Delay: ReadSimDelay(r),
	}
	return c, r.Err()
}

// ReadSimQuota reads KOS_QUOTA_PER_MINUTE as the simulator understands it: what it allows, 0 = no limit.
func ReadSimQuota(r *boot.Reader) int {
	return r.Int("KOS_QUOTA_PER_MINUTE", kossim.DefaultQuota, 0, 10_000_000)
}

// ReadSimDelay reads KOS_DELAY_PERCENT: how long the simulator takes to answer, in percent of what KOS takes (100 if it is not set).
func ReadSimDelay(r *boot.Reader) int { return r.Int("KOS_DELAY_PERCENT", 100, 0, 1000) }

// delays are the usual ones, so many percent of them.
func delays(percent int) *kossim.Delays {
	d := kossim.DefaultDelays()
	for _, long := range []*time.Duration{&d.Bill, &d.Change, &d.Other, &d.SlowLine} {
		*long = *long * time.Duration(percent) / 100
	}
	return &d
}

// KOSSimulator wires the KOS simulator.
func KOSSimulator(c KOSSimConfig) (*boot.Unit, error) {
	quota := c.Quota
	if quota == 0 {
		quota = kossim.NoQuota
	}
	sim, err := kossim.New(kossim.Options{Tokens: c.Tokens, StateDir: c.StateDir, QuotaPerMinute: quota, Delays: delays(c.Delay)})
	if err != nil {
		return nil, errors.Join(errors.New("cannot start the KOS simulator"), err)
	}
	u := boot.NewUnit("kos-simulator", c.Addr, c.Internal, boot.NewHealth(nil))
	u.Handler, u.Inside = sim.Handler(), sim.Control()
	u.BeforeStop = func() { _ = sim.Close() } // so that hanging calls do not hold up the end
	return u, nil
}

// APSimConfig configures the MVNO AP simulator. Internal of its listeners is the control API.
type APSimConfig struct {
	Listen
	Secrets  []string
	StateDir string // empty = in memory
}

// ReadAPSim reads MVNOAP_ADDR, MVNOAP_CONTROL_ADDR, MVNOAP_SECRET (two are separated by a comma) and STATE_DIR.
func ReadAPSim(env boot.Env) (APSimConfig, error) {
	r := env.Read()
	c := APSimConfig{
		Listen:  Listen{Addr: r.String("MVNOAP_ADDR", host+"8085"), Internal: r.String("MVNOAP_CONTROL_ADDR", host+"8095")},
		Secrets: list(r.Required("MVNOAP_SECRET")), StateDir: r.String("STATE_DIR", ""),
	}
	return c, r.Err()
}

// APSimulator wires the MVNO AP simulator.
func APSimulator(c APSimConfig) (*boot.Unit, error) {
	sim, err := mvnoapsim.New(mvnoapsim.Options{Secrets: c.Secrets, StateDir: c.StateDir})
	if err != nil {
		return nil, errors.Join(errors.New("cannot start the MVNO AP simulator"), err)
	}
	u := boot.NewUnit("mvnoap-simulator", c.Addr, c.Internal, boot.NewHealth(nil))
	u.Handler, u.Inside = sim.Handler(), sim.Control()
	u.BeforeStop = func() { _ = sim.Close() }
	return u, nil
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

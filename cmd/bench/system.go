package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"phonebill/adapters/devservers"
	"phonebill/adapters/internalclient"
	"phonebill/cmd/internal/allinone"
	"phonebill/cmd/internal/devstack"
	"phonebill/core/freshness"
	"phonebill/core/personal"
)

// running is a phonebill system that runs: its addresses, its data folder and its process.
type running struct {
	devstack.DemoFile
	dir  string
	pid  int
	stop func() // ends it and leaves its data
}

// startSystem runs the all-in-one as a process with data of its own, without a limit on KOS calls, on free ports, with
// additional environment variables. stop ends it and removes the data.
func startSystem(ctx context.Context, more ...string) (devstack.DemoFile, func(), error) {
	dir, err := devservers.TempDir("phonebill-bench-")
	if err != nil {
		return devstack.DemoFile{}, nil, err
	}
	s, err := startIn(ctx, dir, more...)
	if err != nil {
		return devstack.DemoFile{}, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s.DemoFile, func() { s.stop(); _ = os.RemoveAll(dir) }, nil
}

// startIn runs the all-in-one on a data folder that may hold data.
func startIn(ctx context.Context, dir string, more ...string) (*running, error) {
	env := append([]string{"KOS_QUOTA_PER_MINUTE=0"}, more...)
	for _, key := range addresses() {
		env = append(env, key+"=127.0.0.1:0")
	}
	return startProgram(ctx, dir, env)
}

// startSplit is startIn with each service as a process of its own, as deployed.
func startSplit(ctx context.Context, dir string, more ...string) (*running, error) {
	env := slices.Clone(more)
	for _, key := range addresses() {
		addr, err := freeAddr(ctx)
		if err != nil {
			return nil, err
		}
		env = append(env, key+"="+addr)
	}
	return startProgram(ctx, dir, env, "-split")
}

// addresses are the variables that say where the units listen.
func addresses() []string {
	var keys []string
	for _, unit := range []string{"GATEWAY", "AUTH", "BILL", "PRODUCT"} {
		keys = append(keys, unit+"_ADDR", unit+"_INTERNAL_ADDR")
	}
	for _, sim := range []string{"KOS", "MVNOAP"} {
		keys = append(keys, sim+"_ADDR", sim+"_CONTROL_ADDR")
	}
	return keys
}

func startProgram(ctx context.Context, dir string, env []string, args ...string) (*running, error) {
	path, err := siblingBinary("phonebill")
	if err != nil {
		return nil, err
	}
	var pid int
	// Few users drive hard: a limit that none of them reaches costs what the real one costs.
	env = append([]string{"PHONEBILL_DATA=" + dir, "LOG_LEVEL=error", "RATE_LIMITS=DEFAULT=1000000"}, env...)
	_, stop, err := spawnAs(ctx, env, func(p *os.Process) { pid = p.Pid }, path, args...)
	if err != nil {
		return nil, fmt.Errorf("%w (run go build -o bin/ ./cmd/...)", err)
	}
	f, err := devstack.ReadDemo(filepath.Join(dir, allinone.DemoFile))
	if err != nil {
		stop()
		return nil, err
	}
	return &running{DemoFile: f, dir: dir, pid: pid, stop: stop}, nil
}

// siblingBinary returns the path of a program in the folder of this one.
func siblingBinary(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("bench: %w", err)
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := exec.LookPath(path); err != nil {
		return "", fmt.Errorf("bench: %w (run go build -o bin/ ./cmd/...)", err)
	}
	return path, nil
}

func freeAddr(ctx context.Context) (string, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("bench: %w", err)
	}
	return ln.Addr().String(), ln.Close()
}

// addr returns the gateway's address.
func (s *running) addr() string { return strings.TrimPrefix(s.BaseURL, "http://") }

// secret returns one of the secrets of the data folder.
func (s *running) secret(name string) (string, error) {
	secrets, err := devstack.OpenSecrets(filepath.Join(s.dir, "secrets.json"))
	if err != nil {
		return "", err
	}
	return secrets.Get(name, func() string { return "" })
}

// lookups returns the counts of all lookups of copies since the services started, as /ops/cache shows them.
func (s *running) lookups(ctx context.Context) (freshness.Counts, error) {
	var sum freshness.Counts
	token, err := s.secret(devstack.InternalToken)
	if err != nil {
		return sum, err
	}
	internal := func(name string) []string { return []string{strings.TrimSuffix(s.Metrics[name], "/metrics")} }
	link, err := internalclient.NewServices(internalclient.Access{Token: personal.NewSecret(token)},
		internalclient.Service{Name: "bill-inquiry", Origins: internal("bill")},
		internalclient.Service{Name: "product-change", Origins: internal("product")})
	if err != nil {
		return sum, err
	}
	for _, i := range link.All(ctx) {
		status, err := link.Status(ctx, i)
		if err != nil {
			return sum, err
		}
		for _, c := range status.Caches {
			if c.Kind == freshness.Months {
				continue // nobody waits for these
			}
			sum.Hits += c.Counts.Hits
			sum.Stale += c.Counts.Stale
			sum.Misses += c.Counts.Misses
			sum.Coalesced += c.Counts.Coalesced
		}
	}
	return sum, nil
}

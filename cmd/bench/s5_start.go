package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"phonebill/adapters/postgres"
	"phonebill/cmd/internal/boot"
	"phonebill/migrations"
)

// starts is how often each is started; the median counts, since other work on the machine only adds time.
const starts = 5

// startScenario is S5: how long each service takes from exec to its first 200 of /readyz, on databases that are
// migrated, and how long the all-in-one takes on a data folder that it has used before.
func startScenario(ctx context.Context, o options, r *report) error {
	t, err := o.datasets.get(ctx, o.progress)
	if err != nil {
		return err
	}
	o.progress.step("starting everything on a prepared folder")
	var whole []time.Duration
	for range starts {
		begun := time.Now()
		s, err := startIn(ctx, t.dir)
		if err != nil {
			return err
		}
		whole = append(whole, time.Since(begun))
		s.stop()
	}
	s, err := startIn(ctx, t.dir)
	if err != nil {
		return err
	}
	defer s.stop()
	env, err := s.serviceEnv()
	if err != nil {
		return err
	}
	slowest := time.Duration(0)
	for _, name := range serviceNames {
		o.progress.step("starting " + name)
		var took []time.Duration
		for range starts {
			d, err := readyIn(ctx, name, env)
			if err != nil {
				return err
			}
			took = append(took, d)
		}
		slices.Sort(took)
		slowest = max(slowest, took[starts/2])
		r.Notes = append(
			r.Notes,
			fmt.Sprintf("S5: %s ready in %s (median of %d, %s to %s)", name, took[starts/2], starts, took[0], took[starts-1]),
		)
	}
	slices.Sort(whole)
	r.Notes = append(r.Notes, fmt.Sprintf("S5: everything on a prepared folder ready in %s (median of %d, %s to %s)",
		whole[starts/2], starts, whole[0], whole[starts-1]))
	r.Bars = append(r.Bars,
		bar{"S5 the slowest service ready, ms", "<= 150", ms(slowest), ms(slowest) <= 150},
		bar{"S5 make run on a prepared folder ready, ms", "<= 1,000", ms(whole[starts/2]), whole[starts/2] <= time.Second})
	return nil
}

// serviceEnv returns the environment of a service beside the running ones.
func (s *running) serviceEnv() ([]string, error) {
	secrets := map[string]string{}
	for _, name := range []string{"databases", "kos.token", "mvnoap.secret", "internal.token"} {
		value, err := s.secret(name)
		if err != nil {
			return nil, err
		}
		secrets[name] = value
	}
	access, err := postgres.NewAccess(s.Databases["auth"], postgres.DerivePasswords(secrets["databases"]))
	if err != nil {
		return nil, err
	}
	internal := func(name string) string { return strings.TrimSuffix(s.Metrics[name], "/metrics") }
	return []string{
		boot.Environment + "=development",
		"KEYRING_FILE=" + s.dir + "/keyring.json",
		"VALKEY_ADDR=" + s.Cache.Address,
		"VALKEY_PASSWORD=" + s.Cache.Password,
		"INTERNAL_TOKEN=" + secrets["internal.token"],
		"LOG_LEVEL=error",
		"SPOOL_DIR=" + s.dir + "/spool-bench",
		"PREFETCH_NIGHT=off",
		"DRAIN_DELAY=0",
		"AUTH_DATABASE_URL=" + access.AppURL(migrations.Auth),
		"BILL_DATABASE_URL=" + access.AppURL(migrations.Bill),
		"PRODUCT_DATABASE_URL=" + access.AppURL(migrations.Product),
		"KOS_DATABASE_URL=" + access.AppURL(migrations.KOS),
		"KOS_URL=" + s.KOS.URL,
		"KOS_TOKEN=" + secrets["kos.token"],
		"MVNOAP_URL=" + s.MVNOAP.URL,
		"MVNOAP_SECRET=" + secrets["mvnoap.secret"],
		"AUTH_URL=" + s.Services["auth"],
		"AUTH_INTERNAL_URL=" + internal("auth"),
		"BILL_URL=" + s.Services["bill"],
		"PRODUCT_URL=" + s.Services["product"],
		"BILL_INTERNAL_URLS=" + internal("bill"),
		"PRODUCT_INTERNAL_URLS=" + internal("product"),
	}, nil
}

// readyIn starts a service as a process, measures how long it takes until it is ready, and ends it.
func readyIn(ctx context.Context, name string, env []string) (time.Duration, error) {
	path, err := siblingBinary(name)
	if err != nil {
		return 0, err
	}
	public, err1 := freeAddr(ctx)
	internal, err2 := freeAddr(ctx)
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	unit := strings.ToUpper(strings.SplitN(name, "-", 2)[0])
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = slices.Concat(os.Environ(), env, []string{unit + "_ADDR=" + public, unit + "_INTERNAL_ADDR=" + internal})
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	for time.Since(begun) < 30*time.Second {
		if isReady(ctx, "http://"+internal+"/readyz") {
			return time.Since(begun), nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return 0, fmt.Errorf("bench: %s does not get ready", name)
}

func isReady(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return res.Body.Close() == nil && res.StatusCode == http.StatusOK
}

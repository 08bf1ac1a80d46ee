package e2e

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTheRungFollowsWhatIsAway takes KOS, a database and the cache away in turn, with a maintenance in between: /health
// and the header X-Degradation say so, and say that all is well once it is back. In one process, and with each service
// in its own.
func TestTheRungFollowsWhatIsAway(t *testing.T) {
	t.Parallel()
	binaries(t)
	for name, args := range map[string][]string{"all in one": nil, "split": {"-split"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := dataDir(t)
			admin, database := ownDatabase(t, dir)
			s := start(t, dir, append(listeners(t), database, "DRAIN_DELAY=0",
				"KOS_BREAKERS=bill.inquiry=2/1s/1,customer.get=2/1s/1"), args...)
			s.isOn(t, "NORMAL")

			token, line := s.login(t, 0)
			s.control(t, http.MethodPost, "/faults", map[string]any{"operation": "*", "mode": "refuse"}, nil)
			require.Eventually(t, func() bool {
				_, _, err := s.call(t.Context(), http.MethodPost, "/bills/inquiry", token, map[string]string{"lineNumber": line})
				return err == nil && s.degradation(t).Rung == "KOS_AWAY"
			}, eventTimeout, 100*time.Millisecond)
			s.isOn(t, "KOS_AWAY")
			s.control(t, http.MethodDelete, "/faults", nil, nil)
			s.isOn(t, "NORMAL")

			for _, allowed := range []string{"false", "true"} {
				execute(t, admin, "ALTER DATABASE phonebill_product ALLOW_CONNECTIONS "+allowed)
				execute(t, admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'phonebill_product'")
				s.isOn(t, map[string]string{"false": "DATABASE_AWAY", "true": "NORMAL"}[allowed])
			}

			s.maintains(t, dir, token, line)

			cache, err := net.ResolveTCPAddr("tcp", s.Cache.Address)
			require.NoError(t, err)
			require.NoError(t, syscall.Kill(listenerOf(t, cache.Port), syscall.SIGKILL))
			s.isOn(t, "CACHE_AWAY")
			require.InDelta(t, 2, s.metric(t, "gateway", "degradation_rung"), 0)
			require.Zero(t, s.interrupt(t))
		})
	}
}

// degradation is what /health says that the system goes on without.
type degradation struct {
	Rung   string
	Causes []string
	Since  time.Time
}

// degradation asks the gateway. Whatever is away, it is up.
func (s *system) degradation(t *testing.T) degradation {
	t.Helper()
	res := s.fetch(t, "/health")
	defer func() { _ = res.Body.Close() }()
	require.Equal(t, http.StatusOK, res.StatusCode)
	var body struct{ Degradation degradation }
	require.NoError(t, json.NewDecoder(res.Body).Decode(&body))
	return body.Degradation
}

// isOn waits until the gateway is on that rung, in /health and on the answers of the API.
func (s *system) isOn(t *testing.T, rung string) {
	t.Helper()
	require.Eventually(t, func() bool { return s.degradation(t).Rung == rung }, eventTimeout, 50*time.Millisecond, rung)
	is := s.degradation(t)
	require.False(t, is.Since.IsZero())
	want := strings.Join(is.Causes, ", ")
	require.Eventually(t, func() bool {
		res := s.fetch(t, "/api/v1/bills/menu")
		return res.Body.Close() == nil && res.Header.Get("X-Degradation") == want
	}, eventTimeout, 50*time.Millisecond, "no header says %q", want)
}

func (s *system) fetch(t *testing.T, path string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, s.BaseURL+path, http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	return res
}

// maintains switches customers' operations off by the command line, and on again.
func (s *system) maintains(t *testing.T, dir, token, line string) {
	t.Helper()
	status := func(want int) {
		require.Eventually(t, func() bool {
			got, _, err := s.call(t.Context(), http.MethodPost, "/bills/inquiry", token, map[string]string{"lineNumber": line})
			return err == nil && got == want
		}, eventTimeout, 50*time.Millisecond, "status %d", want)
	}
	status(http.StatusOK)
	ctl(t, dir, "maintenance", "on", "--until", "10m", "--reason", "drill")
	status(http.StatusServiceUnavailable)
	s.isOn(t, "MAINTENANCE")
	_, _ = s.login(t, 0)
	ctl(t, dir, "maintenance", "on", "--until", "10m", "--changes", "--reason", "drill")
	status(http.StatusOK)
	ctl(t, dir, "maintenance", "off")
	s.isOn(t, "NORMAL")
}

// ctl runs the command line on the data folder of a running system.
func ctl(t *testing.T, dir string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(binaries(t), "phonebillctl"), args...)
	command.Env = append(os.Environ(), "PHONEBILL_DATA="+dir, "PHONEBILL_ENV=development")
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
}

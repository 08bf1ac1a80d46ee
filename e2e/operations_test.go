package e2e

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"
)

// opsPage is what the drill reads of a page of /ops.
type opsPage struct {
	Instances   []struct{ Service, Instance string }
	Unreachable []struct{ Service, Instance, Reason string }
	Services    []upstreamSum
}

// upstreamSum is a service as the gateways see it.
type upstreamSum struct {
	Service  string
	Gateways int
	Worst    struct{ Up, Down int }
}

// look asks for a page as the demo's operator.
func (s *system) look(t *testing.T, token, path string) opsPage {
	t.Helper()
	status, data, err := s.call(t.Context(), http.MethodGet, path, token, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, data)
	raw, err := json.Marshal(data)
	require.NoError(t, err)
	var page opsPage
	require.NoError(t, json.Unmarshal(raw, &page))
	return page
}

// TestAHangingInstanceIsSeenAndKeepsNobodyWaiting stops a service's process without ending it: its port still takes
// connections, and does not answer them.
func TestAHangingInstanceIsSeenAndKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	s := start(t, dataDir(t), listeners(t), "-split")
	code, err := totp.GenerateCode(s.Operator.TOTPSecret, time.Now())
	require.NoError(t, err)
	status, data, err := s.call(t.Context(), http.MethodPost, "/auth/login", "",
		map[string]string{"userId": s.Operator.UserID, "password": s.Operator.Password, "otp": code})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, data)
	token, _ := data["accessToken"].(string)

	page := s.look(t, token, "/ops/circuit-breakers")
	require.Empty(t, page.Unreachable)
	require.Len(t, page.Instances, 3, "the gateway, and the two services that call KOS")
	require.Len(t, s.look(t, token, "/ops/instances").Instances, 4)

	bill := childOf(t, s.cmd.Process.Pid, filepath.Join(binaries(t), "bill-inquiry"))
	require.NoError(t, syscall.Kill(bill, syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(bill, syscall.SIGCONT) })
	for _, path := range []string{"/ops/circuit-breakers", "/ops/kos-quota", "/ops/cache", "/ops/instances"} {
		began := time.Now()
		page := s.look(t, token, path)
		took := time.Since(began)
		require.Less(t, took, 3*time.Second, "one second, and a busy machine forgiven")
		t.Logf("%s with a hanging instance: %s", path, took)
		require.Len(t, page.Unreachable, 1)
		require.Equal(t, "bill-inquiry", page.Unreachable[0].Service)
		require.NotEmpty(t, page.Unreachable[0].Instance)
		require.Equal(t, "TOO_SLOW", page.Unreachable[0].Reason)
	}
	page = s.look(t, token, "/ops/circuit-breakers")
	require.Len(t, page.Instances, 2, "the others are told")
	for _, i := range page.Instances {
		require.NotEqual(t, "bill-inquiry", i.Service)
	}
	require.Eventually(t, func() bool {
		page := s.look(t, token, "/ops/upstreams")
		at := slices.IndexFunc(page.Services, func(u upstreamSum) bool { return u.Service == "bill-inquiry" })
		return at >= 0 && page.Services[at].Gateways == 1 && page.Services[at].Worst.Down == 1
	}, eventTimeout, 100*time.Millisecond, "the gateway sees that it is down")

	require.NoError(t, syscall.Kill(bill, syscall.SIGCONT))
	require.Eventually(t, func() bool { return len(s.look(t, token, "/ops/cache").Instances) == 2 }, eventTimeout,
		100*time.Millisecond)
}

package allinone_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/devstack"
)

// TestTheSharedTokenWritesNothingIntoTheAuditLogOfTheRunningSystem, and what its gateway wrote is there by its own
// credential.
func TestTheSharedTokenWritesNothingIntoTheAuditLogOfTheRunningSystem(t *testing.T) {
	t.Parallel()
	needSystem(t)
	post := func(credential string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			strings.TrimSuffix(running.Metrics["auth"], "/metrics")+"/internal/v1/audit",
			strings.NewReader(`{"actor":"`+running.Admin.UserID+
				`","action":"TIMELINE_SHOWN","subject":"forged","outcome":"DONE","detail":"{}"}`))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+sharedToken(t))
		req.Header.Set("X-Audit-Credential", credential)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	require.Equal(t, http.StatusForbidden, post(""))
	require.Equal(t, http.StatusForbidden, post(sharedToken(t)))
	require.Empty(t, audited(t, "forged"))
	r := call(t, http.MethodPost, "/ops/deliveries/019c0000-0000-7000-8000-000000000001/replay", login(t, running.Admin),
		fields{"reason": "감사 기록 확인"})
	require.Equal(t, http.StatusNotFound, r.status, r.raw)
	require.Equal(t, []string{"DELIVERY_REPLAYED INTENDED", "DELIVERY_REPLAYED NOT_FOUND"},
		audited(t, "019c0000-0000-7000-8000-000000000001"))
}

// sharedToken is INTERNAL_TOKEN, which every service has.
func sharedToken(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(running.dir, "secrets.json"))
	require.NoError(t, err)
	var secrets map[string]string
	require.NoError(t, json.Unmarshal(raw, &secrets))
	return secrets[devstack.InternalToken]
}

// TestTheAnchorThatVerifyPrintsHolds the next time; another does not.
func TestTheAnchorThatVerifyPrintsHolds(t *testing.T) {
	t.Parallel()
	needSystem(t)
	_, _, err := command(t, "", "audit", "verify", "--anchor", "1:"+strings.Repeat("0", 64))
	require.ErrorContains(t, err, "checkpoint 1")
	var out string
	require.Eventually(t, func() bool { // a checkpoint is made each minute
		out, _, err = command(t, "", "audit", "verify")
		return err == nil && strings.Contains(out, "anchor for the next time: ")
	}, 2*time.Minute, time.Second)
	anchor := regexp.MustCompile("anchor for the next time: ([0-9]+:[0-9a-f]{64})").FindStringSubmatch(out)
	require.Len(t, anchor, 2, out)
	out, _, err = command(t, "", "audit", "verify", "--anchor", anchor[1])
	require.NoError(t, err)
	require.Contains(t, out, "it holds what the anchor knows: 1 checkpoints, 0 rows")
}

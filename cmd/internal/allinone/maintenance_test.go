package allinone_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAMaintenanceIsSwitchedOnAndOff goes the whole way from the command line and from the API to what a customer sees.
// It plans one far away, so that the tests beside it go on; one for now is in the drills (e2e).
func TestAMaintenanceIsSwitchedOnAndOff(t *testing.T) {
	t.Parallel()
	needSystem(t)
	operator, who := login(t, running.Operator), login(t, customer(t, "normal", 0))
	require.Equal(t, http.StatusForbidden, call(t, http.MethodGet, "/ops/maintenance", who, nil).status)
	for body, field := range map[string]string{
		`{"until":"2020-01-01T00:00:00Z","reason":"점검"}`:                 "until",
		`{"until":"soon","reason":"점검"}`:                                 "until",
		`{"reason":"점검"}`:                                                "until",
		`{"until":"2020-01-01T00:00:00Z"}`:                               "reason",
		`{"until":"2020-01-01T00:00:00Z","reason":"점검","scope":"BILLS"}`: "scope",
	} {
		r := call(t, http.MethodPut, "/ops/maintenance", operator, body)
		require.Equal(t, http.StatusBadRequest, r.status, r.raw)
		require.Equal(t, field, r.body.Error.Fields[0].Field, r.raw)
	}
	from := time.Now().Add(29 * 24 * time.Hour).UTC().Truncate(time.Second)
	r := call(t, http.MethodPut, "/ops/maintenance", operator, map[string]string{
		"from": from.Format(time.RFC3339), "until": from.Add(time.Hour).Format(time.RFC3339), "reason": "정기 점검",
		"message": "곧 돌아옵니다",
	})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.Equal(t, "PLANNED", r.text("state"), r.raw)
	out, _, err := command(t, "", "maintenance", "show")
	require.NoError(t, err)
	require.Contains(t, out, "곧 돌아옵니다")
	require.Contains(t, out, running.Operator.UserID)
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, "/bills/menu", who, nil).status)

	out, _, err = command(t, "", "maintenance", "on", "--from", "240h", "--until", "241h", "--changes", "--reason", "KOS")
	require.NoError(t, err)
	require.Contains(t, out, "CHANGES")
	r = call(t, http.MethodGet, "/ops/maintenance", operator, nil)
	require.Equal(t, "CHANGES", r.text("scope"), "the last one counts: %s", r.raw)
	_, _, err = command(t, "", "maintenance", "on", "--until", "tomorrow", "--reason", "KOS")
	require.ErrorContains(t, err, "--until is a time")
	_, _, err = command(t, "", "maintenance", "on", "--until", "25h", "--reason", "KOS")
	require.Error(t, err)

	require.Equal(t, http.StatusOK, call(t, http.MethodDelete, "/ops/maintenance", operator, nil).status)
	out, _, err = command(t, "", "maintenance", "show")
	require.NoError(t, err)
	require.Contains(t, out, "there is no maintenance")
	out, _, err = command(t, "", "audit", "show", "--action", "MAINTENANCE_STARTED")
	require.NoError(t, err)
	require.Contains(t, out, "INTENDED")
	require.Contains(t, out, "VALIDATION_ERROR")
	require.Contains(t, out, "정기 점검")
}

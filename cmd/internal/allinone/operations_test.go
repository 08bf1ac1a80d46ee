package allinone_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/devstack"
)

var opsPages = []string{
	"/ops/circuit-breakers", "/ops/kos-quota", "/ops/cache", "/ops/instances", "/ops/upstreams",
}

// TestStaffSeeTheInstances asks each page at the gateway and holds the answer against its specification.
func TestStaffSeeTheInstances(t *testing.T) {
	t.Parallel()
	needSystem(t)
	inside := map[string]string{
		"bill-inquiry":   strings.TrimSuffix(strings.TrimPrefix(running.Metrics["bill"], "http://"), "/metrics"),
		"product-change": strings.TrimSuffix(strings.TrimPrefix(running.Metrics["product"], "http://"), "/metrics"),
		"auth":           strings.TrimSuffix(strings.TrimPrefix(running.Metrics["auth"], "http://"), "/metrics"),
		"gateway":        strings.TrimSuffix(strings.TrimPrefix(running.Metrics["gateway"], "http://"), "/metrics"),
	}
	for _, who := range []devstack.Login{running.Operator, running.Admin} {
		token := login(t, who)
		for _, page := range opsPages {
			r := call(t, http.MethodGet, page, token, nil)
			require.Equal(t, http.StatusOK, r.status, r.raw)
			require.Equal(t, []any{}, r.data("unreachable"), r.raw)
		}
		for page, services := range map[string]int{"/ops/circuit-breakers": 3, "/ops/cache": 2, "/ops/instances": 4} {
			instances, _ := call(t, http.MethodGet, page, token, nil).data("instances").([]any)
			require.Len(t, instances, services, page)
			for _, i := range instances {
				row, _ := i.(map[string]any)
				name, _ := row["service"].(string)
				require.Equal(t, inside[name], row["instance"])
			}
		}
	}
	customer := login(t, customer(t, "normal", 0))
	for _, page := range opsPages {
		r := call(t, http.MethodGet, page, customer, nil)
		require.Equal(t, http.StatusForbidden, r.status, r.raw)
		require.Equal(t, "서비스 이용 권한이 없습니다", r.body.Error.Message)
	}
}

const statusPath = "/internal/v1/operations/status"

// TestTheStatusIsInside: the internal listeners alone serve it, to callers with the token.
func TestTheStatusIsInside(t *testing.T) {
	t.Parallel()
	needSystem(t)
	token := login(t, running.Admin)
	for _, base := range []string{running.BaseURL, running.Services["auth"], running.Services["bill"],
		running.Services["product"]} {
		for _, path := range []string{statusPath, "/api/v1" + statusPath, "/api/v1/ops/../.." + statusPath} {
			r := callAt(t, base, http.MethodGet, path, token, nil)
			require.Equal(t, http.StatusNotFound, r.status, base+path)
		}
	}
	for _, service := range []string{"bill", "product"} {
		require.Equal(t, http.StatusNotFound,
			callAt(t, running.Services[service], http.MethodGet, "/api/v1/ops/cache", token, nil).status)
		inside := strings.TrimSuffix(running.Metrics[service], "/metrics")
		for _, bearer := range []string{"", "Bearer " + token} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, inside+statusPath, http.NoBody)
			require.NoError(t, err)
			req.Header.Set("Authorization", bearer)
			res, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, http.StatusUnauthorized, res.StatusCode, service)
		}
	}
}

// TestCommandLineLooks: phonebillctl finds the running system and its token by itself.
func TestCommandLineLooks(t *testing.T) {
	t.Parallel()
	needSystem(t)
	for _, page := range []string{"breakers", "quota", "cache", "instances", "upstreams"} {
		out, _, err := command(t, "", "ops", page)
		require.NoError(t, err)
		require.NotContains(t, out, "does not answer")
		require.Contains(t, out, "INSTANCE")
	}
	out, _, err := command(t, "", "ops", "--help")
	require.NoError(t, err)
	require.Contains(t, out, "BILL_INTERNAL_URLS")
}

// TestHitsAreCounted: a bill that is asked for again comes from memory, and the page and the metrics both say so.
func TestHitsAreCounted(t *testing.T) {
	t.Parallel()
	needSystem(t)
	staff, who := login(t, running.Operator), customer(t, "normal", 2)
	hits := func() float64 {
		total, _ := call(t, http.MethodGet, "/ops/cache", staff, nil).data("total").([]any)
		for _, row := range total {
			if counts, _ := row.(map[string]any); counts["kind"] == "bill" {
				n, _ := counts["hits"].(float64)
				return n
			}
		}
		return 0
	}
	token, before := login(t, who), hits()
	require.Eventually(t, func() bool {
		return call(t, http.MethodPost, "/bills/inquiry", token, map[string]string{"lineNumber": who.LineNumber}).text(
			"source") == "CACHE"
	}, 20*time.Second, 100*time.Millisecond)
	require.Greater(t, hits(), before)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, running.Metrics["bill"], http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, errors.Join(err, res.Body.Close()))
	require.Regexp(t, `(?m)^phonebill_lookups_total\{kind="bill",result="hit"\} [1-9]`, string(raw))
}

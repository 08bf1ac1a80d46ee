package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// releaseAt builds an earlier release of this repository and returns the folder with its binaries.
func releaseAt(t *testing.T, commit string) string {
	t.Helper()
	tree, bin := filepath.Join(t.TempDir(), "tree"), t.TempDir()
	git := func(args ...string) {
		out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "git", args...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	git("worktree", "add", "--detach", tree, commit)
	t.Cleanup(func() { git("worktree", "remove", "--force", tree) })
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", "./cmd/...")
	build.Dir = tree
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	return bin
}

// upgradesFrom are the releases that the drill takes data folders of: those that DRILL_UPGRADE_FROM names (`make
// drills`).
func upgradesFrom(t *testing.T) []string {
	t.Helper()
	binaries(t)
	from := strings.Fields(os.Getenv("DRILL_UPGRADE_FROM"))
	if len(from) == 0 {
		t.Skip("needs DRILL_UPGRADE_FROM=\"COMMIT …\": run `make drills`")
	}
	return from
}

// stock is what a data folder holds, as it was when the earlier release was killed.
type stock struct {
	inquiries, orders, told map[string]string // by id: what is fixed, the transaction and state, the delivery state
}

func stockOf(t *testing.T, s *system) (k stock) {
	t.Helper()
	bills, orders := connect(t, s.Databases["bill"]), connect(t, s.Databases["product"])
	k.inquiries = pairs(t, bills, `SELECT id::text,
		concat_ws(' ', user_id, month, requested_at, CASE status WHEN 'PROCESSING' THEN '' ELSE status END) FROM inquiries`)
	k.orders = pairs(t, orders, `SELECT id::text, concat_ws(' ', transaction_id, state) FROM change_orders`)
	k.told = pairs(t, bills, `SELECT id::text, delivery_state FROM inquiries`)
	for id, state := range pairs(t, orders, `SELECT id::text, delivery_state FROM change_orders`) {
		k.told[id] = state
	}
	return k
}

func pairs(t *testing.T, db *pgx.Conn, query string) map[string]string {
	t.Helper()
	rows, err := db.Query(t.Context(), query)
	require.NoError(t, err)
	all := map[string]string{}
	var id, value string
	_, err = pgx.ForEachRow(rows, []any{&id, &value}, func() error { all[id] = value; return nil })
	require.NoError(t, err)
	return all
}

// fill leaves inquiries, orders in every state, and results that are delivered, pending and parked, and kills the
// release.
func fill(t *testing.T, s *system) stock {
	t.Helper()
	for nth := range 2 {
		token, line := s.login(t, nth)
		require.Equal(t, http.StatusOK, bill(t.Context(), s.BaseURL, token, line).status)
	}
	token, line := s.login(t, 0)
	require.Equal(t, http.StatusOK, order(t.Context(), s.BaseURL, token, line, "5G-PREMIUM-001", "upgrade-1").status)
	require.Eventually(t, func() bool { return len(s.received(t)) >= 3 }, eventTimeout, 50*time.Millisecond,
		"results are delivered")

	s.steer(t, http.MethodPost, `{"mode":"fail","status":400}`) // a result that is refused is parked
	require.Equal(t, http.StatusOK, bill(t.Context(), s.BaseURL, token, line).status)
	db := connect(t, s.Databases["bill"])
	require.Eventually(t, func() bool {
		return one[int](t, db, `SELECT count(*) FROM inquiries WHERE delivery_state = 'PARKED'`) > 0
	}, eventTimeout, 50*time.Millisecond)
	s.steer(t, http.MethodDelete, "")
	s.steer(t, http.MethodPost, `{"mode":"refuse"}`)
	require.Equal(t, http.StatusOK, bill(t.Context(), s.BaseURL, token, line).status)

	hang := func(nth int, mode string) {
		token, line := s.login(t, nth)
		s.control(t, http.MethodPost, "/faults", map[string]any{
			"operation": "product.change", "lineNumber": line, "mode": mode, "rate": 1,
		}, nil)
		a := order(t.Context(), s.BaseURL, token, line, "5G-PREMIUM-001", fmt.Sprint("upgrade-", mode))
		require.Equal(t, http.StatusAccepted, a.status, a.Error.Code)
	}
	hang(1, "apply_then_hang")
	hang(2, "hang")
	orders := connect(t, s.Databases["product"])
	require.Eventually(t, func() bool {
		return one[int](t, orders, `SELECT count(*) FROM change_orders WHERE state = 'UNKNOWN'`) == 2
	}, eventTimeout, 50*time.Millisecond)

	// A bill of another month that KOS does not answer; then KOS refuses connections: an order is cancelled, another one
	// waits.
	s.control(t, http.MethodPost, "/faults", map[string]any{"operation": "bill.inquiry", "mode": "hang", "rate": 1}, nil)
	waiting := ask(t.Context(), http.MethodPost, s.BaseURL+"/api/v1/bills/inquiry", token,
		map[string]string{"lineNumber": line, "inquiryMonth": lastMonth()})
	require.Equal(t, http.StatusAccepted, waiting.status, waiting.Error.Code)
	s.control(t, http.MethodPost, "/faults", map[string]any{"operation": "*", "mode": "refuse", "rate": 1}, nil)
	taken := order(t.Context(), s.BaseURL, token, line, "5G-STANDARD-001", "upgrade-2")
	require.Equal(t, http.StatusAccepted, taken.status, taken.Error.Code)
	status, _, err := s.call(t.Context(), http.MethodDelete, "/products/change/"+taken.text("requestId"), token, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, http.StatusAccepted, order(t.Context(), s.BaseURL, token, line, "5G-STANDARD-001",
		"upgrade-3").status)
	k := stockOf(t, s)
	s.kill()
	return k
}

// TestUpgrade takes over data folders of earlier releases: nothing that they acknowledged is lost, done twice or
// delivered under another id, and the earlier release still runs on the folder afterwards (ADR 30, bar R13).
//
//nolint:paralleltest // it builds whole releases
func TestUpgrade(t *testing.T) {
	for _, commit := range upgradesFrom(t) {
		t.Run(commit, func(t *testing.T) {
			old, dir, env := releaseAt(t, commit), dataDir(t), append(listeners(t), "KOS_PER_CUSTOMER=0")
			before := fill(t, startRelease(t, old, dir, env))

			s := start(t, dir, env)
			s.control(t, http.MethodDelete, "/faults", nil, nil)
			s.steer(t, http.MethodDelete, "")
			orders, bills := connect(t, s.Databases["product"]), connect(t, s.Databases["bill"])
			allEnd(t, orders, 2*time.Minute)
			require.Eventually(t, func() bool {
				const pending = `SELECT count(*) FROM %s WHERE delivery_state = 'PENDING' OR delivery_state = 'NONE'`
				return one[int](t, orders, fmt.Sprintf(pending, "change_orders")) == 0 &&
					one[int](t, bills, fmt.Sprintf(pending, "inquiries")) == 0
			}, 2*time.Minute, 250*time.Millisecond, "all results are delivered")
			after := stockOf(t, s)
			for id, fixed := range before.inquiries {
				require.Contains(t, after.inquiries, id)
				require.True(t, strings.HasPrefix(after.inquiries[id], fixed), "%q became %q", fixed, after.inquiries[id])
			}
			require.Len(t, after.inquiries, len(before.inquiries))
			require.Len(t, after.orders, len(before.orders))
			for id, was := range before.orders {
				transaction, state, _ := strings.Cut(was, " ")
				got := after.orders[id]
				if state == "CANCELLED" || state == "COMPLETED" {
					require.Equal(t, was, got)
					continue
				}
				require.Equal(t, transaction+" COMPLETED", got, "it was %s", state)
			}
			for id, state := range before.told {
				if state == "PARKED" {
					require.Equal(t, "PARKED", after.told[id], "a person looks at it")
				}
			}
			applied := map[string]int{}
			for _, all := range s.applications(t) {
				for _, a := range all {
					applied[a.TransactionID]++
				}
			}
			for transaction, times := range applied {
				require.Equal(t, 1, times, transaction)
			}
			require.Len(t, applied, 4, "the completed order, the two that were unknown, the one that waited")
			t.Logf("%s: %d inquiries, orders %v", commit, len(after.inquiries), after.orders)

			// The earlier release goes on with the newer schema, and this one after it.
			s.kill()
			back := startRelease(t, old, dir, env)
			token, line := back.login(t, 0)
			require.Equal(t, http.StatusOK, bill(t.Context(), back.BaseURL, token, line).status)
			require.Len(t, stockOf(t, back).inquiries, len(before.inquiries)+1)
			back.kill()
			again := start(t, dir, env)
			token, line = again.login(t, 0)
			require.Equal(t, http.StatusOK, bill(t.Context(), again.BaseURL, token, line).status)
			require.Len(t, stockOf(t, again).inquiries, len(before.inquiries)+2)
			require.Zero(t, again.interrupt(t))
		})
	}
}

// TestTwoReleasesSideBySide runs a product service of the release before beside one of this release: of two customers'
// wishes for one line at the same moment, one becomes an order, whichever service takes it (ADR 22, ADR 30).
//
//nolint:paralleltest // it builds a whole release
func TestTwoReleasesSideBySide(t *testing.T) {
	from := upgradesFrom(t)
	old := releaseAt(t, from[len(from)-1])
	c := startCluster(t)
	now := launch(t, "product-change", "PRODUCT", c.linkEnv...)
	before := launchAt(t, filepath.Join(old, "product-change"), "PRODUCT", c.linkEnv...)
	tokens, lines := c.customers(t, 20, 1)
	for n, token := range tokens {
		var all sync.WaitGroup
		got := make([]answer, 2)
		for i, at := range []*instance{now, before} {
			all.Go(func() {
				to := []string{"5G-PREMIUM-001", "5G-STANDARD-001"}[i]
				got[i] = order(t.Context(), at.url, token, lines[n][0], to, "")
			})
		}
		all.Wait()
		taken := 0
		for _, a := range got {
			switch a.status {
			case http.StatusOK, http.StatusAccepted:
				taken++
			default:
				require.Equal(t, "CHANGE_IN_PROGRESS", a.Error.Code, a.status)
			}
		}
		require.Equal(t, 1, taken, "%v", got)
	}
	db := connect(t, c.Databases["product"])
	allEnd(t, db, 2*time.Minute)
	appliedOnce(t, c, db, len(tokens))
}

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"phonebill/core/calendar"
)

// full reports whether the drills are to have their full size (`make drills`).
func full() bool { return os.Getenv("DRILL_FULL") != "" }

// rounds is how many orders a drill makes: few in every test run, many in `make drills`.
func rounds(t *testing.T, few int) int {
	t.Helper()
	if s := os.Getenv("DRILL_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		return n
	}
	return few
}

// order asks for a change under a key, from the first of next month on.
func order(ctx context.Context, at, token, line, to, key string) answer {
	return orderFor(ctx, at, token, line, to, key, "")
}

// orderFor asks for a change from a day on; "" is the default.
func orderFor(ctx context.Context, at, token, line, to, key, day string) answer {
	wish := map[string]string{"lineNumber": line, "currentProductCode": "LTE-PREMIUM-001", "targetProductCode": to}
	if day != "" {
		wish["changeEffectiveDate"] = day
	}
	return askUnder(ctx, key, at+"/api/v1/products/change", token, wish)
}

// askUnder is a POST with an Idempotency-Key; "" is none.
func askUnder(ctx context.Context, key, address, token string, body any) (a answer) {
	raw, err := json.Marshal(body)
	if err != nil {
		return a
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(raw))
	if err != nil {
		return a
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := patient.Do(req)
	if err != nil {
		return a
	}
	defer func() { _ = res.Body.Close() }()
	if json.NewDecoder(res.Body).Decode(&a) == nil {
		a.status = res.StatusCode
	}
	return a
}

// applied is a row of the simulator's ledger.
type applied struct{ TransactionID, LineNumber, To string }

func (s *system) applications(t *testing.T) map[string][]applied {
	t.Helper()
	var rows []applied
	s.control(t, http.MethodGet, "/ledger", nil, &rows)
	of := map[string][]applied{}
	for _, r := range rows {
		of[r.LineNumber] = append(of[r.LineNumber], r)
	}
	return of
}

// randomFault makes KOS fail for up to n of the next changes of a line, and returns the mode; "" is no fault.
func (c *cluster) randomFault(t *testing.T, line string, n int) string {
	t.Helper()
	modes := []string{"", "apply_then_hang", "apply_late", "answer_twice", "refuse", "error", "hang", "latency",
		"malformed"}
	mode := modes[rand.IntN(len(modes))]
	if mode == "" {
		return mode
	}
	c.control(t, http.MethodPost, "/faults", map[string]any{
		"operation": "product.change", "lineNumber": line, "mode": mode, "rate": 1, "times": 1 + rand.IntN(n),
		"lateMs": 500 + rand.IntN(15_000), "latencyMs": 100 + rand.IntN(3000),
	}, nil)
	return mode
}

// disrupt kills and stops the instances, each at moments of its own, until ctx is done; then all run. A stop outlasts
// the lease of what the instance had in hand, or does not count; the first instance begins with one, when it has orders
// in hand.
func disrupt(ctx context.Context, t *testing.T, all []*instance) (kills, stops int) {
	t.Helper()
	var killed, stopped atomic.Int32
	var victims sync.WaitGroup
	for k, victim := range all {
		victims.Go(func() {
			pause := 1300 * time.Millisecond
			for n := 4 * k; wait(ctx, pause); n++ {
				pause = time.Duration(300+rand.IntN(4000)) * time.Millisecond
				if n%8 == 0 {
					noError(t, victim.cmd.Process.Signal(syscall.SIGSTOP))
					if wait(ctx, 17*time.Second) {
						stopped.Add(1)
					}
					noError(t, victim.cmd.Process.Signal(syscall.SIGCONT))
					continue
				}
				victim.kill()
				victim.run(t)
				killed.Add(1)
			}
		})
	}
	victims.Wait()
	return int(killed.Load()), int(stopped.Load())
}

// wait returns false when ctx was done first.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// TestChangesUnderEveryFault: orders on as many lines while KOS applies and hangs, applies late, answers twice, refuses
// connections, errs, answers nonsense, and the services are killed and stopped at any moment; once with a KOS that can
// be asked about transactions and once with one that cannot. Each order is final or parked, and applied once if it is
// done and not at all if it failed. Customers repeat what got no answer under its key.
func TestChangesUnderEveryFault(t *testing.T) {
	t.Parallel()
	n, again := rounds(t, 16), 1
	if n > 100 {
		again = 2 // what is silent twice takes a minute more
	}
	c := startCluster(t)
	at := c.instances(t, 2, "product-change", "PRODUCT")
	tokens, lines := c.customers(t, 8, (n+7)/8)
	db, begun := connect(t, c.Databases["product"]), time.Now()
	for part, query := range []string{"on", "off"} {
		c.control(t, http.MethodPost, "/settings", map[string]any{"statusQuery": query}, nil)
		disrupting, stopDisrupting := context.WithCancel(t.Context())
		ended := make(chan struct{})
		var kills, stops int
		go func() { defer close(ended); kills, stops = disrupt(disrupting, t, at) }()
		var mu sync.Mutex
		got, faults := map[int]int{}, map[string]int{}
		var all sync.WaitGroup
		places := make(chan struct{}, 16)
		for i := range n {
			if i%2 != part {
				continue
			}
			places <- struct{}{}
			<-time.After(400 * time.Millisecond)
			line, token := lines[i%8][i/8], tokens[i%8]
			fault, day := c.randomFault(t, line, again), ""
			if i%3 == 0 {
				day = calendar.DateOf(begun).String() // a day later the key still answers
			}
			all.Go(func() {
				defer func() { <-places }()
				a := answer{}
				// its instance was killed, or it was not taken: ask again
				for try := 0; (a.status == 0 || a.status == 503) && try < 60; try++ {
					ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
					a = orderFor(ctx, at[(i/2+try)%2].url, token, line, "5G-PREMIUM-001", fmt.Sprint("round-", i), day)
					cancel()
					if a.status == 0 || a.status == 503 {
						<-time.After(300 * time.Millisecond)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				got[a.status]++
				faults[fault]++
			})
		}
		all.Wait()
		stopDisrupting()
		<-ended
		t.Logf("status query %s: answers %v under %v; %d kills, %d stops", query, got, faults, kills, stops)
		require.Zero(t, got[0]+got[503], "a customer never got an answer")
		require.Positive(t, kills, "no instance was killed")
		require.Positive(t, stops, "no instance was stopped for longer than its lease")
		allEnd(t, db, 5*time.Minute)
	}
	appliedOnce(t, c, db, n)
	for _, i := range at {
		require.NotContains(t, i.logs.String(), "panic")
	}
}

// allEnd waits until no order is live; those that are tell their story if they go on for too long.
func allEnd(t *testing.T, db *pgx.Conn, within time.Duration) {
	t.Helper()
	const live = `SELECT count(*) FROM change_orders WHERE state NOT IN ('COMPLETED', 'FAILED', 'CANCELLED', 'PARKED')`
	for until := time.Now().Add(within); one[int](t, db, live) > 0; <-time.After(500 * time.Millisecond) {
		if time.Now().Before(until) {
			continue
		}
		rows, err := db.Query(t.Context(), `
			SELECT concat_ws(' ', o.id, o.state, o.sends, o.reconciles, o.held, o.next_attempt_at - now(), '|',
				(SELECT string_agg(to_char(s.at, 'MI:SS.MS ') || s.state, ', ' ORDER BY s.step)
				FROM order_steps s WHERE s.order_id = o.id))
			FROM change_orders o WHERE o.state NOT IN ('COMPLETED', 'FAILED', 'CANCELLED', 'PARKED')`)
		require.NoError(t, err)
		stories, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.FailNow(t, "orders that do not end", strings.Join(stories, "\n"))
	}
}

// appliedOnce compares our book with KOS's, order by order.
func appliedOnce(t *testing.T, c *cluster, db *pgx.Conn, n int) {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT o.transaction_id::text, o.state, o.sends,
		(SELECT count(*) FROM order_steps s WHERE s.order_id = o.id AND s.state = 'DISPATCHED') FROM change_orders o`)
	require.NoError(t, err)
	type book struct {
		Transaction, State string
		Sends, Dispatched  int
	}
	orders, err := pgx.CollectRows(rows, pgx.RowToStructByPos[book])
	require.NoError(t, err)
	require.Len(t, orders, n, "one order a line")
	ledger := map[string]int{}
	for line, all := range c.applications(t) {
		require.Len(t, all, 1, "%s was changed twice", line)
		ledger[all[0].TransactionID]++
	}
	arrived := map[string]int{}
	var calls []struct{ Operation, TransactionID string }
	c.control(t, http.MethodGet, "/calls", nil, &calls)
	for _, call := range calls {
		if call.Operation == "product.change" {
			arrived[call.TransactionID]++
		}
	}
	states := map[string]int{}
	for _, o := range orders {
		states[o.State]++
		require.LessOrEqual(t, arrived[o.Transaction], o.Dispatched, "more on the wire than attempts stored: %+v", o)
		switch o.State {
		case "COMPLETED":
			require.Equal(t, 1, ledger[o.Transaction], "done for the customer, not for KOS: %+v", o)
		case "FAILED":
			require.Zero(t, ledger[o.Transaction], "failed for the customer, done for KOS: %+v", o)
		}
		delete(ledger, o.Transaction)
	}
	require.Empty(t, ledger, "KOS did what was not ordered")
	t.Logf("%d orders: %v", len(orders), states)
	require.Zero(t, states["PARKED"], "none of this needs a person")
}

// TestFiftyAtOnce: fifty identical and conflicting requests on one line over two instances are one order, one
// application and no more calls than one order needs.
func TestFiftyAtOnce(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	at := c.instances(t, 2, "product-change", "PRODUCT")
	tokens, lines := c.customers(t, 1, 1)
	token, line := tokens[0], lines[0][0]
	begun := time.Now()
	var mu sync.Mutex
	ids, got := map[string]int{}, map[string]int{}
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() {
			key, to := "", []string{"5G-PREMIUM-001", "5G-STANDARD-001"}[n%2]
			if n%5 == 0 {
				key = "fifty-" + to
			}
			a := order(t.Context(), at[n/2%2].url, token, line, to, key)
			mu.Lock()
			defer mu.Unlock()
			got[fmt.Sprint(a.status, " ", a.Error.Code)]++
			if a.status == http.StatusOK || a.status == http.StatusAccepted {
				ids[a.text("requestId")]++
			}
		})
	}
	all.Wait()
	t.Logf("answers: %v", got)
	require.Len(t, ids, 1, "one order")
	for status := range got {
		require.Contains(t, []string{"200 ", "202 ", "409 CHANGE_IN_PROGRESS"}, status)
	}
	require.GreaterOrEqual(t, got["409 CHANGE_IN_PROGRESS"], 25)
	require.Eventually(t, func() bool { return len(c.applications(t)[line]) == 1 }, time.Minute, 100*time.Millisecond)
	calls := map[string]int{}
	for _, call := range c.calls(t, begun, "") {
		if call.LineNumber == line || call.Operation == "products.list" {
			calls[call.Operation]++
		}
	}
	require.LessOrEqual(t, calls["products.list"], 1, "it may be a minute old")
	delete(calls, "products.list")
	require.Equal(t, map[string]int{"customer.get": 1, "product.change": 1}, calls)
}

// TestOrdersAreTakenWhileKOSIsAway is bar R5 for changes, with real processes and the real budget: customers order
// while KOS refuses every connection, see that it waits, and each order is done once when KOS is back, within the
// budget of calls.
func TestOrdersAreTakenWhileKOSIsAway(t *testing.T) {
	t.Parallel()
	n := rounds(t, 24)
	c := startCluster(t, "KOS_QUOTA_PER_MINUTE=100", "KOS_INSTANCES=4")
	at := c.instances(t, 2, "product-change", "PRODUCT")
	tokens, lines := c.customers(t, 8, (n+7)/8)
	db := connect(t, c.Databases["product"])
	c.control(t, http.MethodPost, "/faults", map[string]any{"operation": "*", "mode": "refuse", "rate": 1}, nil)
	begun := time.Now()
	var requests []string
	for i := range n {
		a := order(t.Context(), at[i%2].url, tokens[i%8], lines[i%8][i/8], "5G-PREMIUM-001", fmt.Sprint("away-", i))
		require.Equal(t, http.StatusAccepted, a.status, a.Error.Code)
		require.Equal(t, "PENDING", a.text("processStatus"))
		require.Contains(t, a.text("message"), "연결되는 대로 자동으로 처리됩니다")
		requests = append(requests, a.text("requestId"))
	}
	gone := ask(t.Context(), http.MethodDelete, at[0].url+"/api/v1/products/change/"+requests[0], tokens[0], nil)
	require.Equal(t, http.StatusOK, gone.status, gone.Error.Code)
	require.Equal(t, "CANCELLED", gone.text("processStatus"))
	<-time.After(10 * time.Second)
	require.Empty(t, c.applications(t))
	c.control(t, http.MethodDelete, "/faults", nil, nil)
	back := time.Now()
	require.Eventually(t, func() bool {
		return one[int](t, db, `SELECT count(*) FROM change_orders WHERE state = 'COMPLETED'`) == n-1
	}, 2*time.Minute+time.Duration(n)*4*time.Second, 200*time.Millisecond)
	took := time.Since(back)
	calls := c.calls(t, begun, "")
	made := map[string]int{}
	for _, call := range c.calls(t, back, "") {
		made[call.Operation]++
	}
	t.Logf("%d orders done %s after KOS was back, %.1f a minute, with the calls %v; at most %d calls in any 60 s",
		n-1, took.Round(time.Second), float64(n-1)/took.Minutes(), made, busiest(calls, time.Minute))
	require.LessOrEqual(t, busiest(calls, time.Minute), 100)
	ledger := c.applications(t)
	require.Len(t, ledger, n-1)
	for line, all := range ledger {
		require.Len(t, all, 1, line)
		require.NotEqual(t, lines[0][0], line, "cancelled")
	}
}

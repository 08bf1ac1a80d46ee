package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crowd is customers who keep reading and asking for bills through one gateway.
type crowd struct {
	stop    context.CancelFunc
	all     sync.WaitGroup
	mu      sync.Mutex
	phase   string
	reads   map[string]map[string]int // answers by phase and status
	asked   map[string]map[string]int // the same of bill inquiries
	slowest map[string]time.Duration  // read
	posts   int                       // sent, answered or not
	ids     map[string]bool           // of the inquiries that were acknowledged
}

func (c *crowd) enter(phase string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = phase
	c.reads[phase], c.asked[phase] = map[string]int{}, map[string]int{}
}

// answered returns how many reads were answered well in this phase.
func (c *crowd) answered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads[c.phase]["200"]
}

// gather starts n customers who take turns with what they do.
func (c *cluster) gather(t *testing.T, gate string, n int) *crowd {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	all := &crowd{
		stop: cancel, reads: map[string]map[string]int{}, asked: map[string]map[string]int{},
		slowest: map[string]time.Duration{}, ids: map[string]bool{},
	}
	all.enter("all is well")
	token, line := c.enter(t, gate, 0).text("accessToken"), ""
	for _, who := range c.Customers {
		if who.Scenario == "normal" {
			line = who.LineNumber
			break
		}
	}
	reads := []string{
		"/bills/menu", "/auth/permissions", "/products/menu", "/bills/history", "/auth/verify", "/products/history",
	}
	for i := range n {
		all.all.Go(func() {
			for turn := i; ctx.Err() == nil; turn++ {
				if turn%5 == 0 {
					all.inquire(ctx, gate, token, line)
					continue
				}
				began := time.Now()
				a := ask(ctx, http.MethodGet, gate+"/api/v1"+reads[turn%len(reads)], token, nil)
				if ctx.Err() == nil {
					all.mu.Lock()
					all.reads[all.phase][strings.TrimSpace(fmt.Sprint(a.status, " ", a.Error.Code))]++
					all.slowest[all.phase] = max(all.slowest[all.phase], time.Since(began))
					all.mu.Unlock()
				}
			}
		})
	}
	return all
}

// inquire asks for a bill without an idempotency key, so that each time that it is received makes a row.
func (c *crowd) inquire(ctx context.Context, gate, token, line string) {
	c.mu.Lock()
	c.posts++
	c.mu.Unlock()
	a := ask(ctx, http.MethodPost, gate+"/api/v1/bills/inquiry", token, map[string]string{"lineNumber": line})
	c.mu.Lock()
	defer c.mu.Unlock()
	if id := a.text("requestId"); id != "" {
		c.ids[id] = true
	}
	if ctx.Err() == nil {
		c.asked[c.phase][strings.TrimSpace(fmt.Sprint(a.status, " ", a.Error.Code))]++
	}
}

// TestInstancesAreKilledStoppedAndStartedAgain (R12): two instances of each service behind one gateway, under load. One
// of each is killed and started again, one is stopped (SIGSTOP) and goes on, one is told to end and drains. No read
// fails, no inquiry is received twice, and everything recovers by itself.
func TestInstancesAreKilledStoppedAndStartedAgain(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	first := []*instance{
		launch(t, "auth", "AUTH", c.authEnv...), launch(t, "bill-inquiry", "BILL", c.linkEnv...),
		launch(t, "product-change", "PRODUCT", c.linkEnv...),
	}
	const drain = 2 * time.Second
	draining := "DRAIN_DELAY=" + drain.String()
	second := []*instance{
		launch(t, "auth", "AUTH", append(c.authEnv, draining)...),
		launch(t, "bill-inquiry", "BILL", append(c.linkEnv, draining)...),
		launch(t, "product-change", "PRODUCT", append(c.linkEnv, draining)...),
	}
	env := []string{
		"INTERNAL_TOKEN=" + drillToken, "VALKEY_ADDR=" + c.Cache.Address, "VALKEY_PASSWORD=" + c.Cache.Password,
		"AUTH_INTERNAL_URL=" + second[0].internal + "," + first[0].internal, "RATE_LIMITS=DEFAULT=1000000",
	}
	for n, key := range []string{"AUTH_URL", "BILL_URL", "PRODUCT_URL"} {
		env = append(env, key+"="+first[n].url+","+second[n].url)
	}
	gate := launch(t, "gateway", "GATEWAY", env...)
	up := func(want float64) {
		t.Helper()
		require.Eventually(t, func() bool {
			for _, service := range []string{"auth", "bill-inquiry", "product-change"} {
				name := `gateway_upstream_instances\{service="` + service + `",state="up"\}`
				if gate.metric(t, name) != want {
					return false
				}
			}
			return true
		}, eventTimeout, 20*time.Millisecond, "%v instances of each", want)
	}
	up(2)
	load := c.gather(t, gate.url, 12)
	went := func(n int) {
		t.Helper()
		require.Eventually(t, func() bool { return load.answered() > n }, eventTimeout, 20*time.Millisecond)
	}
	went(500)

	load.enter("one of each killed")
	for _, i := range second {
		i.kill()
	}
	up(1)
	went(500)
	load.enter("started again")
	for _, i := range second {
		i.run(t)
	}
	up(2)
	went(500)

	load.enter("one of each stopped")
	for _, i := range second {
		require.NoError(t, i.cmd.Process.Signal(syscall.SIGSTOP))
	}
	up(1)
	went(500)
	load.enter("it goes on")
	for _, i := range second {
		require.NoError(t, i.cmd.Process.Signal(syscall.SIGCONT))
	}
	up(2)
	went(500)

	load.enter("one of each told to end")
	for _, i := range second {
		require.NoError(t, i.cmd.Process.Signal(syscall.SIGTERM))
	}
	for _, i := range second {
		require.NoError(t, i.cmd.Wait(), i.logs.String())
	}
	went(500)
	load.enter("started again after that")
	for _, i := range second {
		i.run(t)
	}
	up(2)
	went(500)
	load.stop()
	load.all.Wait()
	load.judge(t)

	var rows int
	require.NoError(t, connect(t, c.Databases["bill"]).QueryRow(t.Context(),
		"SELECT count(*) FROM inquiries").Scan(&rows))
	t.Logf("%d inquiries sent, %d acknowledged, %d rows", load.posts, len(load.ids), rows)
	require.LessOrEqual(t, rows, load.posts, "received twice")
	require.GreaterOrEqual(t, rows, len(load.ids), "lost")
}

// judge prints the figures and checks that no read failed, and that what was told to end failed nobody at all.
func (c *crowd) judge(t *testing.T) {
	t.Helper()
	for _, phase := range []string{
		"all is well", "one of each killed", "started again", "one of each stopped", "it goes on",
		"one of each told to end", "started again after that",
	} {
		t.Logf("%-26s reads %v, the slowest %s; inquiries %v", phase, c.reads[phase],
			c.slowest[phase].Round(time.Millisecond), c.asked[phase])
		for status := range c.reads[phase] {
			require.Equal(t, "200", status, "reads: %s", phase)
		}
		for status := range c.asked[phase] {
			if phase != "one of each killed" && phase != "one of each stopped" && phase != "it goes on" {
				require.Regexp(t, "^20[02]$", status, "inquiries: %s", phase)
			}
		}
	}
}

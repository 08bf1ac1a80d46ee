package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// door is where KOS is for the services of a drill: no process listens there until it is opened.
type door struct {
	addr, to string
}

func (d *door) open(t *testing.T) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", d.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			go d.join(t.Context(), in)
		}
	}()
}

func (d *door) join(ctx context.Context, in net.Conn) {
	out, err := new(net.Dialer).DialContext(ctx, "tcp", d.to)
	if err != nil {
		_ = in.Close()
		return
	}
	shut := func() { _ = in.Close(); _ = out.Close() }
	defer context.AfterFunc(ctx, shut)()
	go func() { _, _ = io.Copy(out, in); shut() }()
	_, _ = io.Copy(in, out)
	shut()
}

// charge asks KOS itself what a bill of the current month comes to.
func (c *cluster) charge(t *testing.T, line string) float64 {
	t.Helper()
	raw, err := json.Marshal(map[string]string{
		"requestId": "drill", "lineNumber": digits(line), "inquiryMonth": strings.ReplaceAll(months(1)[0], "-", ""),
	})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.KOS.URL+"/kos/bill/inquiry",
		bytes.NewReader(raw))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	for _, v := range c.linkEnv {
		if token, ok := strings.CutPrefix(v, "KOS_TOKEN="); ok {
			req.Header.Set("Authorization", "Bearer "+token)
		}
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	var answer struct {
		ResultCode string
		Data       struct{ Charge float64 }
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	require.Equal(t, "0000", answer.ResultCode)
	return answer.Data.Charge
}

func total(a answer) any {
	info, _ := a.Data["billInfo"].(map[string]any)
	return info["totalAmount"]
}

// TestKOSIsDownFromTheStart: services that know some bills and customers from before are started while KOS is down, and
// it stays so for a while. What is known is shown with the time at which KOS stated it, what is not is accepted (202)
// or put off (503), and nothing is made up. When KOS is back, what was taken is done by itself.
func TestKOSIsDownFromTheStart(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]string{"refuses connections": "refuse", "hangs": "hang",
		"answers with errors": "error"} {
		if fault != "refuse" && os.Getenv("DRILL_KILLS") == "" {
			continue // `make drills`: each takes a minute and a half
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, "KOS_QUOTA_PER_MINUTE=0",
				"CACHE_BILL=2s/24h", "CACHE_CUSTOMER=2s/24h", "CACHE_LINE_STATUS=2s/24h", "CACHE_PLANS=2s/24h")
			tokens, lines := c.customers(t, 1, 3)
			o := &downtime{cluster: c, token: tokens[0], known: lines[0][:2], unknown: lines[0][2]}
			o.learn(t)

			kos := &door{addr: free(t), to: strings.TrimPrefix(c.KOS.URL, "http://")}
			c.control(t, http.MethodPost, "/faults", map[string]any{"operation": "*", "mode": fault}, nil)
			o.since = time.Now()
			if fault != "refuse" {
				kos.open(t)
			}
			require.Eventually(t, func() bool { return time.Since(o.since) > 2*time.Second }, eventTimeout, 50*time.Millisecond,
				"copies grow old")
			o.bills = c.instances(t, 1, "bill-inquiry", "BILL", "KOS_URL=http://"+kos.addr)[0].url
			o.products = c.instances(t, 1, "product-change", "PRODUCT", "KOS_URL=http://"+kos.addr)[0].url
			o.hangs = fault == "hang"
			o.askWhileDown(t)

			if fault == "refuse" {
				kos.open(t)
			}
			c.control(t, http.MethodDelete, "/faults", nil, nil)
			o.recover(t)
		})
	}
}

// downtime is what a customer sees of KOS being down.
type downtime struct {
	*cluster
	token           string
	known           []string // lines that KOS has described
	unknown         string
	hangs           bool   // KOS does, so that asking it costs an inquiry one of its three attempts
	bills, products string // where the services are

	shown map[string]answer // bills, by line
	seen  map[string]answer // customers, by line
	since time.Time         // KOS answered nothing any more

	mu    sync.Mutex
	taken map[string]taken // inquiries that were answered with 202, by their ids
	count map[string]int
}

// taken is what an inquiry that was answered with 202 is about, and when.
type taken struct {
	line string
	at   time.Time
}

// learn lets services of before hear of the known lines.
func (o *downtime) learn(t *testing.T) {
	t.Helper()
	o.shown, o.seen, o.count, o.taken = map[string]answer{}, map[string]answer{}, map[string]int{}, map[string]taken{}
	before := append(o.instances(t, 1, "bill-inquiry", "BILL"), o.instances(t, 1, "product-change", "PRODUCT")...)
	require.Equal(t, http.StatusOK, o.screen(t, before[1].url, "/available?lineNumber="+o.known[0]).status)
	for _, line := range o.known { // last: what is asked later may renew the copy of a line's customer
		o.shown[line] = bill(t.Context(), before[0].url, o.token, line)
		require.Equal(t, "KOS", o.shown[line].text("source"))
		require.InDelta(t, o.charge(t, line), total(o.shown[line]), 0)
		o.seen[line] = o.screen(t, before[1].url, "/customer/"+line)
		require.Equal(t, http.StatusOK, o.seen[line].status)
	}
	for _, i := range before {
		i.kill()
	}
}

func (o *downtime) screen(t *testing.T, at, path string) answer {
	t.Helper()
	return ask(t.Context(), http.MethodGet, at+"/api/v1/products"+path, o.token, nil)
}

// askWhileDown asks for everything, over and over, for a while. A KOS that hangs is only slow until the breaker opens,
// which takes some calls of 10 s in the background: until then known bills are shown when the answer budget is over,
// unless a busy machine does not find the copy in what is left of it.
func (o *downtime) askWhileDown(t *testing.T) {
	t.Helper()
	begun := time.Now()
	goOn := func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		took := time.Since(begun)
		return took < 12*time.Second || o.count["known bill 200 STALE"] == 0 && took < 90*time.Second
	}
	var all sync.WaitGroup
	over := func(what, line string, look func() answer, check func(a answer) string) {
		all.Go(func() {
			for goOn() {
				began, a := time.Now(), look()
				if wrong := check(a); wrong != "" {
					t.Errorf("%s: %s (%d %v)", what, wrong, a.status, a.Data)
					return
				}
				o.note(what, line, a, began)
				<-time.After(100 * time.Millisecond)
			}
		})
	}
	for _, line := range o.known {
		over("known bill", line, func() answer { return bill(t.Context(), o.bills, o.token, line) }, func(a answer) string {
			if o.hangs && a.status == http.StatusAccepted {
				return o.putOff(a)
			}
			return o.stale(a, o.shown[line], total(o.shown[line]), total(a))
		})
		over("known customer", line, func() answer { return o.screen(t, o.products, "/customer/"+line) },
			func(a answer) string {
				return o.stale(a, o.seen[line], o.seen[line].Data["currentProduct"], a.Data["currentProduct"])
			})
	}
	over("menu", "", func() answer { return o.screen(t, o.products, "/menu") }, func(a answer) string {
		first := o.seen[o.known[0]]
		return o.stale(a, first, []any{first.Data["currentProduct"], first.Data["lineNumber"]},
			[]any{a.Data["currentProduct"], a.Data["lineNumber"]})
	})
	over("plans on offer", "", func() answer { return o.screen(t, o.products, "/available?lineNumber="+o.known[0]) },
		o.old)
	over("unknown bill", o.unknown, func() answer { return bill(t.Context(), o.bills, o.token, o.unknown) }, o.putOff)
	over("unknown customer", o.unknown, func() answer { return o.screen(t, o.products, "/customer/"+o.unknown) }, o.putOff)
	all.Wait()
	t.Logf("KOS down for %s: %v", time.Since(o.since).Round(time.Second), o.count)
	require.Greater(t, o.count["known bill 200 STALE"], o.count["known bill 202"])
	require.Positive(t, o.count["known customer 200 STALE"])
}

func (o *downtime) note(what, line string, a answer, began time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count[strings.TrimSpace(fmt.Sprint(what, " ", a.status, " ", a.text("source")))]++
	o.count["slowest ms"] = max(o.count["slowest ms"], int(time.Since(began).Milliseconds()))
	if a.status == http.StatusAccepted {
		o.taken[a.text("requestId")] = taken{line, began}
	}
}

// stale tells what is wrong with the answer to a question of which something is known.
func (o *downtime) stale(a, before answer, want, got any) string {
	switch {
	case a.status != http.StatusOK:
		return "what is known is not shown"
	case a.text("source") != "STALE":
		return "not labelled"
	case a.text("asOf") != before.text("asOf"):
		return "not the time of " + before.text("asOf")
	case !reflect.DeepEqual(want, got):
		return "not what KOS said"
	}
	return ""
}

// old tells what is wrong with an answer that another service may have had last.
func (o *downtime) old(a answer) string {
	asOf, err := time.Parse(time.RFC3339Nano, a.text("asOf"))
	switch {
	case a.status != http.StatusOK || a.text("source") != "STALE":
		return "what is known is not shown, or not labelled"
	case err != nil || asOf.After(time.Now()):
		return "without its time"
	}
	return ""
}

// putOff tells what is wrong with the answer to a question of which nothing is known.
func (*downtime) putOff(a answer) string {
	switch {
	case a.status == http.StatusAccepted && a.header.Get("Location") != "" && total(a) == nil:
		return ""
	case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "":
		return ""
	}
	return "neither taken nor put off"
}

// spent is how long three attempts take at least that are 30 s apart, with something off for clocks.
const spent = 55 * time.Second

// recover expects that what was taken is done by itself, and that all is as KOS says.
func (o *downtime) recover(t *testing.T) {
	t.Helper()
	back := time.Now()
	charges := map[string]float64{}
	for _, line := range append(slices.Clone(o.known), o.unknown) {
		charges[line] = o.charge(t, line)
	}
	failed := 0
	for id, inquiry := range o.taken {
		var a answer
		require.Eventually(t, func() bool {
			a = ask(t.Context(), http.MethodGet, o.bills+"/api/v1/bills/inquiry/"+id, o.token, nil)
			return a.status == http.StatusOK && a.text("status") != "PROCESSING"
		}, 120*time.Second, 100*time.Millisecond, "taken, and never done")
		if a.text("status") == "COMPLETED" {
			require.InDelta(t, charges[inquiry.line], total(a), 0, "the bill of the line that was asked for")
			require.Contains(t, []string{"KOS", "CACHE", "STALE"}, a.text("source"))
			if a.text("source") == "STALE" {
				require.Equal(t, o.shown[inquiry.line].text("asOf"), a.text("asOf"),
					"the copy of before, which only known lines have")
			}
			continue
		}
		require.True(t, o.hangs, "%v", a.Data)
		require.Equal(t, o.unknown, inquiry.line, "there is a copy of the known ones")
		require.NotEmpty(t, a.text("errorMessage"))
		require.True(t, inquiry.at.Before(back.Add(-spent)), "KOS was back before its attempts can have been used up")
		failed++
	}
	t.Logf("%d that were taken were done %s after KOS was back, of %d the attempts had been used up", len(o.taken),
		time.Since(back).Round(time.Second), failed)
	for line, charge := range charges {
		require.Eventually(t, func() bool {
			a := bill(t.Context(), o.bills, o.token, line)
			return a.text("source") == "KOS" && total(a) == charge
		}, 120*time.Second, 500*time.Millisecond, "KOS is asked again")
	}
	require.Eventually(t, func() bool {
		return o.screen(t, o.products, "/customer/"+o.unknown).status == http.StatusOK &&
			o.screen(t, o.products, "/menu").text("source") != "STALE"
	}, 120*time.Second, 500*time.Millisecond)
}

package kossim_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos/internal/kosgen"
	"phonebill/adapters/kos/kossim"
)

func recordWith(t *testing.T, sim *kossim.Simulator, authorization string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/kos/products", nil)
	r.Header.Set("Authorization", authorization)
	rec := httptest.NewRecorder()
	sim.Handler().ServeHTTP(rec, r)
	return rec
}

// virtual opens a simulator with the delays of R-KOS-DELAYS whose clock is that of the bubble, moved to noon.
func virtual(t *testing.T, edit func(*kossim.Options)) *kossim.Simulator {
	t.Helper()
	start := time.Now()
	opts := options()
	opts.Clock = func() time.Time { return noon.Add(time.Since(start)) }
	opts.Delays = nil
	if edit != nil {
		edit(&opts)
	}
	return open(t, opts)
}

func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func askBill(line string) kosgen.BillInquiryRequest {
	return kosgen.BillInquiryRequest{RequestId: "r-1", LineNumber: line, InquiryMonth: "202611"}
}

func TestDelays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := virtual(t, nil)
		do := func(method, path string, body any) time.Duration {
			return took(func() { require.NotNil(t, direct(t.Context(), sim, method, path, body)) })
		}
		require.Equal(t, 500*time.Millisecond, do("POST", "/kos/bill/inquiry", askBill("01012345678")))
		require.Equal(t, 2*time.Second, do("POST", "/kos/product/change", order("t-1")))
		require.Equal(t, 100*time.Millisecond, do("GET", "/kos/customer/01012345678", nil))
		require.Equal(t, 5*time.Second, do("POST", "/kos/bill/inquiry", askBill("01012345681")))
		require.Equal(t, 5*time.Second, do("GET", "/kos/line/01012345681/status", nil))
		require.Equal(t, int64(5000), sim.Calls()[3].Ms)
	})
}

func TestQuotaSlides(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := virtual(t, func(o *kossim.Options) { o.QuotaPerMinute, o.Delays = 0, &kossim.Delays{} })
		get := func() *httptest.ResponseRecorder { return direct(t.Context(), sim, "GET", "/kos/products", nil) }
		for i := range 100 {
			require.Equal(t, 200, get().Code, i)
			time.Sleep(100 * time.Millisecond) // virtual
		}
		over := get()
		require.Equal(t, http.StatusTooManyRequests, over.Code)
		require.Equal(t, kossim.OverQuota, code(t, over.Body.Bytes()))
		require.Equal(t, "50", over.Header().Get("Retry-After"))
		time.Sleep(49*time.Second + 999*time.Millisecond)
		require.Equal(t, 429, get().Code)
		time.Sleep(time.Millisecond)
		require.Equal(t, 200, get().Code, "the first call left the window")
		require.Equal(t, 429, get().Code)
		sim.SetQuota(0)
		require.Equal(t, 200, get().Code)
		require.Len(t, sim.Calls(), 105)
		require.Equal(t, kossim.OverQuota, sim.Calls()[100].Result)
	})
}

func TestFaultModes(t *testing.T) {
	t.Parallel()
	const change, bill = "/kos/product/change", "/kos/bill/inquiry"
	for _, tc := range []struct {
		mode   kossim.Mode
		path   string
		body   any
		answer string // empty = none
		ledger int
		took   time.Duration
		result string
	}{
		{kossim.Latency, bill, askBill("01012345678"), "0000", 0, 1500 * time.Millisecond, "0000"},
		{kossim.Error, change, order("t-1"), "E999", 0, time.Second, "E999"},
		{kossim.Refuse, change, order("t-1"), "", 0, time.Second, "refuse"},
		{kossim.Hang, change, order("t-1"), "", 0, 10 * time.Second, "hang"},
		{kossim.Hang, bill, askBill("01012345678"), "", 0, 10 * time.Second, "hang"},
		{kossim.ApplyThenHang, change, order("t-1"), "", 1, 10 * time.Second, "apply_then_hang"},
		{kossim.ApplyThenHang, bill, askBill("01012345678"), "0000", 0, 500 * time.Millisecond, "0000"},
	} {
		t.Run(string(tc.mode)+tc.path, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sim := virtual(t, nil)
				require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.AnyOperation, Mode: tc.mode, LatencyMs: 1000}))
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				var rec *httptest.ResponseRecorder
				require.Equal(t, tc.took, took(func() { rec = direct(ctx, sim, "POST", tc.path, tc.body) }))
				if tc.answer == "" {
					require.Nil(t, rec)
				} else {
					require.Equal(t, tc.answer, code(t, rec.Body.Bytes()))
				}
				require.Len(t, sim.Ledger(), tc.ledger)
				require.Equal(t, tc.result, sim.Calls()[0].Result)
				require.Equal(t, tc.took.Milliseconds(), sim.Calls()[0].Ms)
			})
		})
	}
}

func TestMalformedAndTwice(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.ProductChange, Mode: kossim.MalformedBody, Times: 1}))
	require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.ProductChange, Mode: kossim.AnswerTwice, Times: 1}))
	half := direct(t.Context(), sim, "POST", "/kos/product/change", order("t-1"))
	require.Equal(t, 200, half.Code)
	require.False(t, json.Valid(half.Body.Bytes()))
	require.Len(t, sim.Faults(), 1, "the first one is used up")
	twice := direct(t.Context(), sim, "POST", "/kos/product/change", order("t-2"))
	require.False(t, json.Valid(twice.Body.Bytes()))
	require.True(t, json.Valid(twice.Body.Bytes()[:twice.Body.Len()/2]))
	require.Len(t, sim.Ledger(), 2, "each is accepted once")
	require.Equal(t, []string{"malformed", "0000"}, []string{sim.Calls()[0].Result, sim.Calls()[1].Result})
}

func TestApplyLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := virtual(t, nil)
		require.NoError(
			t,
			sim.AddFault(kossim.Fault{Operation: kossim.ProductChange, Mode: kossim.ApplyLate, LateMs: 20_000, Times: 1}),
		)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		require.Nil(t, direct(ctx, sim, "POST", "/kos/product/change", order("t-1")))
		require.Empty(t, sim.Ledger())
		state := func() string {
			var in kosgen.ProductChangeStatusAnswer
			rec := direct(t.Context(), sim, "GET", "/kos/product/change/t-1", nil)
			require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &in))
			return in.Data.State
		}
		require.Equal(t, "RECEIVED", state())
		repeat := direct(t.Context(), sim, "POST", "/kos/product/change", order("t-1"))
		require.Equal(t, kossim.TransactionReused, code(t, repeat.Body.Bytes()), "in progress")
		time.Sleep(20 * time.Second) // virtual
		synctest.Wait()
		require.Equal(t, "APPLIED", state())
		require.Len(t, sim.Ledger(), 1)
		repeat = direct(t.Context(), sim, "POST", "/kos/product/change", order("t-1"))
		require.Equal(t, kossim.OK, code(t, repeat.Body.Bytes()))
		require.Len(t, sim.Ledger(), 1)
	})
}

func TestLateChangeSurvivesARestartButNotAReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		stateful := func(o *kossim.Options) { o.StateDir = dir }
		late := kossim.Fault{Operation: kossim.ProductChange, Mode: kossim.ApplyLate, LateMs: 60_000}
		send := func(sim *kossim.Simulator, id string) {
			require.NoError(t, sim.AddFault(late))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.Nil(t, direct(ctx, sim, "POST", "/kos/product/change", order(id)))
		}
		sim := virtual(t, stateful)
		send(sim, "t-1")
		require.NoError(t, sim.Close())
		time.Sleep(2 * time.Minute)
		require.Empty(t, sim.Ledger(), "a closed simulator does nothing")
		start := time.Now()
		sim = virtual(t, func(o *kossim.Options) {
			stateful(o)
			o.Clock = func() time.Time { return noon.Add(2*time.Minute + time.Since(start)) }
		})
		synctest.Wait()
		require.Len(t, sim.Ledger(), 1)
		send(sim, "t-2")
		require.NoError(t, sim.Reset())
		time.Sleep(2 * time.Minute)
		require.Empty(t, sim.Ledger())
		require.Empty(t, sim.Calls())
	})
}

func TestRateAndDistribution(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := virtual(t, func(o *kossim.Options) { o.Delays = &kossim.Delays{} })
		require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.ProductsList, Mode: kossim.Error, Rate: 0.3}))
		failed := 0
		for range 1000 {
			if direct(t.Context(), sim, "GET", "/kos/products", nil).Code == 500 {
				failed++
			}
		}
		require.InDelta(t, 300, failed, 60)
		sim.ClearFaults()
		spread := kossim.Fault{Operation: kossim.ProductsList, Mode: kossim.Latency, LatencyP50Ms: 100, LatencyP99Ms: 1000}
		require.NoError(t, sim.AddFault(spread))
		all := make([]time.Duration, 1000)
		for i := range all {
			all[i] = took(func() { direct(t.Context(), sim, "GET", "/kos/products", nil) })
		}
		slices.Sort(all)
		require.InDelta(t, 100, all[500].Milliseconds(), 20)
		require.InDelta(t, 1000, all[990].Milliseconds(), 400)
	})
}

func TestFaultsAddUpAndKnowTheirLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := virtual(t, func(o *kossim.Options) { o.Delays = &kossim.Delays{} })
		require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.CustomerGet, Mode: kossim.Latency, LatencyMs: 100}))
		oneLine := kossim.Fault{
			Operation:  kossim.AnyOperation,
			LineNumber: "010-1234-5678",
			Mode:       kossim.Error,
			LatencyMs:  50,
		}
		require.NoError(t, sim.AddFault(oneLine))
		require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.AnyOperation, Mode: kossim.Latency, LatencyMs: 7}))
		var rec *httptest.ResponseRecorder
		require.Equal(
			t,
			157*time.Millisecond,
			took(func() { rec = direct(t.Context(), sim, "GET", "/kos/customer/01012345678", nil) }),
		)
		require.Equal(t, 500, rec.Code)
		require.Equal(
			t,
			107*time.Millisecond,
			took(func() { rec = direct(t.Context(), sim, "GET", "/kos/customer/01087654321", nil) }),
		)
		require.Equal(t, 200, rec.Code)
	})
}

func TestInvalidFaults(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	for name, f := range map[string]kossim.Fault{
		"operation":            {Operation: "x", Mode: kossim.Hang},
		"mode":                 {Operation: kossim.AnyOperation, Mode: "x"},
		"apply mode on a read": {Operation: kossim.BillInquiry, Mode: kossim.ApplyLate},
		"line":                 {Operation: kossim.AnyOperation, Mode: kossim.Hang, LineNumber: "12"},
		"latency without time": {Operation: kossim.AnyOperation, Mode: kossim.Latency},
		"negative latency":     {Operation: kossim.AnyOperation, Mode: kossim.Hang, LatencyMs: -1},
		"two latencies": {
			Operation: kossim.AnyOperation, Mode: kossim.Hang, LatencyMs: 1, LatencyP50Ms: 1, LatencyP99Ms: 2,
		},
		"99th percentile below 50th": {
			Operation: kossim.AnyOperation, Mode: kossim.Latency, LatencyP50Ms: 2, LatencyP99Ms: 1,
		},
		"rate":  {Operation: kossim.AnyOperation, Mode: kossim.Hang, Rate: 1.1},
		"times": {Operation: kossim.AnyOperation, Mode: kossim.Hang, Times: -1},
		"late":  {Operation: kossim.AnyOperation, Mode: kossim.Hang, LateMs: -1},
	} {
		require.ErrorIs(t, sim.AddFault(f), kossim.ErrInvalid, name)
	}
}

func TestRefusedAndHangingConnections(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	srv := httptest.NewServer(sim.Handler())
	t.Cleanup(srv.Close)
	c := client(t, srv.URL, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
	require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.CustomerGet, Mode: kossim.Refuse, Times: 1}))
	_, err := c.GetCustomerWithResponse(t.Context(), "01012345678")
	require.ErrorContains(t, err, "EOF")

	require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.BillInquiry, Mode: kossim.Hang, Times: 1}))
	ctx, cancel := context.WithCancel(t.Context())
	hung := make(chan error, 1)
	go func() {
		_, err := c.InquireBillWithResponse(ctx, askBill("01012345678"))
		hung <- err
	}()
	require.Eventually(
		t,
		func() bool { return len(sim.Calls()) == 2 && sim.Calls()[1].Result == "hang" },
		5*time.Second,
		time.Millisecond,
	)
	cancel()
	require.ErrorIs(t, <-hung, context.Canceled)
	require.Empty(t, sim.Faults())

	require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.BillInquiry, Mode: kossim.Hang}))
	go func() {
		_, err := c.InquireBillWithResponse(context.WithoutCancel(t.Context()), askBill("01012345678"))
		hung <- err
	}()
	require.Eventually(t, func() bool { return len(sim.Calls()) == 3 }, 5*time.Second, time.Millisecond)
	require.NoError(t, sim.Close(), "closing lets hanging calls go")
	require.Error(t, <-hung)
}

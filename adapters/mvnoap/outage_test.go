package mvnoap_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/delivery"
	"phonebill/core/delivery/dispatch"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/ports"
)

// TestAnOutageLosesNoResult: the AP server is dead for two hours while 60 lines have a result for it. It receives
// few attempts, no result is parked, and all arrive by themselves soon after it is back.
func TestAnOutageLosesNoResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ap := &receiver{status: http.StatusBadGateway}
		c := newTestClient(t, ap)
		orders := &memory.Orders{}
		d := &dispatch.Service[ports.ChangeResult]{
			Outbox: orders.Outbox(), Publisher: c.changes, Now: time.Now, Random: func() float64 { return .5 }, Alerts: c.alerts,
			Lease: 20 * time.Second, Attempt: 10 * time.Second, Lines: 32, EventsPerLine: 10,
		}
		const results = 60
		for n := range results {
			number, err := line.Parse("0101234" + string(rune('0'+n/10)) + string(rune('0'+n%10)) + "00")
			require.NoError(t, err)
			o := product.Order{ID: id.ID{0: 3, 15: byte(n + 1)}, Line: number, State: product.Requested,
				EffectiveDate: date(t, "2026-12-01")}
			require.NoError(t, orders.Add(t.Context(), o, request.KeyUse{}))
			o.State, o.ProcessedAt = product.Completed, time.Now()
			_, err = orders.Save(t.Context(), o, o.ProcessedAt)
			require.NoError(t, err)
		}
		run := func(long time.Duration) {
			for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
				_, err := d.Step(t.Context())
				require.NoError(t, err)
			}
		}
		run(2 * time.Hour)
		require.Equal(t, operations.Open, c.Breaker().State)
		// The first batch was sent at once; after that the few that are tried every half minute.
		require.LessOrEqual(t, ap.asked.Load(), int64(32+3*2*60*2))
		sent := ap.asked.Load()

		ap.status = http.StatusNoContent
		run(20 * time.Minute)
		require.Equal(t, operations.Closed, c.Breaker().State)
		require.EqualValues(t, results, ap.asked.Load()-sent, "each is sent once more, and accepted")
		for _, a := range c.alerts.Raised() {
			require.Equal(t, "mvnoap", a.Subject, "nothing was parked")
		}
		n, err := d.Step(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

// TestRetryAfterIsRespected: after a Retry-After there is no attempt before that time.
func TestRetryAfterIsRespected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for header, want := range map[string]time.Duration{
			"7": 7 * time.Second, "0": 0, "-3": 0, "soon": 0, "": 0, "86400": 15 * time.Minute,
			noon.Add(20 * time.Second).UTC().Format(http.TimeFormat): 20 * time.Second,
		} {
			ap := &receiver{status: http.StatusTooManyRequests, retryAfter: header}
			c := newTestClient(t, ap)
			a := c.changes.Publish(t.Context(), changeItem(t, 1, product.Order{State: product.Completed}))
			require.Equal(t, delivery.Failed, a.Outcome)
			require.InDelta(t, want.Seconds(), a.RetryAfter.Seconds(), 1, header)
			if want == 0 {
				require.Equal(t, 9, c.changes.Ready(9), header)
				continue
			}
			ap.status = http.StatusNoContent
			require.Zero(t, c.changes.Ready(9), header)
			require.Equal(t, delivery.NotAttempted, c.changes.Publish(t.Context(),
				changeItem(t, 2, product.Order{State: product.Completed})).Outcome)
			require.EqualValues(t, 1, ap.asked.Load())
			time.Sleep(a.RetryAfter)
			require.Equal(t, 9, c.changes.Ready(9), header)
		}
	})
}

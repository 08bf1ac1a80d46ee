package kos_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/core/operations"
	"phonebill/core/quota"
	"phonebill/ports"
)

func TestParseBreakers(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]kos.BreakerPolicies{
		"": {}, " , ": {},
		"bill.inquiry=5/30s/3": {"bill.inquiry": {Failures: 5, Open: 30 * time.Second, Successes: 3}},
		" bill.inquiry=1/1m/2 , product.change=3/90s/1,": {
			"bill.inquiry": {
				Failures: 1, Open: time.Minute, Successes: 2,
			}, "product.change": {Failures: 3, Open: 90 * time.Second, Successes: 1},
		},
	} {
		got, err := kos.ParseBreakers(said)
		require.NoError(t, err, said)
		require.Equal(t, want, got, said)
	}
	for _, entry := range []string{
		"bill", "bill.inquiry", "bill.inquiry=", "bill.inquiry=5", "bill.inquiry=5/30s", "bill.inquiry=5/30s/3/1",
		"bill.inquiry=0/30s/3",
		"bill.inquiry=5/30/3", "bill.inquiry=5/10ms/3", "bill.inquiry=5/2h/3", "bill.inquiry=5/30s/0",
		"bill.inquiry=101/30s/3",
		"bill.inquiry=-1/30s/3", "bill.inquiry=5/30s/999", "bills.inquiry=5/30s/3", "mvnoap=5/30s/3", "customer.get=1/1s/1",
	} {
		_, err := kos.ParseBreakers("customer.get=1/1s/1," + entry)
		require.ErrorContains(t, err, `"`+entry+`"`)
	}
}

// TestEachOperationHasItsOwnPolicy, and operators see what the breakers think.
func TestEachOperationHasItsOwnPolicy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().UTC()
		l := connect(t, "http://kos.test", func(_ *kos.Config, d *kos.Deps) {
			d.Breakers = kos.NewBreakers(
				kos.BreakerPolicies{
					"bill.inquiry": {Failures: 2, Open: 10 * time.Second, Successes: 1},
				},
				d.Logger,
				d.Alerts,
				d.Metrics,
			)
		})
		healthy := false
		kos.OverWire(l.Client, handled(func(w http.ResponseWriter, r *http.Request) {
			if healthy {
				says(200, envelope(t, "E002", nil))(w, r)
				return
			}
			says(500, "")(w, r)
		}))
		states := func() map[string]operations.Breaker {
			out := map[string]operations.Breaker{}
			for _, b := range l.Breakers() {
				out[b.Name] = b
			}
			return out
		}
		closed := operations.Breaker{Name: "bill.inquiry", State: operations.Closed, Since: start}
		require.Len(t, states(), 6)
		require.Equal(t, closed, states()["bill.inquiry"])
		time.Sleep(time.Second)
		for i := range 2 {
			_, _ = l.ask(t.Context(), t, twoLines[i])
			_, _ = l.Customer(t.Context(), read, number(t, twoLines[i]))
		}
		opened := start.Add(time.Second)
		require.Equal(t, operations.Breaker{
			Name: "bill.inquiry", State: operations.Open, Failures: 2, Since: opened, RetryAt: opened.Add(10 * time.Second),
		}, states()["bill.inquiry"])
		require.Equal(t, operations.Breaker{Name: "customer.get", State: operations.Closed, Failures: 2, Since: start},
			states()["customer.get"], "the default takes five")
		require.Equal(t, []string{"breaker_opened bill.inquiry"}, l.raised())

		time.Sleep(10*time.Second + time.Millisecond)
		require.Equal(
			t,
			operations.Breaker{Name: "bill.inquiry", State: operations.HalfOpen, Failures: 2, Since: time.Now().UTC()},
			states()["bill.inquiry"],
		)
		probe(t, l, 1)
		require.Equal(t, operations.Open, states()["bill.inquiry"].State)
		require.Equal(t, 3, states()["bill.inquiry"].Failures)
		require.Len(t, l.raised(), 1, "a failed probe raises no alert")

		healthy = true
		time.Sleep(10*time.Second + time.Millisecond)
		probe(t, l, 1)
		require.Equal(
			t,
			operations.Breaker{Name: "bill.inquiry", State: operations.Closed, Since: time.Now().UTC()},
			states()["bill.inquiry"],
		)
		require.Equal(t, []string{"breaker_opened bill.inquiry", "breaker_closed bill.inquiry"}, l.raised())

		var breakers []string
		for _, c := range l.calls.Calls() {
			if c.Operation == "bill.inquiry" {
				breakers = append(breakers, c.Breaker)
			}
		}
		require.Equal(t, []string{"CLOSED", "CLOSED", "HALF_OPEN", "HALF_OPEN"}, breakers, "the call log knows probes")
	})
}

// TestWhatAPersonMustHear: each kind with its subject, and never a line.
func TestWhatAPersonMustHear(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		code   string
		want   operations.AlertKind
		note   string
	}{
		"a code of another time": {200, "E777", operations.UnknownCode, "result code E777"},
		"an odd code": {400, "E\n'" + twoLines[0] + twoLines[0], operations.UnknownCode,
			`result code E\n'` + twoLines[0][:5]},
		"our bug":        {400, "E400", operations.RefusedByKOS, "KOS does not understand our request: E400"},
		"our credential": {401, "E400", operations.RefusedByKOS, "KOS does not know our credential; there is no other one"},
		"our rights":     {403, "", operations.RefusedByKOS, "KOS does not know our credential; there is no other one"},
		"our budget": {429, "E429", operations.OverQuota,
			"KOS counts more calls than we do; the budget shrinks for a while"},
		"a plain failure":   {500, "E999", "", ""},
		"nonsense":          {200, "", "", ""},
		"a business answer": {200, "E002", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := serve(t, says(c.status, envelope(t, c.code, nil)))
			_, f := l.ask(t.Context(), t, twoLines[1])
			require.NotNil(t, f)
			if c.want == "" {
				require.Empty(t, l.alerts.Raised())
				return
			}
			require.Equal(t, []operations.Alert{{Kind: c.want, Subject: "bill.inquiry", Note: c.note}}, l.alerts.Raised())
			require.NotContains(t, l.log.String(), twoLines[1])
		})
	}
}

// TestTheAttemptIsInTheCallLog, as the question's asker counts it.
func TestTheAttemptIsInTheCallLog(t *testing.T) {
	t.Parallel()
	l, _ := simulate(t)
	n := number(t, twoLines[0])
	_, _ = l.Customer(t.Context(), read, n)
	_, _ = l.Customer(t.Context(), ports.Call{Lane: quota.Read, Attempt: 3}, n)
	require.Equal(t, 1, l.calls.Calls()[0].Attempt)
	require.Equal(t, 3, l.calls.Calls()[1].Attempt)
}

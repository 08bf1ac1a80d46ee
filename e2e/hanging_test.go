package e2e

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestABillDatabaseThatHangs takes statements and answers none of them, while every copy is past its time: nothing can
// be queued, and each customer has its last good copy in time all the same, the first ones too. What it was
// shown is recorded.
func TestABillDatabaseThatHangs(t *testing.T) {
	t.Parallel()
	binaries(t)
	dir := dataDir(t)
	_, database := ownDatabase(t, dir)
	s := start(t, dir, append(listeners(t), database, "CACHE_BILL=1s/1h"))
	tokens, lines := s.warm(t)
	<-time.After(1500 * time.Millisecond) // the copies are old now
	stall, err := connect(t, s.Databases["bill"]).Begin(t.Context())
	require.NoError(t, err)
	_, err = stall.Exec(t.Context(), "LOCK TABLE inquiries, bill_versions")
	require.NoError(t, err)

	var mu sync.Mutex
	var acknowledged []string
	var slowest time.Duration
	ask := func(n int) {
		began := time.Now()
		status, data, err := s.call(t.Context(), http.MethodPost, "/bills/inquiry", tokens[n],
			map[string]string{"lineNumber": lines[n]})
		mu.Lock()
		defer mu.Unlock()
		slowest = max(slowest, time.Since(began))
		if err != nil || status != http.StatusOK || data["source"] != "STALE" {
			t.Errorf("%d %v %v after %s", status, data["source"], err, time.Since(began))
			return
		}
		request, _ := data["requestId"].(string)
		acknowledged = append(acknowledged, request)
	}
	for range 3 {
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() { ask(i % len(tokens)) })
		}
		all.Wait()
	}
	t.Logf("bill database hung: %d old bills shown, the slowest after %s", len(acknowledged), slowest)
	require.Less(t, slowest, 3*time.Second)
	for _, key := range []string{"", "k"} {
		s.refusesItself(t, key, tokens[0], lines[0])
	}

	require.NoError(t, stall.Rollback(context.WithoutCancel(t.Context())))
	require.Eventually(t, func() bool { return s.spooled(t) == 0 }, 60*time.Second, 100*time.Millisecond)
	areRecorded(t, connect(t, s.Databases["bill"]), acknowledged)
	require.Zero(t, s.interrupt(t))
}

// refusesItself asks for a month of which there is no copy: what could be lost is not begun. The service says so
// itself, by 2.7 s, in the story's words and with the inquiry, before the gateway answers for it at 2.95 s. On a
// machine that is busy with other drills the gateway may be first now and then, so one of several tries has to be the
// service's.
func (s *system) refusesItself(t *testing.T, key, token, line string) {
	t.Helper()
	wish := map[string]string{"lineNumber": line, "inquiryMonth": lastMonth()}
	for range 5 {
		began := time.Now()
		a := askUnder(t.Context(), key, s.BaseURL+"/api/v1/bills/inquiry", token, wish)
		took := time.Since(began)
		t.Logf("no copy, key %q: %d %s after %s", key, a.status, a.Error.Details.RequestID, took)
		require.Equal(t, http.StatusServiceUnavailable, a.status)
		if a.Error.Details.RequestID != "" && took < 3*time.Second {
			return
		}
	}
	t.Errorf("key %q: the service never answered in time", key)
}

package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// event is what the MVNO AP simulator tells of one event.
type event struct {
	ID, Type, LineNumber string
	Sequence             int64
	Duplicates           int
	Payload              json.RawMessage
}

func (s *system) received(t *testing.T) (events []event) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.MVNOAP.Control+"/control/received", http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, json.NewDecoder(res.Body).Decode(&events))
	require.NoError(t, res.Body.Close())
	return events
}

// steer makes the MVNO AP simulator fail, or not any more.
func (s *system) steer(t *testing.T, method, fault string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.MVNOAP.Control+"/control/faults",
		strings.NewReader(fault))
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Less(t, res.StatusCode, http.StatusBadRequest)
}

// TestDeliveriesOutliveTheServiceThatMakesThem kills the bill service ten times while it delivers results of
// three customers: each inquiry that was acknowledged is delivered, once per event id but for doubles under the same
// id, and each line's in order without gaps. It goes from kill to kill when each line has had answers: a line whose
// first bill KOS is still asked for when the process dies waits for the flight of the dead one to expire (5 s), so it
// would get none at all if the others alone decided.
func TestDeliveriesOutliveTheServiceThatMakesThem(t *testing.T) {
	t.Parallel()
	bin := binaries(t)
	s := start(t, dataDir(t), listeners(t), "-split")
	s.steer(t, http.MethodPost, `{"mode":"fail","rate":0.2}`) // so that lines wait and pile up events
	var mu sync.Mutex
	acknowledged, answers, byLine := map[string]bool{}, map[string]int{}, [3]int{}
	least := func() int { mu.Lock(); defer mu.Unlock(); return slices.Min(byLine[:]) }
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for nth := range 3 {
		token, line := s.login(t, nth)
		load.Go(func() {
			for ctx.Err() == nil {
				status, data, err := s.call(ctx, http.MethodPost, "/bills/inquiry", token, map[string]string{"lineNumber": line})
				mu.Lock()
				answers[line+" "+strconv.Itoa(status)]++
				if id, ok := data["requestId"].(string); err == nil && ok && (status == 200 || status == 202) {
					acknowledged[id] = true
					byLine[nth]++
				}
				mu.Unlock()
			}
		})
	}
	for range 10 {
		want := least() + 60
		require.Eventually(t, func() bool { return least() >= want }, eventTimeout, 5*time.Millisecond)
		require.NoError(t, syscall.Kill(childOf(t, s.cmd.Process.Pid, filepath.Join(bin, "bill-inquiry")), syscall.SIGKILL))
	}
	want := least() + 60
	require.Eventually(t, func() bool { return least() >= want }, eventTimeout, 5*time.Millisecond)
	stop()
	load.Wait()
	s.steer(t, http.MethodDelete, "")

	var got []event
	require.Eventually(t, func() bool {
		got = s.received(t)
		delivered := map[string]bool{}
		for _, e := range got {
			delivered[e.ID] = true
		}
		for id := range acknowledged {
			if !delivered[id] {
				return false
			}
		}
		return true
	}, 120*time.Second, 500*time.Millisecond, "a lease of a killed worker is over after 30 s, a wait after some more")
	last, doubles := map[string]int64{}, 0
	for _, e := range got {
		require.Equal(t, last[e.LineNumber]+1, e.Sequence, "%s in order, without gaps", e.ID)
		last[e.LineNumber] = e.Sequence
		doubles += e.Duplicates
	}
	require.Len(t, last, 3, "%v", answers)
	t.Logf("%d acknowledged, %d events, %d doubles", len(acknowledged), len(got), doubles)
	require.Zero(t, s.interrupt(t))
}

package service

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/boot"
)

// queueOf is a queue of entries that take so long each.
type queueOf struct {
	mu      sync.Mutex
	entries []time.Duration
	most    int // taken at once
	last    time.Time
}

func (q *queueOf) step(_ context.Context, n int) (int, error) {
	q.mu.Lock()
	n = min(n, len(q.entries))
	took := q.entries[:n]
	q.entries, q.most = q.entries[n:], max(q.most, n)
	q.mu.Unlock()
	var all sync.WaitGroup
	for _, d := range took {
		all.Go(func() {
			time.Sleep(d) // virtual
			q.mu.Lock()
			defer q.mu.Unlock()
			if d < time.Second {
				q.last = time.Now()
			}
		})
	}
	all.Wait()
	return n, nil
}

// TestSlowLinesHoldUpNoOther: behind some that take ten seconds each there is one that KOS would answer at once.
func TestSlowLinesHoldUpNoOther(t *testing.T) {
	t.Parallel()
	const slow = 10 * time.Second
	for name, c := range map[string]struct {
		work  Queue
		queue []time.Duration
		each  int
	}{
		"inquiries": {Inquiries(), []time.Duration{slow, slow, slow, slow, time.Millisecond}, 1},
		"orders":    {Orders(), []time.Duration{slow, slow, slow, slow, time.Millisecond}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &Builder{Tools: Tools{Log: slog.New(slog.DiscardHandler)}, Unit: &boot.Unit{}}
				q := &queueOf{entries: c.queue}
				b.WorkOn(c.work, q.step)
				ctx, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				begun := time.Now()
				var all sync.WaitGroup
				for _, w := range b.Unit.Workers {
					all.Go(func() { w(ctx) })
				}
				all.Wait()
				require.Less(t, q.last.Sub(begun), time.Second)
				require.Equal(t, c.each, q.most, "taken at once")
			})
		})
	}
}

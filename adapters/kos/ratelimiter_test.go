package kos_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/adapters/memory"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/quota"
	"phonebill/ports"
)

// doors is a rate limiter in virtual time whose calls last until they are let go.
type doors struct {
	*kos.RateLimiter
	mu     sync.Mutex
	passed []string
	out    []func()
}

func newDoors(w quota.Window, b kos.Bulkhead) *doors {
	q := &memory.Quota{Window: w, Now: time.Now}
	return &doors{RateLimiter: kos.NewRateLimiter(q, b)}
}

// wait has a caller of that name wait for a bill read in its lane.
func (d *doors) wait(name string, lane quota.Lane, who line.Number) {
	go func() {
		over, err := d.Acquire(context.Background(), lane, kos.BillReads, who)
		if err != nil {
			over, name = func() {}, name+" "+err.Error()
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.passed, d.out = append(d.passed, name), append(d.out, over)
	}()
	synctest.Wait() // so that they stand in this order
}

// end ends the call that has been out longest.
func (d *doors) end() {
	d.mu.Lock()
	over := d.out[0]
	d.out = d.out[1:]
	d.mu.Unlock()
	over()
	over() // ending twice gives one place back
	synctest.Wait()
}

func (d *doors) names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.passed...)
}

var (
	roomy  = quota.Window{Budget: 1000, Per: time.Hour}
	narrow = kos.Bulkhead{BillReads: 1, ProductReads: 1, Changes: 1, Waiting: 64, Interval: time.Second}
)

func TestUrgentLanesPassFirstAndLinesInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, a, b := newDoors(roomy, narrow), number(t, twoLines[0]), number(t, twoLines[1])
		d.wait("first", quota.Prefetch, a)
		d.wait("refresh", quota.Refresh, a)
		d.wait("read a1", quota.Read, a)
		d.wait("read a2", quota.Read, a)
		d.wait("read a3", quota.Read, a)
		d.wait("read b1", quota.Read, b)
		d.wait("change", quota.Change, a)
		for range 6 {
			d.end()
		}
		require.Equal(t, []string{"first", "change", "read b1", "read a1", "read a2", "read a3", "refresh"}, d.names(),
			"line a has been served before, so b is next")
		d.end()
	})
}

func TestOneHangingCompartmentLeavesTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, a := newDoors(roomy, kos.DefaultBulkhead()), number(t, twoLines[0])
		for _, name := range []string{"1", "2", "3", "4"} {
			d.wait(name, quota.Read, a)
		}
		require.Equal(t, []string{"1", "2", "3"}, d.names())
		for _, room := range []kos.Compartment{kos.ProductReads, kos.Changes} {
			over, err := d.Acquire(t.Context(), quota.Prefetch, room, a)
			require.NoError(t, err, "whatever waits elsewhere")
			over()
		}
		d.end()
		require.Equal(t, []string{"1", "2", "3", "4"}, d.names())
		for range 3 {
			d.end()
		}
	})
}

// TestWaitingForTheBudget: a caller with time left makes its call as soon as the budget allows one. A caller without is
// rejected at once, with a Retry-After that counts those who wait and those who were rejected before it.
func TestWaitingForTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := kos.DefaultBulkhead()
		b.Interval = 10 * time.Second
		d, a := newDoors(quota.Window{Budget: 1, Per: 10 * time.Second}, b), number(t, twoLines[0])
		start := time.Now()
		d.wait("first", quota.Read, a)
		d.wait("patient", quota.Read, a)
		for _, want := range []time.Duration{20 * time.Second, 30 * time.Second, 40 * time.Second} {
			hurried, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			_, err := d.Acquire(hurried, quota.Read, kos.BillReads, a)
			cancel()
			require.ErrorIs(t, err, ports.ErrNotAsked)
			require.Equal(t, want, fault.From(err).RetryAfter())
		}
		require.Equal(t, start, time.Now(), "no caller waits in vain")
		require.Equal(t, []string{"first"}, d.names())
		time.Sleep(9 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"first"}, d.names())
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"first", "patient"}, d.names())
		d.end()
		d.end()
	})
}

func TestABlockedLaneDoesNotBlockAnotherOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := quota.Window{Budget: 2, Per: 10 * time.Second, Reserve: quota.Shares{quota.Refresh: 1}}
		d, a := newDoors(w, kos.DefaultBulkhead()), number(t, twoLines[0])
		d.wait("change", quota.Change, a)
		d.wait("waits", quota.Change, a)
		d.wait("refresh", quota.Refresh, a)
		require.Equal(t, []string{"change", "refresh"}, d.names(), "its reserve is its own")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"change", "refresh", "waits"}, d.names())
		for range 3 {
			d.end()
		}
	})
}

func TestTheQueueIsBoundedAndLeavingIsFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := narrow
		b.Waiting = 2
		d, a := newDoors(roomy, b), number(t, twoLines[0])
		d.wait("out", quota.Read, a)
		gone, leave := context.WithCancel(t.Context())
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var left, timedOut error
		go func() { _, left = d.Acquire(gone, quota.Read, kos.BillReads, a) }()
		go func() { _, timedOut = d.Acquire(late, quota.Read, kos.BillReads, a) }()
		synctest.Wait()
		_, err := d.Acquire(t.Context(), quota.Change, kos.BillReads, a)
		require.ErrorIs(t, err, ports.ErrNotAsked, "two wait already")
		require.Positive(t, fault.From(err).RetryAfter())
		leave()
		synctest.Wait()
		require.ErrorIs(t, left, context.Canceled)
		require.NotErrorIs(t, left, ports.ErrNotAsked, "a caller that hung up gets no refusal")
		time.Sleep(time.Second)
		synctest.Wait()
		require.ErrorIs(t, timedOut, ports.ErrNotAsked)
		d.wait("next", quota.Read, a)
		d.end()
		require.Equal(t, []string{"out", "next"}, d.names())
		d.end()
	})
}

// TestALedgerInTroubleIsARefusal: waiting callers try again, hurried ones are refused.
func TestALedgerInTroubleIsARefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ledger := &brokenLedger{}
		gate := kos.NewRateLimiter(ledger, kos.DefaultBulkhead())
		hurried, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := gate.Acquire(hurried, quota.Read, kos.BillReads, number(t, twoLines[0]))
		require.ErrorIs(t, err, ports.ErrNotAsked)
		require.ErrorIs(t, err, errLedger)
		over, err := gate.Acquire(t.Context(), quota.Read, kos.BillReads, number(t, twoLines[0]))
		require.NoError(t, err, "it works again after a while")
		over()
	})
}

// TestACallerWithTooLittleTimeLeftIsNotServed: its call could not be answered in time, and would be one of the budget.
func TestACallerWithTooLittleTimeLeftIsNotServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, a := newDoors(roomy, narrow), number(t, twoLines[0])
		d.wait("out", quota.Read, a)
		start := time.Now()
		var err error
		var waited time.Duration
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_, err = d.AcquireWith(ctx, 2*time.Second, a)
			waited = time.Since(start)
		}()
		time.Sleep(1500 * time.Millisecond)
		d.end()
		require.ErrorIs(t, err, ports.ErrNotAsked, "the place got free with half a second too little")
		require.Equal(t, time.Second, waited, "refused as soon as it was too late")
		require.Positive(t, fault.From(err).RetryAfter())
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		over, err := d.AcquireWith(ctx, 2*time.Second, a)
		require.NoError(t, err)
		over()
		_, err = d.AcquireWith(ctx, 4*time.Second, a)
		require.ErrorIs(t, err, ports.ErrNotAsked, "too little from the start")
		d.wait("next", quota.Read, a)
		d.end()
	})
}

// TestPromisesEndSomewhere: however many are refused, no Retry-After is hours long.
func TestPromisesEndSomewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, a := newDoors(quota.Window{Budget: 1, Per: 10 * time.Second}, kos.DefaultBulkhead()), number(t, twoLines[0])
		d.wait("first", quota.Read, a)
		var delays []time.Duration
		for range 1000 {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			_, err := d.Acquire(ctx, quota.Read, kos.BillReads, a)
			cancel()
			delays = append(delays, fault.From(err).RetryAfter())
		}
		pace := kos.DefaultBulkhead().Interval
		require.Equal(t, 10*time.Second, delays[0])
		require.InDelta(t, 10*time.Second+99*pace, delays[99], float64(time.Millisecond))
		require.Equal(t, 5*time.Minute, delays[999])
		d.end()
	})
}

// slowLedger takes its time, and refuses the first.
type slowLedger struct {
	memory.Quota
	refuses     int32
	asked, gave atomic.Int32
}

func (l *slowLedger) Take(context.Context, quota.Lane) error {
	time.Sleep(100 * time.Millisecond)
	if l.asked.Add(1) <= l.refuses {
		return fault.New(fault.ServiceUnavailable).RetryIn(5 * time.Second).Because(ports.ErrNotAsked)
	}
	l.gave.Add(1)
	return nil
}

// TestACallerThatLeavesWhileServedIsReleased at once; nothing more is spent on it, and its permit goes to the next.
func TestACallerThatLeavesWhileServedIsReleased(t *testing.T) {
	t.Parallel()
	for refuses, want := range map[int32]int32{1: 0, 0: 1} {
		synctest.Test(t, func(t *testing.T) {
			ledger, a := &slowLedger{refuses: refuses}, number(t, twoLines[0])
			gate := kos.NewRateLimiter(ledger, kos.DefaultBulkhead())
			ctx, leave := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, leave)
			start := time.Now()
			_, err := gate.Acquire(ctx, quota.Read, kos.BillReads, a)
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, 50*time.Millisecond, time.Since(start))
			if want == 1 {
				over, err := gate.Acquire(t.Context(), quota.Read, kos.BillReads, a)
				require.NoError(t, err)
				require.Equal(t, 100*time.Millisecond, time.Since(start), "the next one has taken over")
				over()
			}
			time.Sleep(time.Minute)
			require.Equal(t, want, ledger.gave.Load())
		})
	}
}

var errLedger = errors.New("no ledger")

type brokenLedger struct {
	memory.Quota
	asked int
}

func (l *brokenLedger) Take(context.Context, quota.Lane) error {
	if l.asked++; l.asked < 4 {
		return fault.New(fault.ServiceUnavailable).RetryIn(time.Second).Because(errors.Join(ports.ErrNotAsked, errLedger))
	}
	return nil
}

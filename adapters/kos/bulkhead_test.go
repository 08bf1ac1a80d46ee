package kos_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/adapters/kos/kossim"
	"phonebill/adapters/memory"
	"phonebill/core/product"
	"phonebill/core/quota"
)

// besides is a wire to a simulator without a network, for virtual time. It knows hanging up.
type besides struct{ http.Handler }

func (b besides) RoundTrip(r *http.Request) (res *http.Response, err error) {
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	defer func() {
		if said := recover(); said != nil { // the simulator closes the connection
			res, err = nil, errors.Join(errors.New("connection closed"), r.Context().Err())
		}
	}()
	rec := httptest.NewRecorder()
	b.ServeHTTP(rec, r)
	return rec.Result(), r.Context().Err()
}

// times are how long calls took until they were answered.
type times struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *times) took(since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, time.Since(since))
}

// p99 is the nearest-rank percentile of all so far, and their number; it begins anew.
func (l *times) p99() (time.Duration, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.all)
	n := len(l.all)
	worst := l.all[(n*99+99)/100-1]
	l.all = nil
	return worst, n
}

// TestAHangingOperationLeavesTheOthersAlone (issue: within 2x of their p99). Virtual time makes the ratio exact.
// Customers read bills, plans and customers and change plans at a steady rate, on the budget and the delays of the
// product; then every bill inquiry hangs, and a crowd asks for bills all the same.
func TestAHangingOperationLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim, err := kossim.New(kossim.Options{Tokens: []string{token}, Clock: time.Now})
		require.NoError(t, err)
		lines, err := sim.AddCustomers(kossim.Generate{Count: 400, Seed: 4})
		require.NoError(t, err)
		l := connect(t, "http://kos.test", func(_ *kos.Config, d *kos.Deps) {
			d.Quota, d.Now = &memory.Quota{Window: quota.Default(), Now: time.Now}, time.Now
		})
		kos.OverWire(l.Client, besides{sim.Handler()})
		var reads, changes times
		var all sync.WaitGroup
		calls := 0
		within := func(d time.Duration, ask func(context.Context) bool, into *times) {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), d)
				defer cancel()
				start := time.Now()
				if ask(ctx) && into != nil {
					into.took(start)
				}
			})
		}
		bill := func(i int) func(context.Context) bool {
			return func(ctx context.Context) bool {
				_, err := l.Bill(ctx, billed, number(t, lines[i%len(lines)]), month(t, "2000-01"))
				return err == nil
			}
		}
		// second of customers: a product read every other second, a change every tenth, and so many bill inquiries.
		second := func(i, bills int) {
			if i%2 == 0 {
				within(3*time.Second, func(ctx context.Context) bool {
					_, err := l.Customer(ctx, read, number(t, lines[i%len(lines)]))
					return err == nil
				}, &reads)
			}
			if i%10 == 0 {
				calls++
				o := order(t, lines[calls%len(lines)], premium, standard)
				o.TransactionID[14], o.TransactionID[13] = byte(calls), byte(calls>>8)
				within(
					5*time.Second,
					func(ctx context.Context) bool { return l.Change(ctx, change, o).Kind == product.AnswerAccepted },
					&changes,
				)
			}
			for n := range bills {
				within(3*time.Second, bill(i*7+n), nil)
			}
			time.Sleep(time.Second)
		}
		const half = 1200     // seconds
		for i := range half { // 51 calls a minute: the budget has room for those that will hang
			second(i, max(0, 1-i%4))
		}
		all.Wait()
		readsBefore, nReads := reads.p99()
		changesBefore, nChanges := changes.p99()
		require.NoError(t, sim.AddFault(kossim.Fault{Operation: kossim.BillInquiry, Mode: kossim.Hang}))
		for i := range half {
			second(i, 20)
		}
		all.Wait()
		readsWhile, nReadsWhile := reads.p99()
		changesWhile, nChangesWhile := changes.p99()
		t.Logf(
			"product reads p99 %v -> %v (%d, %d), changes p99 %v -> %v (%d, %d)",
			readsBefore,
			readsWhile,
			nReads,
			nReadsWhile,
			changesBefore,
			changesWhile,
			nChanges,
			nChangesWhile,
		)
		require.LessOrEqual(t, float64(readsWhile)/float64(readsBefore), 2.)
		require.LessOrEqual(t, float64(changesWhile)/float64(changesBefore), 2.)
		require.Equal(
			t,
			[4]int{half / 2, half / 10, half / 2, half / 10},
			[4]int{nReads, nChanges, nReadsWhile, nChangesWhile},
			"none failed, before or while bills hang",
		)
		require.NoError(t, sim.Close())
	})
}

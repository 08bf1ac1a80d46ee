package change_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/product/change"
	"phonebill/ports"
)

// seeds is how many worlds a run simulates: 100, or what SIMULATION_SEEDS says (`make verify` and `make drills`, without the
// race detector).
func seeds(t *testing.T) uint64 {
	t.Helper()
	if os.Getenv("SIMULATION_SEEDS") == "" {
		return 100
	}
	n, err := strconv.ParseUint(os.Getenv("SIMULATION_SEEDS"), 10, 32)
	require.NoError(t, err)
	return n
}

// manyOrders is how many orders wait in tests of an outage: 50, or 200 where SIMULATION_SEEDS asks for the full size.
func manyOrders() int {
	if os.Getenv("SIMULATION_SEEDS") == "" {
		return 50
	}
	return 200
}

// weather makes trouble as a real KOS, network and platform do, from one seed.
type weather struct {
	mu      sync.Mutex
	rnd     *rand.Rand
	calm    bool
	world   *world
	pending map[id.ID]bool // received by KOS, not applied yet
	coming  map[id.ID]bool // sent, not received by KOS yet
	silent  bool           // this KOS cannot be asked about transactions
	looking map[line.Number]bool
	looked  map[line.Number]time.Time // when KOS was last asked about a line to learn of its order
	soon    []time.Duration           // after the question before
	late    sync.WaitGroup
}

func (w *weather) chance(percent int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.calm && w.rnd.IntN(100) < percent
}

func (w *weather) upTo(d time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Duration(w.rnd.Int64N(int64(d)))
}

func (w *weather) setCalm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calm = true
}

func (w *weather) received(o product.Order, is bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending[o.TransactionID] = is
}

func (w *weather) onTheWay(o product.Order, is bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.coming[o.TransactionID] = is
}

func (w *weather) arrive(o product.Order) {
	w.world.kos.KOS.Change(context.Background(), ports.Call{}, o)
	w.onTheWay(o, false)
}

func (w *weather) change(ctx context.Context, call ports.Call, o product.Order) product.Answer {
	kos := w.world.kos
	switch {
	case w.chance(5):
		return product.Answer{Kind: product.AnswerNotSent}
	case w.chance(5):
		return lost(ctx, call, o)
	case w.chance(10): // applied, the reply is dropped
		return kos.dropReply(ctx, call, o)
	case w.chance(5): // received, applied after a while
		w.received(o, true)
		w.later(w.upTo(time.Minute), func() {
			kos.KOS.Change(context.Background(), ports.Call{}, o)
			w.received(o, false)
		})
		return lost(ctx, call, o)
	case w.chance(3): // delayed on the way: KOS learns of it when nobody waits any more
		w.onTheWay(o, true)
		w.later(w.upTo(40*time.Second), func() { w.arrive(o) })
		return lost(ctx, call, o)
	case w.chance(2): // the call is done twice
		kos.KOS.Change(ctx, call, o)
	}
	return kos.KOS.Change(ctx, call, o)
}

func (w *weather) later(d time.Duration, f func()) {
	w.late.Go(func() {
		time.Sleep(d)
		f()
	})
}

func (w *weather) ask(ctx context.Context, call ports.Call, o product.Order) product.Answer {
	w.mu.Lock()
	pending, coming := w.pending[o.TransactionID], w.coming[o.TransactionID]
	w.mu.Unlock()
	if coming { // KOS does not know it yet, and will a moment after it has said so
		w.later(w.upTo(2*time.Second), func() { w.arrive(o) })
	}
	switch {
	case w.chance(10):
		return product.Answer{Kind: product.AnswerNotSent}
	case w.chance(10), pending:
		return product.Answer{Kind: product.AnswerUnknown}
	case w.silent:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.looking[o.Line] = true
		return product.Answer{Kind: product.AnswerNoQuery}
	}
	return w.world.kos.KOS.Ask(ctx, call, o)
}

// look is trouble with a line's customer, of all kinds; a question that reached KOS is noted if it stands for one about an order.
func (w *weather) look(_ context.Context, n line.Number) error {
	if w.chance(10) {
		return away()
	}
	w.mu.Lock()
	if w.looking[n] {
		if last, ok := w.looked[n]; ok && time.Since(last) < product.QuietPeriod {
			w.soon = append(w.soon, time.Since(last))
		}
		w.looked[n], w.looking[n] = time.Now(), false
	}
	w.mu.Unlock()
	switch {
	case w.chance(10):
		return transient()
	case w.chance(10):
		return noAnswer()
	}
	return nil
}

// beforeSave kills the process around a store, or lets it stall beyond its lease.
func (w *weather) beforeSave(o product.Order) error {
	switch {
	case w.chance(5):
		return errBackend
	case w.chance(5):
		if _, err := w.world.orders.Orders.Save(context.Background(), o, time.Now()); err != nil {
			return err
		}
		return errBackend
	case w.chance(3):
		time.Sleep(16 * time.Second)
	}
	return nil
}

// TestSimulation: many seeds of bad weather under virtual time. No order is applied and called FAILED, none is called COMPLETED and
// not applied, none is sent under two transaction ids, every one reaches an end.
func TestSimulation(t *testing.T) {
	t.Parallel()
	for seed := range seeds(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
		})
	}
}

func simulate(t *testing.T, seed uint64) {
	t.Helper()
	w := newWorld(t)
	sky := &weather{rnd: rand.New(rand.NewPCG(seed, 1)), world: w, pending: map[id.ID]bool{}, coming: map[id.ID]bool{}, silent: seed%3 == 0,
		looking: map[line.Number]bool{}, looked: map[line.Number]time.Time{}}
	if sky.silent {
		w.kos.onLook = sky.look
	}
	w.kos.onChange, w.kos.onAsk, w.orders.beforeSave = sky.change, sky.ask, sky.beforeSave
	var lines []line.Number
	for i := range 4 {
		n := number(t, fmt.Sprintf("010%08d", 12345678+i))
		w.kos.AddCustomer(product.Customer{Line: n, PlanCode: "LTE", OperatorCode: "MVNO", LineStatus: product.LineActive}, nil)
		lines = append(lines, n)
	}
	me := auth.Principal{UserID: "hong", Lines: lines}

	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	pods := []*change.Service{w.service(), w.service(), w.service()}
	for _, pod := range pods {
		workers.Go(func() {
			for ctx.Err() == nil {
				_, _ = pod.Step(ctx, 2) // what goes wrong is the weather
				time.Sleep(3 * time.Second)
			}
		})
	}
	accepted := map[id.ID]id.ID{}
	for i := range 12 {
		target := []string{"5G", "5G-S"}[i%2]
		o, err := pods[i%len(pods)].Request(t.Context(), me, change.Command{Line: lines[i%len(lines)], From: "LTE", To: target})
		if err == nil {
			if known, ok := accepted[o.ID]; ok {
				require.Equal(t, known, o.TransactionID, "one transaction id per order")
			}
			accepted[o.ID] = o.TransactionID
		}
		time.Sleep(sky.upTo(30 * time.Second))
	}
	time.Sleep(10 * time.Minute)
	sky.setCalm()
	time.Sleep(30 * time.Minute)
	stop()
	workers.Wait()
	sky.late.Wait()
	for _, pod := range pods {
		pod.Wait()
	}

	rows, total, err := w.orders.History(t.Context(), product.HistoryFilter{UserID: "hong", Lines: lines, Page: 1, Size: 100})
	require.NoError(t, err)
	require.GreaterOrEqual(t, total, len(accepted), "no accepted order is lost")
	completed := 0
	for _, o := range rows {
		applied := w.kos.KOS.Ask(t.Context(), ports.Call{}, o).Kind == product.AnswerAccepted
		require.Truef(t, o.State.Final(), "seed %d: %s is %s", seed, o.ID, o.State)
		require.Equalf(t, o.State == product.Completed, applied, "seed %d: applied %t, order %s: %s", seed, applied, o.State, o.FailureReason)
		if applied {
			completed++
		}
	}
	require.Equal(t, completed, w.kos.Applied(), "nothing was applied that has no order")
	require.Emptyf(t, sky.soon, "seed %d: KOS was asked about an order again without a pause", seed)
	transactions := map[id.ID]id.ID{}
	for _, sent := range w.kos.wire() {
		if known, ok := transactions[sent.ID]; ok {
			require.Equal(t, known, sent.TransactionID)
		}
		transactions[sent.ID] = sent.TransactionID
	}
}

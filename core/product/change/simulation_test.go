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

// seeds is how many worlds a run simulates: 100, or what SIMULATION_SEEDS says (`make verify` and `make drills`,
// without the race detector).
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

// chaos injects the faults of a real KOS, network and platform, from one seed.
type chaos struct {
	mu         sync.Mutex
	rnd        *rand.Rand
	ended      bool
	world      *world
	pending    map[id.ID]bool // received by KOS, not applied yet
	coming     map[id.ID]bool // sent, not received by KOS yet
	silent     bool           // this KOS cannot be asked about transactions
	lookupDue  map[line.Number]bool
	lastLookup map[line.Number]time.Time // when KOS was last asked about a line instead of its order
	tooSoon    []time.Duration           // since the lookup before, where that was too short
	late       sync.WaitGroup
}

func (c *chaos) chance(percent int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.ended && c.rnd.IntN(100) < percent
}

func (c *chaos) upTo(d time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.rnd.Int64N(int64(d)))
}

func (c *chaos) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

func (c *chaos) received(o product.Order, is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending[o.TransactionID] = is
}

func (c *chaos) onTheWay(o product.Order, is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.coming[o.TransactionID] = is
}

func (c *chaos) arrive(o product.Order) {
	c.world.kos.KOS.Change(context.Background(), ports.Call{}, o)
	c.onTheWay(o, false)
}

func (c *chaos) change(ctx context.Context, call ports.Call, o product.Order) product.Answer {
	kos := c.world.kos
	switch {
	case c.chance(5):
		return product.Answer{Kind: product.AnswerNotSent}
	case c.chance(5):
		return lost(ctx, call, o)
	case c.chance(10): // applied, the reply is dropped
		return kos.dropReply(ctx, call, o)
	case c.chance(5): // received, applied after a while
		c.received(o, true)
		c.later(c.upTo(time.Minute), func() {
			kos.KOS.Change(context.Background(), ports.Call{}, o)
			c.received(o, false)
		})
		return lost(ctx, call, o)
	case c.chance(3): // delayed on the way: KOS gets it after the caller has given up
		c.onTheWay(o, true)
		c.later(c.upTo(40*time.Second), func() { c.arrive(o) })
		return lost(ctx, call, o)
	case c.chance(2): // the call is done twice
		kos.KOS.Change(ctx, call, o)
	}
	return kos.KOS.Change(ctx, call, o)
}

func (c *chaos) later(d time.Duration, f func()) {
	c.late.Go(func() {
		time.Sleep(d)
		f()
	})
}

func (c *chaos) ask(ctx context.Context, call ports.Call, o product.Order) product.Answer {
	c.mu.Lock()
	pending, coming := c.pending[o.TransactionID], c.coming[o.TransactionID]
	c.mu.Unlock()
	if coming { // KOS does not know it yet, and will a moment after it has said so
		c.later(c.upTo(2*time.Second), func() { c.arrive(o) })
	}
	switch {
	case c.chance(10):
		return product.Answer{Kind: product.AnswerNotSent}
	case c.chance(10), pending:
		return product.Answer{Kind: product.AnswerUnknown}
	case c.silent:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lookupDue[o.Line] = true
		return product.Answer{Kind: product.AnswerNoQuery}
	}
	return c.world.kos.KOS.AskStatus(ctx, call, o)
}

// look injects failures into queries of a line's customer. A query that replaces one about an order is noted.
func (c *chaos) look(_ context.Context, n line.Number) error {
	if c.chance(10) {
		return away()
	}
	c.mu.Lock()
	if c.lookupDue[n] {
		if last, ok := c.lastLookup[n]; ok && time.Since(last) < product.QuietPeriod {
			c.tooSoon = append(c.tooSoon, time.Since(last))
		}
		c.lastLookup[n], c.lookupDue[n] = time.Now(), false
	}
	c.mu.Unlock()
	switch {
	case c.chance(10):
		return transient()
	case c.chance(10):
		return noAnswer()
	}
	return nil
}

// beforeSave kills the process around a store, or lets it stall beyond its lease.
func (c *chaos) beforeSave(o product.Order) error {
	switch {
	case c.chance(5):
		return errBackend
	case c.chance(5):
		if _, err := c.world.orders.Orders.Save(context.Background(), o, time.Now()); err != nil {
			return err
		}
		return errBackend
	case c.chance(3):
		time.Sleep(16 * time.Second)
	}
	return nil
}

// TestSimulation: many seeds of faults under virtual time. No order is applied and called FAILED, none is called
// COMPLETED and not applied, none is sent under two transaction ids, every one reaches an end.
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
	faults := &chaos{rnd: rand.New(rand.NewPCG(seed, 1)), world: w, pending: map[id.ID]bool{}, coming: map[id.ID]bool{},
		silent:    seed%3 == 0,
		lookupDue: map[line.Number]bool{}, lastLookup: map[line.Number]time.Time{}}
	if faults.silent {
		w.kos.onLook = faults.look
	}
	w.kos.onChange, w.kos.onAsk, w.orders.beforeSave = faults.change, faults.ask, faults.beforeSave
	var lines []line.Number
	for i := range 4 {
		n := number(t, fmt.Sprintf("010%08d", 12345678+i))
		w.addLine(n)
		lines = append(lines, n)
	}
	me := auth.Principal{UserID: "hong", Lines: lines}

	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	pods := []*change.Service{w.service(), w.service(), w.service()}
	for _, pod := range pods {
		workers.Go(func() {
			for ctx.Err() == nil {
				_, _ = pod.Step(ctx, 2) // errors are those injected
				time.Sleep(3 * time.Second)
			}
		})
	}
	accepted := map[id.ID]id.ID{}
	for i := range 12 {
		target := []string{"5G", "5G-S"}[i%2]
		o, err := pods[i%len(pods)].Request(t.Context(), me, change.Command{
			Line: lines[i%len(lines)], From: "LTE", To: target,
		})
		if err == nil {
			if known, ok := accepted[o.ID]; ok {
				require.Equal(t, known, o.TransactionID, "one transaction id per order")
			}
			accepted[o.ID] = o.TransactionID
		}
		time.Sleep(faults.upTo(30 * time.Second))
	}
	time.Sleep(10 * time.Minute)
	faults.end()
	time.Sleep(30 * time.Minute)
	stop()
	workers.Wait()
	faults.late.Wait()
	for _, pod := range pods {
		pod.Wait()
	}

	rows, total, err := w.orders.History(t.Context(), product.HistoryFilter{
		UserID: "hong", Lines: lines, Page: 1, Size: 100,
	})
	require.NoError(t, err)
	require.GreaterOrEqual(t, total, len(accepted), "no accepted order is lost")
	completed := 0
	for _, o := range rows {
		applied := w.kos.KOS.AskStatus(t.Context(), ports.Call{}, o).Kind == product.AnswerAccepted
		require.Truef(t, o.State.Final(), "seed %d: %s is %s", seed, o.ID, o.State)
		require.Equalf(t, o.State == product.Completed, applied, "seed %d: applied %t, order %s: %s", seed, applied,
			o.State, o.FailureReason)
		if applied {
			completed++
		}
	}
	require.Equal(t, completed, w.kos.Applied(), "nothing was applied that has no order")
	require.Emptyf(t, faults.tooSoon, "seed %d: KOS was asked about an order again without a pause", seed)
	transactions := map[id.ID]id.ID{}
	for _, sent := range w.kos.wire() {
		if known, ok := transactions[sent.ID]; ok {
			require.Equal(t, known, sent.TransactionID)
		}
		transactions[sent.ID] = sent.TransactionID
	}
}

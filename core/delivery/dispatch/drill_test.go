package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/delivery/dispatch"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/ports"
)

// flaky is an AP server that fails three times in ten: without having taken the event, or having taken it. One in a
// thousand it rejects.
type flaky struct {
	t    *testing.T
	mu   sync.Mutex
	dice *rand.Rand
	well bool
	seen map[id.ID]int64
	last map[line.Number]int64
	// what became of attempts
	attempts, doubles int
}

func (f *flaky) Ready(n int) int { return n }

func (f *flaky) Publish(_ context.Context, i delivery.Item[ports.ChangeResult]) delivery.Attempt {
	f.mu.Lock()
	dice, takes := f.dice.Float64(), time.Duration(f.dice.IntN(50))*time.Millisecond
	f.mu.Unlock()
	time.Sleep(takes)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attempts++
	switch {
	case f.well || dice >= .3:
		f.take(i)
		return delivery.Attempt{Outcome: delivery.Accepted, Note: "204"}
	case dice < .001:
		f.take(i)
		return delivery.Attempt{Outcome: delivery.Rejected, Note: "422"}
	case dice < .15:
		f.take(i)
	}
	return delivery.Attempt{Outcome: delivery.Failed, Note: "503"}
}

// take demands that an event comes in its turn, and again under its number.
func (f *flaky) take(i delivery.Item[ports.ChangeResult]) {
	if number, double := f.seen[i.ID]; double {
		f.doubles++
		if number != i.Sequence {
			f.t.Errorf("%s came as %d and as %d", i.ID, number, i.Sequence)
		}
		return
	}
	if f.last[i.Body.Order.Line]+1 != i.Sequence {
		f.t.Errorf("of %s came %d after %d", i.Body.Order.Line, i.Sequence, f.last[i.Body.Order.Line])
	}
	f.seen[i.ID], f.last[i.Body.Order.Line] = i.Sequence, i.Sequence
}

// dying is an outbox whose workers die now and then after a delivery and before they have settled it.
type dying struct {
	*memory.ChangeOutbox
	mu   *sync.Mutex
	dice *rand.Rand
}

var errDied = errors.New("died")

func (d dying) Settle(ctx context.Context, now time.Time, items ...delivery.AttemptResult) error {
	d.mu.Lock()
	dies := d.dice.Float64() < .02
	d.mu.Unlock()
	if dies {
		return errDied
	}
	return d.ChangeOutbox.Settle(ctx, now, items...)
}

// TestSixHoursOfFailures: an AP server that fails three times in ten for six hours, workers that die, results of 50
// lines all the while. None is lost, each line is delivered in order, doubles carry their id and number, and all are
// delivered or parked in the end.
func TestSixHoursOfFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const lines, workers, every = 50, 3, 15 * time.Second
		orders, alerts := &memory.Orders{}, &memory.Alerts{}
		ap := &flaky{t: t, dice: rand.New(rand.NewPCG(1, 2)), seen: map[id.ID]int64{}, last: map[line.Number]int64{}}
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for w := range workers {
			dice := rand.New(rand.NewPCG(3, uint64(w)))
			d := &dispatch.Service[ports.ChangeResult]{
				Outbox: dying{orders.Outbox(), &sync.Mutex{}, dice}, Publisher: ap, Now: time.Now, Random: rand.Float64,
				Alerts: alerts, Lease: 30 * time.Second, Attempt: 10 * time.Second, Lines: 16, EventsPerLine: 20,
			}
			all.Go(func() {
				for ctx.Err() == nil {
					if n, err := d.Step(ctx); n == 0 || err != nil {
						time.Sleep(3 * time.Second)
					}
				}
			})
		}
		made := 0
		for end := time.Now().Add(6 * time.Hour); time.Now().Before(end); time.Sleep(every) {
			made++
			number, err := line.Parse(fmt.Sprintf("010%08d", made%lines))
			require.NoError(t, err)
			o := product.Order{
				ID: id.At(time.Now()), Line: number, State: product.Requested, EffectiveDate: calendar.DateOf(time.Now()),
			}
			require.NoError(t, orders.Add(ctx, o, request.KeyUse{}))
			o.State, o.ProcessedAt = product.Completed, time.Now()
			_, err = orders.Save(ctx, o, o.ProcessedAt)
			require.NoError(t, err)
		}
		ap.mu.Lock()
		ap.well = true
		ap.mu.Unlock()
		time.Sleep(time.Hour)
		stop()
		all.Wait()
		count := func(s delivery.State) int {
			_, total, err := orders.Outbox().List(t.Context(), delivery.Filter{State: s, Page: 1, Size: 1})
			require.NoError(t, err)
			return total
		}
		require.Equal(t, made, count(delivery.Delivered)+count(delivery.Parked))
		require.Zero(t, count(delivery.Pending))
		require.Len(t, ap.seen, made, "0 lost")
		require.GreaterOrEqual(t, len(alerts.Raised()), count(delivery.Parked))
		require.Positive(t, ap.doubles)
		t.Logf("%d results, %d attempts, %d doubles, %d parked", made, ap.attempts, ap.doubles, count(delivery.Parked))
	})
}

package kos

import (
	"context"
	"sync"
	"time"

	"phonebill/core/calendar"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/quota"
)

// nobody is a line number that no network hands out: its exchange code begins with 0. KOS answers probes about it with "unknown line",
// a business answer, which is all that a breaker wants to hear.
const nobody = "01000000000"

// Probe makes one call for each operation whose breaker is half-open, so that a breaker closes without a customer's doing once KOS is well
// again (S-BREAKER). Nothing else passes a half-open breaker. Probes spend of the lane of refreshes. One that says nothing about KOS
// (no budget, E429, a credential that KOS does not know) is followed by rests that double up to 30 s. The answer is how many probes were
// made; call it every second or so.
//
// The probe of a change is an order, because only an order tells that KOS takes orders: asking for one that does not exist is another
// operation of KOS's, with a breaker of its own, and a breaker closed on its word would let five customers' orders run into trouble, again
// and again. It is safe for three reasons, each enough: its line belongs to nobody (E001), its current plan is nobody's (E106), its new
// plan is not on sale anywhere (E104). And should a KOS ever take it: it is an order for nobody.
func (c *Client) Probe(ctx context.Context) (int, error) {
	number, err := line.Parse(nobody)
	if err != nil {
		return 0, err
	}
	probe, now := c.In(quota.Refresh), c.deps.Now()
	probe.probe = true
	impossible := product.Order{
		ID: c.deps.NewID(), TransactionID: c.deps.NewID(), Line: number, From: "PROBE", To: "PROBE", EffectiveDate: calendar.DateOf(now),
	}
	probes := map[Operation]func(context.Context){
		billInquiry: func(ctx context.Context) {
			_, _ = probe.Bill(ctx, impossible.ID, number, calendar.MonthOf(now))
		},
		customerGet:         func(ctx context.Context) { _, _ = probe.Customer(ctx, number) },
		productsList:        func(ctx context.Context) { _, _ = probe.Plans(ctx) },
		productChange:       func(ctx context.Context) { probe.Change(ctx, impossible) },
		productChangeStatus: func(ctx context.Context) { probe.Ask(ctx, impossible) },
	}
	ctx, cancel := context.WithTimeout(ctx, probeCall)
	defer cancel()
	made := 0
	var all sync.WaitGroup
	for _, op := range c.deps.Breakers.halfOpen() {
		made++
		all.Go(func() { probes[op](ctx) })
	}
	all.Wait()
	return made, nil
}

// probeCall is how long a probe may take: what a customer would wait, or a KOS that is merely slow would be taken for well.
const probeCall = 5 * time.Second

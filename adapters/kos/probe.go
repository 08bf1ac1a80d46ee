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

// Probe makes one call for each operation whose breaker is half-open and has room for a probe, so that a breaker closes without a
// customer's doing once KOS is well again (product.md). Probes spend of the lane of refreshes, that of a change of plan excepted: it
// orders a plan that does not exist for a line that does not exist, so there is nothing that it could change. The answer is how many
// probes were made; call it every second or so.
func (c *Client) Probe(ctx context.Context) (int, error) {
	number, err := line.Parse(nobody)
	if err != nil {
		return 0, err
	}
	refresh, now := c.In(quota.Refresh), c.deps.Now()
	impossible := product.Order{
		ID: c.deps.NewID(), TransactionID: c.deps.NewID(), Line: number, From: "PROBE", To: "PROBE", EffectiveDate: calendar.DateOf(now),
	}
	probes := map[Operation]func(context.Context){
		billInquiry: func(ctx context.Context) {
			_, _ = refresh.Bill(ctx, impossible.ID, number, calendar.MonthOf(now))
		},
		customerGet:         func(ctx context.Context) { _, _ = refresh.Customer(ctx, number) },
		productsList:        func(ctx context.Context) { _, _ = refresh.Plans(ctx) },
		productChange:       func(ctx context.Context) { c.Change(ctx, impossible) },
		productChangeStatus: func(ctx context.Context) { c.Ask(ctx, impossible) },
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

package kos

import (
	"context"
	"sync"
	"time"

	"phonebill/core/calendar"
	"phonebill/core/line"
	"phonebill/core/product"
)

// unassignedLine is a line number that no network hands out: its exchange code begins with 0. KOS returns "unknown
// line" for it, a business answer, which shows that the operation works.
const unassignedLine = "01000000000"

// unsoldPlan is a plan code that KOS does not know.
const unsoldPlan = "PROBE"

// probeTimeout bounds a probe. A KOS that is slower than a customer would wait is not taken for healthy.
const probeTimeout = 5 * time.Second

// Probe makes one call for each operation whose breaker is half-open, so that a breaker closes without a customer's
// call once KOS has recovered. Nothing else passes a half-open breaker. Probes spend of the lane quota.Refresh. A probe
// that says nothing about KOS (no budget, E429, an unknown credential) is followed by pauses that double up to 30 s.
// Probe returns the number of probes made; it is meant to be called about once a second.
//
// The probe of a change is an order, because only an order shows that KOS takes orders: the status query is another
// operation with a breaker of its own, and closing the breaker on its word would let five customers' orders fail, again
// and again. The order is safe for three reasons, each of them enough: its line is assigned to no one (E001), its
// current plan is no line's plan (E106), its new plan is not on sale (E104). Should a KOS ever accept it, it changes no
// customer's line.
func (c *Client) Probe(ctx context.Context) (int, error) {
	number, err := line.Parse(unassignedLine)
	if err != nil {
		return 0, err
	}
	client := *c
	client.probe = true
	order := product.Order{
		ID: c.deps.NewID(), TransactionID: c.deps.NewID(), Line: number, From: unsoldPlan, To: unsoldPlan,
		EffectiveDate: calendar.DateOf(c.deps.Now()),
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	made := 0
	var probes sync.WaitGroup
	for _, op := range c.deps.Breakers.awaitingProbe() {
		made++
		probes.Go(func() { op.sendProbe(ctx, &client, order) })
	}
	probes.Wait()
	return made, nil
}

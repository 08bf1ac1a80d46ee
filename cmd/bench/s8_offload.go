package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// offload is what a thousand inquiries, one of each customer, cost.
type offload struct {
	reads, writes, batches int    // statements beyond those of an idle system; batches are those that add inquiries
	calls                  int    // of KOS
	most                   string // the statements that came most
}

const (
	idleFor     = 6 * time.Second
	offloadAt   = 16 // inquiries at once
	passes      = 3  // the median counts, since a cache that is slow for 40 ms is bypassed
	addsInquiry = "bill.AddInquiries"
)

// offloadScenario is S8: what a warm cached inquiry costs PostgreSQL and KOS, and what the same costs without copies.
// Deliveries are held back both times (the AP server refuses, and its breaker stays open), since they are the same with
// and without; KOS answers at once, since calls are counted and not timed.
func offloadScenario(ctx context.Context, o options, r *report) error {
	t, err := o.datasets.get(ctx, o.progress)
	if err != nil {
		return err
	}
	o.progress.step("inquiries answered from copies")
	warm, err := t.offload(ctx, r, "warm")
	if err != nil {
		return err
	}
	o.progress.step("the same inquiries without copies")
	off, err := t.offload(ctx, r, "cache off",
		"CACHE_BILL=1ns/1ns", "CACHE_CUSTOMER=1ns/1ns", "CACHE_LINE_STATUS=1ns/1ns", "CACHE_PLANS=1ns/1ns")
	if err != nil {
		return err
	}
	per := func(a, b int) float64 { return float64(a) / float64(max(b, 1)) }
	reads, writes := per(warm.reads, customerCount), per(warm.writes, warm.batches)
	kos, db := 1-per(warm.calls, off.calls), 1-per(warm.reads+warm.writes, off.reads+off.writes)
	r.Bars = append(r.Bars,
		bar{"S8 PostgreSQL reads per warm cached inquiry", "0", reads, warm.reads == 0},
		bar{"S8 PostgreSQL writes per batch", "<= 1", writes, writes <= 1},
		bar{"S8 KOS calls saved against cache off", ">= 0.99", kos, kos >= 0.99},
		bar{"S8 database statements saved against cache off", ">= 0.85", db, db >= 0.85})
	return nil
}

// offload starts a system, asks once for every customer's bill, and then counts while the same is asked again.
func (t *dataset) offload(ctx context.Context, r *report, name string, more ...string) (middle offload, err error) {
	s, err := startIn(ctx, t.dir, append(more, "KOS_DELAY_PERCENT=0", "MVNOAP_BREAKER=1/1h/1")...)
	if err != nil {
		return middle, err
	}
	defer s.stop()
	defer t.markBudgetSpent()
	if err := control(ctx, "POST", s.MVNOAP.Control+"/control/faults", `{"mode":"fail","status":503}`); err != nil {
		return middle, err
	}
	askAll := func() error {
		return parallel(customerCount, offloadAt, func(i int) error { return once(ctx, t.customers[i].reads(s.addr())[0]) })
	}
	if err := askAll(); err != nil {
		return middle, err
	}
	w, err := logStatements(ctx, s)
	if err != nil {
		return middle, err
	}
	idleReads, idleWrites, err := w.during(ctx, func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(idleFor):
			return nil
		}
	})
	if err != nil {
		return middle, err
	}
	var all []offload
	for range passes {
		begun := time.Now()
		reads, writes, err := w.during(ctx, askAll)
		if err != nil {
			return middle, err
		}
		share := float64(time.Since(begun)) / float64(idleFor)
		calls, err := s.calls(ctx, begun)
		if err != nil {
			return middle, err
		}
		x := offload{
			reads: reads.beyond(
				idleReads,
				share,
				"bill.",
				"kos.",
				"auth.",
			),
			writes:  writes.beyond(idleWrites, share, "bill.", "kos."),
			batches: writes[addsInquiry],
			calls:   len(calls),
			most:    "reads " + reads.summary() + "; writes " + writes.summary(),
		}
		r.Notes = append(
			r.Notes,
			fmt.Sprintf("S8 %s: %d inquiries, %d reads, %d writes, %d of them batches of inquiries, %d KOS calls; %s",
				name, customerCount, x.reads, x.writes, x.batches, x.calls, x.most),
		)
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b offload) int { return a.reads - b.reads })
	return all[passes/2], nil
}

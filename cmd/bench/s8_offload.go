package main

import (
	"context"
	"fmt"
	"time"
)

// offload is what a thousand inquiries, one of each customer, came to.
type offload struct {
	reads, writes, batches float64 // statements of PostgreSQL beyond those of an idle system; batches are those that add inquiries
	calls                  int     // of KOS
	most                   string  // the statements that came most
}

const (
	idleFor     = 4 * time.Second
	offloadAt   = 16 // inquiries at once
	addsInquiry = "AddInquiries"
)

// offloadScenario is S8: what a warm cached inquiry costs PostgreSQL and KOS, and what the same costs without copies. Deliveries are held
// back both times (the AP server refuses, and its breaker stays open), since they are the same with and without; KOS answers at once,
// since calls are counted and not timed.
func offloadScenario(ctx context.Context, o options, r *report) error {
	t, err := o.towns.get(ctx)
	if err != nil {
		return err
	}
	warm, err := t.offload(ctx)
	if err != nil {
		return err
	}
	off, err := t.offload(ctx, "CACHE_BILL=1ns/1ns", "CACHE_CUSTOMER=1ns/1ns", "CACHE_LINE_STATUS=1ns/1ns", "CACHE_PLANS=1ns/1ns")
	if err != nil {
		return err
	}
	perInquiry, perBatch := warm.reads/inhabitants, warm.writes/max(warm.batches, 1)
	kos := 1 - float64(warm.calls)/float64(max(off.calls, 1))
	db := 1 - (warm.reads+warm.writes)/max(off.reads+off.writes, 1)
	r.Bars = append(r.Bars,
		bar{"S8 PostgreSQL reads per warm cached inquiry", "0", perInquiry, perInquiry < 0.005},
		bar{"S8 PostgreSQL writes per batch", "<= 1", perBatch, perBatch <= 1.005},
		bar{"S8 KOS calls saved against cache off", ">= 0.85", kos, kos >= 0.85},
		bar{"S8 database statements saved against cache off", ">= 0.85", db, db >= 0.85})
	for name, x := range map[string]offload{"warm": warm, "cache off": off} {
		r.Note = append(r.Note, fmt.Sprintf("S8 %s: %d inquiries, %.0f reads, %.0f writes, %.0f of them batches of inquiries, %d KOS calls; %s",
			name, inhabitants, x.reads, x.writes, x.batches, x.calls, x.most))
	}
	return nil
}

// offload starts a system, has everybody ask once for his bill, and then counts while everybody asks again.
func (t *town) offload(ctx context.Context, more ...string) (x offload, err error) {
	s, err := startIn(ctx, t.dir, append(more, "KOS_DELAY_PERCENT=0", "MVNOAP_BREAKER=1/1h/1")...)
	if err != nil {
		return x, err
	}
	defer s.stop()
	if err := control(ctx, "POST", s.MVNOAP.Control+"/control/faults", `{"mode":"fail","status":503}`); err != nil {
		return x, err
	}
	everybody := func() error {
		return together(inhabitants, offloadAt, func(i int) error { return once(ctx, t.people[i].reads(s.addr())[0]) })
	}
	if err := everybody(); err != nil {
		return x, err
	}
	w, err := watchStatements(ctx, s)
	if err != nil {
		return x, err
	}
	idleReads, idleWrites, watched, err := w.during(ctx, func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(idleFor):
			return nil
		}
	})
	if err != nil {
		return x, err
	}
	begun := time.Now()
	reads, writes, took, err := w.during(ctx, everybody)
	if err != nil {
		return x, err
	}
	calls, err := s.calls(ctx, begun)
	if err != nil {
		return x, err
	}
	x = offload{
		reads: reads.beyond(idleReads, took, watched), writes: writes.beyond(idleWrites, took, watched), calls: len(calls),
		batches: float64(writes["bill."+addsInquiry]), most: "reads " + reads.told() + "; writes " + writes.told(),
	}
	return x, nil
}

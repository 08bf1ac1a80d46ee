package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"phonebill/core/calendar"
)

// The load of S7. KOS works on three bills at a time; each takes it half a second, those of the slow line five.
const (
	carrierFor   = 30 * time.Second
	billEvery    = 400 * time.Millisecond
	slowEvery    = 8 * time.Second
	changeEvery  = 4 * time.Second
	slowScenario = "slow"
)

// carrierScenario is S7: bills that no copy is kept of, the line on which KOS takes 5 s among them, and changes of
// plans meanwhile, with KOS at its usual speed; its quota is lifted, since the time of KOS is measured and not the wait
// for one of 1.6 calls a second.
func carrierScenario(ctx context.Context, o options, r *report) error {
	t, err := o.datasets.get(ctx, o.progress)
	if err != nil {
		return err
	}
	s, err := startIn(ctx, t.dir)
	if err != nil {
		return err
	}
	defer s.stop()
	defer t.markBudgetSpent()
	o.progress.step(fmt.Sprintf("uncached bills and changes for %s", carrierFor))
	a, begun := newOutcomes(), time.Now()
	busy, end := context.WithTimeout(ctx, carrierFor)
	defer end()
	jobs := []func(){
		func() {
			every(busy, billEvery, func(n int) { a.inquire(ctx, s, "bill", t.customers[n%customerCount], n/customerCount+1) })
		},
		func() {
			every(busy, slowEvery, func(n int) { a.inquire(ctx, s, "bill of the slow line", t.slow(s), n%5+1) })
		},
		func() {
			every(
				busy,
				changeEvery,
				func(n int) { a.write(ctx, s, "change", "/api/v1/products/change", t.customers[customerCount-1-n]) },
			)
		},
	}
	if err := parallel(len(jobs), len(jobs), func(i int) error { jobs[i](); return nil }); err != nil {
		return err
	}
	a.elapsed = time.Since(begun)
	whole := a.result("")
	honest := func(status int) bool {
		return status == http.StatusOK || status == http.StatusAccepted || status == http.StatusNotFound ||
			status == http.StatusConflict
	}
	bad := a.count("", func(status int) bool { return !honest(status) })
	later := a.count("", func(status int) bool { return status == http.StatusAccepted })
	r.Rows = append(r.Rows, row{Scenario: "S7", Subject: "uncached bills and changes", Open: whole})
	r.Bars = append(r.Bars,
		bar{"S7 p99 at the client, ms", "<= 3,000", ms(whole.P99), whole.P99 <= 3*time.Second},
		bar{"S7 answers that are not 200, 202, 404 or 409", "0", float64(bad), bad == 0})
	r.Notes = append(r.Notes, fmt.Sprintf("S7: %d answers, %d of them 202", whole.Requests, later))
	for _, line := range a.summary() {
		r.Notes = append(r.Notes, "S7: "+line)
	}
	return nil
}

// slow returns the demo customer for whose line KOS takes 5 s.
func (t *dataset) slow(s *running) customer {
	for i, c := range s.Customers {
		if c.Scenario == slowScenario {
			return t.demo[i]
		}
	}
	return customer{}
}

// inquire asks for the bill of so many months ago and records the answer.
func (a *outcomes) inquire(ctx context.Context, s *running, kind string, p customer, monthsAgo int) {
	begun := time.Now()
	status, err := call(ctx, s.BaseURL+"/api/v1/bills/inquiry", p.token, map[string]string{
		"lineNumber": p.line, "inquiryMonth": calendar.MonthOf(begun).Add(-monthsAgo).String(),
	})
	a.add(kind+" "+strconv.Itoa(status), status, time.Since(begun), err)
}

// every starts do at each interval, however long the others take, until ctx ends, and waits for all of them.
func every(ctx context.Context, interval time.Duration, do func(n int)) {
	n := 0
	var all sync.WaitGroup
	repeat(ctx, interval, func() {
		mine := n
		n++
		all.Go(func() { do(mine) })
	})
	all.Wait()
}

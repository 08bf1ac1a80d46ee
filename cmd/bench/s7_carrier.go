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

// What is under way in S7 at a time. KOS works on three bills at once, each takes it half a second, and the slow line's five.
const (
	carrierFor   = 30 * time.Second
	billEvery    = 400 * time.Millisecond
	slowEvery    = 8 * time.Second
	changeEvery  = 4 * time.Second
	slowScenario = "slow"
)

// carrierScenario is S7: bills that no copy is kept of, the line on which KOS takes 5 s among them, and changes of plans meanwhile, with
// KOS at its usual pace; its quota is lifted, since it is KOS's time that is measured and not the turn of 1.6 calls a second.
func carrierScenario(ctx context.Context, o options, r *report) error {
	t, err := o.towns.get(ctx)
	if err != nil {
		return err
	}
	s, err := startIn(ctx, t.dir)
	if err != nil {
		return err
	}
	defer s.stop()
	defer t.spent()
	a, begun := newAnswers(), time.Now()
	busy, end := context.WithTimeout(ctx, carrierFor)
	defer end()
	jobs := []func(){
		func() {
			paceOf(busy, billEvery, func(n int) { a.inquire(ctx, s, "bill", t.people[n%inhabitants], n/inhabitants+1) })
		},
		func() {
			paceOf(busy, slowEvery, func(n int) { a.inquire(ctx, s, "bill of the slow line", t.slow(s), n%5+1) })
		},
		func() {
			paceOf(busy, changeEvery, func(n int) { a.write(ctx, s, "change", "/api/v1/products/change", t.people[inhabitants-1-n]) })
		},
	}
	if err := together(len(jobs), len(jobs), func(i int) error { jobs[i](); return nil }); err != nil {
		return err
	}
	a.elapsed = time.Since(begun)
	whole := a.result("")
	honest := func(status int) bool {
		return status == http.StatusOK || status == http.StatusAccepted || status == http.StatusNotFound || status == http.StatusConflict
	}
	bad := a.count("", func(status int) bool { return !honest(status) })
	later := a.count("", func(status int) bool { return status == http.StatusAccepted })
	r.Rows = append(r.Rows, row{Scenario: "S7", Subject: "uncached bills and changes", Open: whole})
	r.Bars = append(r.Bars,
		bar{"S7 p99 at the client, ms", "<= 3,000", ms(whole.P99), whole.P99 <= 3*time.Second},
		bar{"S7 answers that are not 200, 202, 404 or 409", "0", float64(bad), bad == 0})
	r.Note = append(r.Note, fmt.Sprintf("S7: %d answers, %d of them 202", whole.Requests, later))
	for _, line := range a.told() {
		r.Note = append(r.Note, "S7: "+line)
	}
	return nil
}

// slow is the demo customer whose line KOS takes 5 s for.
func (t *town) slow(s *running) person {
	for i, c := range s.Customers {
		if c.Scenario == slowScenario {
			return t.demo[i]
		}
	}
	return person{}
}

// inquire asks for the bill of so many months ago.
func (a *answers) inquire(ctx context.Context, s *running, kind string, p person, monthsAgo int) {
	begun := time.Now()
	status, err := call(ctx, s.BaseURL+"/api/v1/bills/inquiry", p.token, map[string]string{
		"lineNumber": p.line, "inquiryMonth": calendar.MonthOf(begun).Add(-monthsAgo).String(),
	})
	a.add(kind+" "+strconv.Itoa(status), status, time.Since(begun), err)
}

// paceOf begins something every so often, whatever the others take, and waits for all of them at the end.
func paceOf(ctx context.Context, every time.Duration, do func(n int)) {
	n := 0
	var all sync.WaitGroup
	repeat(ctx, every, func() {
		mine := n
		n++
		all.Go(func() { do(mine) })
	})
	all.Wait()
}

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"phonebill/core/freshness"
)

// customersScenario is S3 and the memory of S4: a thousand customers who are logged in read, each with think time, some
// of them check and change plans, staff log in; KOS allows its 100 calls a minute, and the services are processes of
// their own.
func customersScenario(ctx context.Context, o options, r *report) error {
	t, err := o.datasets.get(ctx, o.progress)
	if err != nil {
		return err
	}
	o.progress.step("waiting until the ledger has a full budget")
	if err := t.waitForBudget(ctx); err != nil {
		return err
	}
	o.progress.step("starting the services and filling the cache")
	began := time.Now()
	s, err := startSplit(ctx, t.dir)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := t.warm(ctx, s); err != nil { // the cache server is new: what it had comes back from PostgreSQL
		return err
	}
	refill, err := s.calls(ctx, began)
	if err != nil {
		return err
	}
	before, err := s.lookups(ctx)
	if err != nil {
		return err
	}
	cpuBefore, err := cpuSnapshot()
	if err != nil {
		return err
	}
	o.progress.step(fmt.Sprintf("%d customers for %s", customerCount, o.crowd))
	a, used, err := t.day(ctx, s, crowdPlan{o.crowd, o.think, []string{s.addr()}})
	if err != nil {
		return err
	}
	who, err := cpuUsedSince(cpuBefore)
	if err != nil {
		return err
	}
	after, err := s.lookups(ctx)
	if err != nil {
		return err
	}
	calls, err := s.calls(ctx, began)
	if err != nil {
		return err
	}
	reads, writes := a.result("read"), a.result("write")
	sum := func(c freshness.Counts) int64 { return c.Hits + c.Stale + c.Misses + c.Coalesced }
	all := sum(after) - sum(before)
	hits, most := float64(after.Hits-before.Hits)/float64(max(all, 1)), busiest(calls, time.Minute)
	r.Rows = append(r.Rows, row{Scenario: "S3", Subject: fmt.Sprintf("%d customers, reads", customerCount), Open: reads},
		row{Scenario: "S3", Subject: "checks, changes, logins", Open: writes})
	share := float64(reads.Requests) / float64(reads.Requests+writes.Requests)
	r.Bars = append(r.Bars,
		bar{"S3 reads p99, ms", "< 100", ms(reads.P99), ms(reads.P99) < 100},
		bar{"S3 answers with 5xx or none", "0", float64(reads.Errors + writes.Errors), reads.Errors+writes.Errors == 0},
		bar{"S3 KOS calls in the busiest 60 s", "<= 100", float64(most), most <= 100},
		bar{"S3 warm hit rate", ">= 0.995", hits, hits >= 0.995},
		bar{"S3 share of reads", ">= 0.90", share, share >= 0.9},
		bar{"S4 memory of all services under S3, MiB", "<= 200", used.most, used.most <= 200})
	r.Notes = append(
		r.Notes,
		"S3: "+t.cost,
		fmt.Sprintf(
			"S3: %.0f reads/s for %s; %d lookups of copies; KOS was called %d times, %d of them to fill a new cache server",
			reads.PerSecond,
			o.crowd,
			all,
			len(calls),
			len(refill),
		),
		"S3: "+who,
		"S4: MiB of each: "+used.summary(),
	)
	for _, line := range a.summary() {
		r.Notes = append(r.Notes, "S3: "+line)
	}
	if a.firstErr != "" {
		r.Notes = append(r.Notes, "S3: the first that failed: "+a.firstErr)
	}
	return nil
}

// writeEvery is how often a plan is checked, a plan is changed, and a customer logs in. A check is one call of KOS, a
// change two, and one more when the line is read afterwards: about 50 of 100 calls a minute.
const writeEvery = 5 * time.Second

// crowdPlan says how long the customers stay, their mean time between two requests, and the gateways that they read
// through, by turns.
type crowdPlan struct {
	stay, think time.Duration
	gates       []string
}

// day runs the customers' requests and returns their outcomes and the peak memory of the services.
func (t *dataset) day(ctx context.Context, s *running, plan crowdPlan) (*outcomes, footprint, error) {
	reads := t.requests(plan.gates...)
	peak := watchMemory(ctx, s.pid)
	a := newOutcomes()
	busy, end := context.WithTimeout(ctx, plan.stay)
	defer end()
	var writers sync.WaitGroup
	next := 0 // a plan of one line is changed once
	writers.Go(func() {
		repeat(busy, writeEvery, func() {
			next++
			a.write(ctx, s, "write check", "/api/v1/products/change/validation", t.customers[2*next])
			a.write(ctx, s, "write change", "/api/v1/products/change", t.customers[2*next+1])
		})
	})
	writers.Go(func() {
		repeat(busy, writeEvery, func() {
			who := s.Customers[rand.N(len(s.Customers))] //nolint:gosec // any of them
			begun := time.Now()
			_, err := s.login(ctx, who.UserID, who.Password)
			a.add("write login", statusOf(err), time.Since(begun), err)
		})
	})
	read := crowd(ctx, len(t.customers), plan.stay, plan.think, func(user, _ int) namedRequest {
		return pick(reads[user])
	})
	writers.Wait()
	for kind, took := range a.took {
		read.took[kind], read.statuses[kind] = took, a.statuses[kind]
	}
	if read.firstErr == "" {
		read.firstErr = a.firstErr
	}
	used := peak()
	return read, used, used.err
}

func statusOf(err error) int {
	if err != nil {
		return 0
	}
	return http.StatusOK
}

// requests returns the reads of every customer, who take turns with the gateways.
func (t *dataset) requests(gates ...string) [][]namedRequest {
	all := make([][]namedRequest, len(t.customers))
	for i, p := range t.customers {
		all[i] = p.reads(gates[i%len(gates)])
	}
	return all
}

// pick chooses one of a customer's reads: of a hundred, so many of each.
func pick(reads []namedRequest) namedRequest {
	n := rand.N(100) //nolint:gosec // chance is all it needs
	for i, share := range []int{40, 10, 10, 15, 10, 10} {
		if n -= share; n < 0 {
			return reads[i]
		}
	}
	return reads[len(reads)-1]
}

// write sends a POST for another plan than the line has and records the answer.
func (a *outcomes) write(ctx context.Context, s *running, kind, path string, p customer) {
	begun := time.Now()
	status, err := call(ctx, s.BaseURL+path, p.token, map[string]string{
		"lineNumber": p.line, "currentProductCode": "LTE-PREMIUM-001", "targetProductCode": "5G-STANDARD-001",
	})
	a.add(kind, status, time.Since(begun), err)
}

// repeat calls do at once and then at each interval until ctx ends.
func repeat(ctx context.Context, interval time.Duration, do func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// calls returns the times at which KOS was called since then, from its simulator's log.
func (s *running) calls(ctx context.Context, since time.Time) ([]time.Time, error) {
	var log []struct {
		At time.Time `json:"at"`
	}
	if err := getJSON(ctx, s.KOS.Control+"/control/calls?since="+since.UTC().Format(time.RFC3339Nano), &log); err != nil {
		return nil, err
	}
	at := make([]time.Time, len(log))
	for i, c := range log {
		at[i] = c.At
	}
	slices.SortFunc(at, time.Time.Compare)
	return at, nil
}

// busiest returns the largest number of instants in any window.
func busiest(at []time.Time, window time.Duration) (most int) {
	first := 0
	for i := range at {
		for at[i].Sub(at[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// namedRequest is a request of a kind; figures are kept by kind.
type namedRequest struct {
	kind string
	request
}

// outcomes are the results of requests, by kind. add is safe for concurrent use.
type outcomes struct {
	mu       sync.Mutex
	took     map[string][]time.Duration
	statuses map[string]map[int]int // by kind; 0 = no answer
	elapsed  time.Duration
	firstErr string
}

func newOutcomes() *outcomes {
	return &outcomes{took: map[string][]time.Duration{}, statuses: map[string]map[int]int{}}
}

func (a *outcomes) add(kind string, status int, took time.Duration, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.statuses[kind] == nil {
		a.statuses[kind] = map[int]int{}
	}
	a.statuses[kind][status]++
	a.took[kind] = append(a.took[kind], took)
	if err != nil && a.firstErr == "" {
		a.firstErr = err.Error()
	}
}

// result summarizes the kinds that begin with prefix; an error is a request without an answer or with a 5xx.
func (a *outcomes) result(prefix string) result {
	var all []time.Duration
	r := result{FirstErr: a.firstErr}
	for kind, took := range a.took {
		if strings.HasPrefix(kind, prefix) {
			all = append(all, took...)
			r.Errors += a.count(kind, func(status int) bool { return status == 0 || status >= 500 })
		}
	}
	slices.Sort(all)
	if r.Requests = len(all); r.Requests > 0 {
		r.P50, r.P99, r.PerSecond = all[len(all)/2], all[len(all)*99/100], float64(len(all))/a.elapsed.Seconds()
	}
	return r
}

// count returns how many answers of the kinds that begin with prefix have a status that matches.
func (a *outcomes) count(prefix string, like func(status int) bool) (n int) {
	for kind, statuses := range a.statuses {
		for status, times := range statuses {
			if strings.HasPrefix(kind, prefix) && like(status) {
				n += times
			}
		}
	}
	return n
}

// summary returns one line per kind: how many requests, how fast, with which statuses.
func (a *outcomes) summary() []string {
	var lines []string
	for _, kind := range slices.Sorted(maps.Keys(a.took)) {
		r := a.result(kind)
		lines = append(
			lines,
			fmt.Sprintf("%-28s %6d  p50 %7.1f ms  p99 %7.1f ms  %v", kind, r.Requests, ms(r.P50), ms(r.P99), a.statuses[kind]),
		)
	}
	return lines
}

// crowd simulates so many users for d, each with a connection of its own. Each sends request after request; the think
// time between two is exponentially distributed with mean think. A request's time counts from when it was due, so that
// a stall is not hidden.
func crowd(ctx context.Context, users int, d, think time.Duration, next func(user, k int) namedRequest) *outcomes {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	a, begun := newOutcomes(), time.Now()
	var all sync.WaitGroup
	for user := range users {
		all.Go(func() { a.user(ctx, user, think, next) })
	}
	all.Wait()
	a.elapsed = time.Since(begun)
	return a
}

func (a *outcomes) user(ctx context.Context, user int, think time.Duration, next func(user, k int) namedRequest) {
	var c *connection
	defer func() {
		if c != nil {
			_ = c.Close()
		}
	}()
	due := time.Now().Add(rand.N(think)) //nolint:gosec // not all at once
	for k := 0; ; k++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(due)):
		}
		want := next(user, k)
		status, err := 0, error(nil)
		if c == nil {
			c, err = dial(context.WithoutCancel(ctx), want.request)
		}
		if err == nil {
			status, err = c.exchange(want.request)
		}
		a.add(want.kind, status, time.Since(due), err)
		if err != nil && c != nil {
			_ = c.Close()
			c = nil
		}
		due = due.Add(time.Duration(float64(think) * rand.ExpFloat64())) //nolint:gosec // think times are no secret
	}
}

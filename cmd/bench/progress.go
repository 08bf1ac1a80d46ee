package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progressInterval is how often a running scenario prints a line about itself.
const progressInterval = 5 * time.Second

// progress prints what is being measured, at each step and every few seconds in between. It is safe for concurrent use.
type progress struct {
	out  io.Writer
	stop chan struct{}
	done chan struct{}

	mu       sync.Mutex
	scenario string // empty = nothing runs
	current  string // step
	began    time.Time
}

// newProgress starts to print. close ends it.
func newProgress(out io.Writer, interval time.Duration) *progress {
	p := &progress{out: out, stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-tick.C:
				p.mu.Lock()
				p.print()
				p.mu.Unlock()
			}
		}
	}()
	return p
}

func (p *progress) close() {
	close(p.stop)
	<-p.done
}

// begin announces a scenario.
func (p *progress) begin(scenario string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scenario, p.current, p.began = scenario, "starting", time.Now()
	p.print()
}

// step announces what the scenario does next.
func (p *progress) step(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = what
	p.print()
}

// end stops the lines about the scenario.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scenario = ""
}

// print writes a line. The caller holds mu.
func (p *progress) print() {
	if p.scenario != "" {
		_, _ = fmt.Fprintf(p.out, "%s, %3.0f s: %s\n", p.scenario, time.Since(p.began).Seconds(), p.current)
	}
}

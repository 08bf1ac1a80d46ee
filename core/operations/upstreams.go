package operations

import (
	"slices"
	"time"

	"phonebill/core/upstream"
)

// Upstream is one service as one gateway sees it.
type Upstream struct {
	Service   string
	Breaker   Breaker // named as the service
	Limit     int     // requests that may be under way, which adapts; long polls take no place
	InFlight  int     // requests that have a place
	Waiting   int     // requests that wait for their turn
	Instances []UpstreamInstance
}

// UpstreamInstance is one instance of a service as one gateway sees it.
type UpstreamInstance struct {
	Name     string // host and port of its public listener
	State    upstream.State
	InFlight int       // requests under way, long polls included
	Failures int       // requests in a row that it did not answer
	Since    time.Time // of the state
}

// StateCounts are how many instances one gateway sees in each state.
type StateCounts struct{ Up, Ejected, NotReady, Down int }

// UpstreamSum is one service as all gateways together see it.
type UpstreamSum struct {
	Service      string
	Gateways     int // that see it
	BreakersOpen int // of those
	InFlight     int
	Waiting      int
	Best, Worst  StateCounts // of the gateway that sees the most instances up, and of the one that sees the fewest
}

// SumUpstreams adds up what the gateways see of each service, in the order in which the services turn up.
func SumUpstreams(all []Answer) []UpstreamSum {
	var sums []UpstreamSum
	for _, a := range Reached(all) {
		for _, u := range a.Status.Upstreams {
			counts := u.counts()
			at := slices.IndexFunc(sums, func(s UpstreamSum) bool { return s.Service == u.Service })
			if at < 0 {
				at, sums = len(sums), append(sums, UpstreamSum{Service: u.Service, Best: counts, Worst: counts})
			}
			s := &sums[at]
			s.Gateways++
			s.InFlight += u.InFlight
			s.Waiting += u.Waiting
			if u.Breaker.State != Closed {
				s.BreakersOpen++
			}
			if counts.betterThan(s.Best) {
				s.Best = counts
			}
			if s.Worst.betterThan(counts) {
				s.Worst = counts
			}
		}
	}
	return sums
}

func (u Upstream) counts() (c StateCounts) {
	for _, i := range u.Instances {
		switch i.State {
		case upstream.Up:
			c.Up++
		case upstream.EjectedUp:
			c.Ejected++
		case upstream.Refusing:
			c.NotReady++
		case upstream.Away:
			c.Down++
		}
	}
	return c
}

// betterThan compares by how many are up, then by how few are down, then by how few are left out for another reason.
func (c StateCounts) betterThan(o StateCounts) bool {
	switch {
	case c.Up != o.Up:
		return c.Up > o.Up
	case c.Down != o.Down:
		return c.Down < o.Down
	default:
		return c.Ejected+c.NotReady < o.Ejected+o.NotReady
	}
}

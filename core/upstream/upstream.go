// Package upstream has the rules by which the gateway spreads requests over the instances of a service: which instances
// are used, when one is left out, when a request is repeated, when nothing is asked any more, and what is refused under
// too much load (docs/upstreams.md). Everything is a function over values: time and random numbers are arguments. Begin
// with Instance (upstream.go).
package upstream

import (
	"slices"
	"time"
)

// Policy is when an instance is left out and when it comes back (S-UPSTREAM-PROBE, S-UPSTREAM-EJECTION).
type Policy struct {
	ProbesDown  int           // failed probes in a row that make an instance Down
	Ejecting    int           // failed requests in a row that eject an instance
	Ejection    time.Duration // the first ejection; the nth takes n times as long
	MostTimes   int           // no ejection is longer than this times Ejection
	Forgiven    time.Duration // earlier ejections are forgotten after so much time without another
	SlowStart   time.Duration // how long the share of an instance grows that is new or comes back
	LeastWeight float64       // its share at the beginning; 1 is a full share
}

// Default returns the policy of phonebill.
func Default() Policy {
	return Policy{
		ProbesDown: 2, Ejecting: 5, Ejection: 30 * time.Second, MostTimes: 10, Forgiven: 5 * time.Minute,
		SlowStart: 10 * time.Second, LeastWeight: 0.1,
	}
}

// Probe is the outcome of one health check.
type Probe uint8

// The outcomes of a health check.
const (
	ProbeGood    Probe = iota // the instance takes requests
	ProbeRefused              // the instance is there and wants no requests: it drains, or is not ready yet
	ProbeFailed               // no answer in time, or none at all
)

// Health is what the health checks say about an instance.
type Health uint8

// What the health checks say. A new instance is Ready until they say something else.
const (
	Ready    Health = iota
	NotReady        // it is there and wants no new requests
	Down            // it does not answer
)

// String returns the name of the health in logs.
func (h Health) String() string { return [...]string{"ready", "not_ready", "down"}[h] }

// Instance is what is known about one instance of a service. It is a value: the methods return a changed copy.
type Instance struct {
	Health       Health
	probesFailed int       // in a row
	failed       int       // requests in a row
	ejections    int       // not forgotten yet
	ejectedUntil time.Time // zero: never ejected
	since        time.Time // when it came or came back; zero: it has its full share
}

// Started returns an instance that was there when the gateway started: it has its full share at once.
func Started() Instance { return Instance{} }

// Added returns an instance that appeared at now, and whose share grows.
func Added(now time.Time) Instance { return Instance{since: now} }

// Probed returns the instance after a health check. A refusal counts at once, since the instance itself says so; a
// failure counts when it is one of several in a row. An instance that was down and is ready again is not ejected any
// more: it is most likely another process, and ejections are for those that fail in spite of good probes.
func (i Instance) Probed(p Policy, outcome Probe, now time.Time) Instance {
	switch outcome {
	case ProbeGood:
		if i.Health != Ready {
			i.since, i.failed = now, 0
		}
		if i.Health == Down && i.Ejected(now) {
			i.ejectedUntil = now
		}
		i.Health, i.probesFailed = Ready, 0
	case ProbeRefused:
		i.Health, i.probesFailed = NotReady, 0
	case ProbeFailed:
		i.probesFailed++
		if i.probesFailed >= p.ProbesDown {
			i.Health = Down
		}
	}
	return i
}

// Failed returns the instance after a request that it did not answer. It is ejected when that was one too many in a
// row, and when there are others: the number of other instances that take requests. The last one is never ejected.
func (i Instance) Failed(p Policy, others int, now time.Time) (after Instance, ejected bool) {
	i.failed++
	if i.failed < p.Ejecting || others < 1 || i.Ejected(now) {
		return i, false
	}
	if !i.ejectedUntil.IsZero() && now.Sub(i.ejectedUntil) >= p.Forgiven {
		i.ejections = 0
	}
	i.ejections = min(i.ejections+1, p.MostTimes)
	i.ejectedUntil = now.Add(time.Duration(i.ejections) * p.Ejection)
	i.failed = 0
	return i, true
}

// Answered returns the instance after a request that it answered.
func (i Instance) Answered() Instance {
	i.failed = 0
	return i
}

// Failing reports whether the last request failed, so that Answered would change something.
func (i Instance) Failing() bool { return i.failed > 0 }

// Failures returns how many requests in a row it did not answer; an ejection begins the count anew.
func (i Instance) Failures() int { return i.failed }

// Ejected reports whether the instance is ejected at now.
func (i Instance) Ejected(now time.Time) bool { return now.Before(i.ejectedUntil) }

// Weight returns the share of the instance at now, compared with one that has been there for long: from
// Policy.LeastWeight to 1.
func (i Instance) Weight(p Policy, now time.Time) float64 {
	since := i.since
	if i.ejectedUntil.After(since) {
		since = i.ejectedUntil
	}
	age := now.Sub(since)
	if since.IsZero() || age >= p.SlowStart {
		return 1
	}
	return max(p.LeastWeight, float64(age)/float64(p.SlowStart))
}

// State names what is shown of an instance.
type State string

// The states of an instance, the best first.
const (
	Up        State = "up"
	EjectedUp State = "ejected"
	Refusing  State = "not_ready"
	Away      State = "down"
)

// States lists all states, the best first.
func States() []State { return []State{Up, EjectedUp, Refusing, Away} }

// State returns the state of the instance at now.
func (i Instance) State(now time.Time) State {
	switch {
	case i.Health == Down:
		return Away
	case i.Health == NotReady:
		return Refusing
	case i.Ejected(now):
		return EjectedUp
	default:
		return Up
	}
}

// Eligible returns the indices of the instances to be used at now, and their state: those of the best state that there
// is. So an instance that is ejected or not ready is used when there is no better one: all instances that miss the same
// database are still worth a try, since much is answered without it.
func Eligible(all []Instance, now time.Time) (use []int, state State) {
	best := len(States())
	for n, i := range all {
		switch rank := slices.Index(States(), i.State(now)); {
		case rank < best:
			best, use, state = rank, []int{n}, i.State(now)
		case rank == best:
			use = append(use, n)
		}
	}
	return use, state
}

// Candidate is one of two instances to choose from.
type Candidate struct {
	InFlight int64   // its requests under way
	Weight   float64 // its share (Instance.Weight)
}

// Prefer reports whether a is chosen rather than b: the one with fewer requests under way. One with a smaller share
// takes part in only as many choices as the share says. coin is a random number from 0 to 1, 1 excluded.
func Prefer(a, b Candidate, coin float64) bool {
	switch {
	case a.Weight < b.Weight && coin >= a.Weight/b.Weight:
		return false
	case b.Weight < a.Weight && coin >= b.Weight/a.Weight:
		return true
	default:
		return a.InFlight <= b.InFlight
	}
}

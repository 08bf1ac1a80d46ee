package links

import (
	"time"

	"phonebill/core/freshness/warm"
	"phonebill/core/line"
)

// PrefetchInterval is the time between two looks at what is due.
const PrefetchInterval = 5 * time.Second

// PrefetchShare is which part of its soft lifetime before its end a copy is fetched.
const PrefetchShare = 12

// KeepWarm adds the worker of s, and returns what is to be called with the lines whose customers are here.
func (l *Links) KeepWarm(s *warm.Service) (seen func(line.Number)) {
	l.b.Worker(string(s.Kind)+"-prefetch", PrefetchInterval, s.Step)
	return s.Seen
}

package links

import (
	"time"

	"phonebill/core/freshness/prefetch"
	"phonebill/core/line"
)

// PrefetchInterval is the time between two looks at what is due.
const PrefetchInterval = 5 * time.Second

// PrefetchShare is which part of its soft lifetime before its end a copy is fetched.
const PrefetchShare = 12

// Prefetch adds the worker of s, and returns the function that notes active lines.
func (l *Links) Prefetch(s *prefetch.Service) (noteActive func(line.Number)) {
	l.b.Worker(string(s.Kind)+"-prefetch", PrefetchInterval, s.Step)
	return s.NoteActive
}

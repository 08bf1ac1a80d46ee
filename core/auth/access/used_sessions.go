package access

import (
	"context"
	"sync"
	"time"

	"phonebill/core/id"
	"phonebill/ports"
)

// UsedSessions collects which sessions were used here, for those services that do not have the sessions at hand: any
// authenticated request keeps its session from going idle (ADR 14). Each session is reported at most once a minute. It
// is safe for concurrent use.
type UsedSessions struct {
	to         ports.SessionUse
	now        ports.Clock
	mu         sync.Mutex
	reportedAt map[id.ID]time.Time
	pending    map[id.ID]bool
}

// NewUsedSessions returns an empty collection; call Flush every few seconds.
func NewUsedSessions(to ports.SessionUse, now ports.Clock) *UsedSessions {
	return &UsedSessions{to: to, now: now, reportedAt: map[id.ID]time.Time{}, pending: map[id.ID]bool{}}
}

// Note remembers that a session was used.
func (s *UsedSessions) Note(sid id.ID) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.reportedAt[sid]) >= touchInterval {
		s.reportedAt[sid], s.pending[sid] = now, true
	}
}

// Flush reports what was collected and drops old entries. What could not be reported is reported by the next Flush.
func (s *UsedSessions) Flush(ctx context.Context) error {
	s.mu.Lock()
	sids := make([]id.ID, 0, len(s.pending))
	for sid := range s.pending {
		sids = append(sids, sid)
	}
	s.pending = map[id.ID]bool{}
	for sid, at := range s.reportedAt {
		if s.now().Sub(at) >= touchInterval {
			delete(s.reportedAt, sid)
		}
	}
	s.mu.Unlock()
	if len(sids) == 0 {
		return nil
	}
	err := s.to.Used(ctx, sids)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, sid := range sids {
			s.pending[sid] = true
		}
	}
	return err
}

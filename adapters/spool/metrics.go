package spool

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/ports"
)

// State is what waits, including folders of ended processes once Replay has found them.
type State struct {
	Rows    int       // those of Folders are not known yet
	Bytes   int64     // on disk, those of Folders included
	Oldest  time.Time // when the oldest of Rows was completed; zero = none
	Folders int       // of processes that have ended, not taken over yet
}

// State returns what waits now.
func (s *Inquiries) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := State{Rows: len(s.waiting), Bytes: s.log.Size() + s.abandoned.bytes, Folders: s.abandoned.folders}
	for _, l := range s.takenOver {
		state.Bytes += l.Size()
	}
	if state.Rows > 0 {
		state.Oldest = s.waiting[0].inquiry.ProcessedAt
	}
	return state
}

// Metrics returns collectors of the state: how many rows wait, the bytes they take, how old the oldest is, and how many
// folders wait to be taken over.
func (s *Inquiries) Metrics(now ports.Clock) []prometheus.Collector {
	gauge := func(name, help string, of func(State) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "phonebill_history_spool_" + name, Help: help},
			func() float64 { return of(s.State()) })
	}
	return []prometheus.Collector{
		gauge("rows", "Rows of bill history that wait for the bill database with this instance, "+
			"those taken over from other processes included.",
			func(s State) float64 { return float64(s.Rows) }),
		gauge("bytes", "Bytes that the spool of bill history takes on disk, folders of ended processes included.",
			func(s State) float64 { return float64(s.Bytes) }),
		gauge("oldest_seconds", "Age of the oldest row of bill history that waits; 0 = none.", func(s State) float64 {
			if s.Oldest.IsZero() {
				return 0
			}
			return now().Sub(s.Oldest).Seconds()
		}),
		gauge("left_folders", "Folders of the spool with rows of ended processes, not taken over yet.",
			func(s State) float64 { return float64(s.Folders) }),
	}
}

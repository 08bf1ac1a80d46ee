package kossim

import "time"

// record is one line of the journal; exactly one field is set.
type record struct {
	Call      *Call         `json:"call,omitempty"`
	Answer    *answerRecord `json:"answer,omitempty"`
	Change    *change       `json:"change,omitempty"`
	Customers *Generate     `json:"customers,omitempty"`
	Offset    *int64        `json:"offset,omitempty"` // the KOS clock against the wall clock, ns
}

// answerRecord completes the n-th call of the log.
type answerRecord struct {
	Call   int    `json:"n"`
	Result string `json:"result"`
	Ms     int64  `json:"ms"`
}

// apply restores one record of the journal.
func (s *Simulator) apply(r record) error {
	switch {
	case r.Call != nil:
		s.calls = append(s.calls, *r.Call)
		if r.Call.counted() {
			s.quota.take(r.Call.At)
		}
	case r.Answer != nil:
		if r.Answer.Call < 0 || r.Answer.Call >= len(s.calls) {
			return errMalformed
		}
		s.calls[r.Answer.Call].Result, s.calls[r.Answer.Call].Ms = r.Answer.Result, r.Answer.Ms
	case r.Change != nil:
		if r.Change.State == stateApplied && s.lines[r.Change.LineNumber] == nil {
			return errMalformed
		}
		s.restore(r.Change)
	case r.Customers != nil:
		s.generate(*r.Customers)
	case r.Offset != nil:
		s.offset = time.Duration(*r.Offset)
	}
	return nil
}

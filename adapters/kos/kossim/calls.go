package kossim

import "time"

// Call is one received call. It is in the log as soon as it is read, before it is answered.
type Call struct {
	At            time.Time `json:"at"` // wall clock, UTC
	Operation     Operation `json:"operation"`
	LineNumber    string    `json:"lineNumber,omitempty"`
	RequestID     string    `json:"requestId,omitempty"`
	TransactionID string    `json:"transactionId,omitempty"`
	Result        string    `json:"result"` // result code, or the fault mode that withheld the answer; empty = in progress
	Ms            int64     `json:"ms"`     // until the answer, or until the client disconnected
}

// counted reports whether a call that was just received takes quota: a refused one has its result already.
func (c Call) counted() bool { return c.Result == "" }

// Calls lists the received calls, oldest first.
func (s *Simulator) Calls() []Call { return s.CallsSince(time.Time{}) }

// CallsSince lists the calls received at or after an instant, oldest first.
func (s *Simulator) CallsSince(since time.Time) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Call{}
	for _, c := range s.calls {
		if !c.At.Before(since) {
			out = append(out, c)
		}
	}
	return out
}

// call is a call in progress.
type call struct {
	epoch, index int // of its entry in the call log
	endpoint     endpoint
	scenario     Scenario
	started      time.Time
	refusal      *reply // for the credential or the quota, whatever was asked
	effect       effect
	shapes       []Shape
}

// receive logs a call, takes quota for it and draws its faults.
func (s *Simulator) receive(e endpoint, q question, authorised bool) (call, error) {
	op := e.name
	s.mu.Lock()
	at := s.opts.Clock()
	t := call{epoch: s.epoch, index: len(s.calls), endpoint: e, scenario: s.scenarioOf(q.lineNumber), started: at}
	entry := Call{
		At: at.UTC(), Operation: op, LineNumber: q.lineNumber, RequestID: q.requestID, TransactionID: q.transactionID,
	}
	if !authorised {
		t.refusal = &reply{code: Malformed, status: 401, message: "인증 정보가 올바르지 않습니다"}
	} else if wait, ok := s.quota.take(at); !ok {
		t.refusal = &reply{code: OverQuota, wait: wait}
	} else {
		t.effect, t.shapes = s.drawFaults(op, q.lineNumber), s.shapesOf(op, q.lineNumber)
	}
	if t.refusal != nil {
		entry.Result = t.refusal.code
	}
	s.calls = append(s.calls, entry)
	s.journal.Append(record{Call: &entry})
	s.mu.Unlock()
	return t, s.journal.Sync()
}

// finish completes the call's entry. It may be called again when the client of a hanging call disconnects.
func (s *Simulator) finish(t call, result string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	took := s.opts.Clock().Sub(t.started)
	if t.epoch != s.epoch || s.isClosed() {
		return
	}
	s.calls[t.index].Result, s.calls[t.index].Ms = result, took.Milliseconds()
	s.journal.Append(record{Answer: &answerRecord{t.index, result, took.Milliseconds()}})
}

// scenarioOf returns the line's scenario. The caller holds mu.
func (s *Simulator) scenarioOf(lineNumber string) Scenario {
	if l := s.lines[lineNumber]; l != nil {
		return l.scenario
	}
	if lineNumber == "" {
		return Normal
	}
	return Unknown
}

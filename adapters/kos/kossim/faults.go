package kossim

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Operation names one call of KOS in the call log and in faults.
type Operation string

// The operations of R-KOS-CALLS; AnyOperation is for faults.
const (
	BillInquiry         Operation = "bill.inquiry"
	BillMonths          Operation = "bill.months"
	CustomerGet         Operation = "customer.get"
	LineStatus          Operation = "line.status"
	ProductsList        Operation = "products.list"
	ProductChange       Operation = "product.change"
	ProductChangeStatus Operation = "product.change.status"
	AnyOperation        Operation = "*"
)

func operations() []Operation {
	return []Operation{BillInquiry, BillMonths, CustomerGet, LineStatus, ProductsList, ProductChange, ProductChangeStatus, AnyOperation}
}

// Mode is the way a fault shows.
type Mode string

// The modes of R-KOS-FAULTS. In every mode the latency, if one is given, comes first.
const (
	Latency       Mode = "latency"         // only the latency
	Error         Mode = "error"           // HTTP 500 E999; nothing is done
	Refuse        Mode = "refuse"          // the connection is closed without an answer; nothing is done
	Hang          Mode = "hang"            // no answer until the client leaves; nothing is done
	MalformedBody Mode = "malformed"       // done, but HTTP 200 with half a JSON document
	ApplyThenHang Mode = "apply_then_hang" // product.change alone: done, then no answer
	ApplyLate     Mode = "apply_late"      // product.change alone: the id is reserved, done after LateMs, no answer
	AnswerTwice   Mode = "answer_twice"    // done once, the answer's body comes twice
)

// Fault makes some calls go wrong. All matching faults add their latency; the first other mode wins.
type Fault struct {
	Operation    Operation `json:"operation"`
	LineNumber   string    `json:"lineNumber,omitempty"` // digits; empty = every line
	Mode         Mode      `json:"mode"`
	LatencyMs    int       `json:"latencyMs,omitempty"`    // exactly this long …
	LatencyP50Ms int       `json:"latencyP50Ms,omitempty"` // … or log-normal with this median
	LatencyP99Ms int       `json:"latencyP99Ms,omitempty"` // and this 99th percentile
	Rate         float64   `json:"rate,omitempty"`         // share of the matching calls, above 0 to 1; 0 means 1
	Times        int       `json:"times,omitempty"`        // how often it strikes; 0 = no limit
	LateMs       int       `json:"lateMs,omitempty"`       // for ApplyLate
}

func (f Fault) check() error {
	modes := []Mode{Latency, Error, Refuse, Hang, MalformedBody, ApplyThenHang, ApplyLate, AnswerTwice}
	distribution := f.LatencyP50Ms != 0 || f.LatencyP99Ms != 0
	bad := func(field string) error { return fmt.Errorf("%w: %s", ErrInvalid, field) }
	switch {
	case !slices.Contains(operations(), f.Operation):
		return bad("operation")
	case !slices.Contains(modes, f.Mode):
		return bad("mode")
	case f.changesOnly() && f.Operation != ProductChange && f.Operation != AnyOperation:
		return bad("operation: this mode is for product.change alone")
	case f.LineNumber != "" && !digits.MatchString(f.LineNumber):
		return bad("lineNumber")
	case f.LatencyMs < 0 || f.LatencyMs > 0 && distribution:
		return bad("latencyMs")
	case distribution && (f.LatencyP50Ms <= 0 || f.LatencyP99Ms < f.LatencyP50Ms):
		return bad("latencyP50Ms")
	case f.Mode == Latency && f.LatencyMs == 0 && !distribution:
		return bad("latencyMs")
	case f.Rate < 0 || f.Rate > 1:
		return bad("rate")
	case f.Times < 0:
		return bad("times")
	case f.LateMs < 0:
		return bad("lateMs")
	}
	return nil
}

func (f Fault) changesOnly() bool { return f.Mode == ApplyThenHang || f.Mode == ApplyLate }

func (f Fault) matches(op Operation, lineNumber string) bool {
	if f.changesOnly() && op != ProductChange {
		return false
	}
	return (f.Operation == AnyOperation || f.Operation == op) && (f.LineNumber == "" || f.LineNumber == lineNumber)
}

// armed is a fault and how often it may still strike.
type armed struct {
	Fault
	left int // -1 = no limit
}

// trouble is what one call suffers; the zero value is none.
type trouble struct {
	mode    Mode
	latency time.Duration
	late    time.Duration
}

// strike picks the faults for a call and uses them up. The caller holds mu.
func (s *Simulator) strike(op Operation, lineNumber string) (out trouble) {
	for _, f := range s.faults {
		if f.left == 0 || !f.matches(op, lineNumber) || out.mode != "" && f.Mode != Latency {
			continue
		}
		if f.Rate > 0 && s.random.Float64() >= f.Rate {
			continue
		}
		if f.left > 0 {
			f.left--
		}
		out.latency += s.latency(f.Fault)
		if f.Mode != Latency {
			out.mode, out.late = f.Mode, ms(f.LateMs)
		}
	}
	return out
}

// latency draws from the fault's distribution. The caller holds mu.
func (s *Simulator) latency(f Fault) time.Duration {
	if f.LatencyP50Ms == 0 {
		return ms(f.LatencyMs)
	}
	const z99 = 2.3263 // the standard normal's 99th percentile
	sigma := math.Log(float64(f.LatencyP99Ms)/float64(f.LatencyP50Ms)) / z99
	return time.Duration(float64(ms(f.LatencyP50Ms)) * math.Exp(sigma*s.random.NormFloat64()))
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// AddFault adds to the faults; the error wraps ErrInvalid and names the field.
func (s *Simulator) AddFault(f Fault) error {
	f.LineNumber = strings.ReplaceAll(f.LineNumber, "-", "")
	if err := f.check(); err != nil {
		return err
	}
	left := f.Times
	if left == 0 {
		left = -1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &armed{Fault: f, left: left})
	return nil
}

// ClearFaults removes all faults. Calls that hang already go on hanging until their client leaves.
func (s *Simulator) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Faults lists the faults that can still strike, as they were added.
func (s *Simulator) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Fault{}
	for _, f := range s.faults {
		if f.left != 0 {
			out = append(out, f.Fault)
		}
	}
	return out
}

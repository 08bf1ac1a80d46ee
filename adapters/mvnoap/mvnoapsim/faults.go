package mvnoapsim

import "fmt"

// Mode is the way a fault shows.
type Mode string

// The modes of R-AP-SIM. Nothing is stored of a notification that fails.
const (
	Fail   Mode = "fail"   // responds with Status
	Hang   Mode = "hang"   // no response until the client hangs up
	Refuse Mode = "refuse" // the connection is closed without a response
)

// Fault makes some notifications fail; the first that strikes wins.
type Fault struct {
	Mode   Mode    `json:"mode"`
	Rate   float64 `json:"rate,omitempty"`   // above 0 to 1; 0 means 1
	Status int     `json:"status,omitempty"` // for Fail, 400 to 599; 0 means 503
}

func (f Fault) check() error {
	bad := func(field string) error { return fmt.Errorf("%w: %s", ErrInvalid, field) }
	switch {
	case f.Mode != Fail && f.Mode != Hang && f.Mode != Refuse:
		return bad("mode")
	case f.Rate < 0 || f.Rate > 1:
		return bad("rate")
	case f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return bad("status")
	}
	return nil
}

// AddFault adds to the faults; the error wraps ErrInvalid and names the field.
func (s *Simulator) AddFault(f Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.Status == 0 {
		f.Status = 503
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
	return nil
}

// ClearFaults removes all faults.
func (s *Simulator) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// strike picks the fault for one notification; false = none.
func (s *Simulator) strike() (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.Rate == 0 || s.random.Float64() < f.Rate {
			return f, true
		}
	}
	return Fault{}, false
}

// Package mvnoapsim is a simulator of the MVNO's application server: it receives the results that phonebill pushes
// (openapi/mvnoap.yaml), verifies their signatures, drops repeats by webhook-id, and lists them in its control API
// (openapi/mvnoap-control.yaml). With a StateDir an event is on disk before the response 204.
package mvnoapsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"phonebill/adapters/internal/journal"
)

// ErrInvalid is wrapped by everything that refuses an argument; the text names the field.
var ErrInvalid = errors.New("mvnoapsim: invalid")

// The types of event, one per notification path.
const (
	BillResult          = "bill-result"
	ProductChangeResult = "product-change-result"
)

// tolerance is how far a signature's time may be off (Standard Webhooks).
const tolerance = 5 * time.Minute

// Options configure a Simulator; only Secrets is needed.
type Options struct {
	Secrets  []string         // Standard Webhooks secrets (whsec_ and base64); two during a rotation
	StateDir string           // empty = in memory
	Clock    func() time.Time // nil = time.Now
	Seed     uint64           // of the faults' dice
}

// Event is one event, however often it came.
type Event struct {
	ID         string          `json:"id"` // webhook-id
	Type       string          `json:"type"`
	LineNumber string          `json:"lineNumber"` // as sent, hyphenated
	Sequence   int64           `json:"sequence"`   // per line and type
	ReceivedAt time.Time       `json:"receivedAt"` // first arrival, UTC
	Duplicates int             `json:"duplicates"`
	Payload    json.RawMessage `json:"payload"`
}

// Simulator is the MVNO AP server. All methods are safe for concurrent use.
type Simulator struct {
	clock    func() time.Time
	webhooks []*standardwebhooks.Webhook
	closed   chan struct{}
	once     sync.Once

	mu      sync.Mutex
	journal *journal.File[record]
	events  []Event
	byID    map[string]int
	faults  []Fault
	random  *rand.Rand
}

// New opens a simulator, with the events that StateDir holds. Close it after its servers.
func New(opts Options) (*Simulator, error) {
	if len(opts.Secrets) == 0 {
		return nil, fmt.Errorf("%w: a secret is needed", ErrInvalid)
	}
	s := &Simulator{
		clock: opts.Clock, closed: make(chan struct{}), byID: map[string]int{},
		random: rand.New(rand.NewPCG(opts.Seed, 0)), //nolint:gosec // dice of a simulator, repeatable on purpose
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	for _, secret := range opts.Secrets {
		w, err := standardwebhooks.NewWebhook(secret)
		if err != nil || secret == "" {
			return nil, fmt.Errorf("%w: a secret is not base64", ErrInvalid)
		}
		s.webhooks = append(s.webhooks, w)
	}
	var err error
	if s.journal, err = journal.Open(opts.StateDir, "mvnoap.journal", s.apply); err != nil {
		return nil, fmt.Errorf("mvnoapsim: %w", err)
	}
	return s, nil
}

// Close lets hanging notifications go and closes the journal.
func (s *Simulator) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closed)
		s.mu.Lock()
		defer s.mu.Unlock()
		err = s.journal.Close()
	})
	return err
}

// Received lists the events in order of first arrival.
func (s *Simulator) Received() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event{}, s.events...)
}

// Disorder names every event that arrived first after a later one of its line and type; empty = all in order.
func (s *Simulator) Disorder() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	type stream struct{ line, kind string }
	last, out := map[stream]int64{}, []string{}
	for _, e := range s.events {
		k := stream{e.LineNumber, e.Type}
		if e.Sequence <= last[k] {
			out = append(out, e.ID)
		}
		last[k] = max(last[k], e.Sequence)
	}
	return out
}

// Reset forgets events and faults, also on disk.
func (s *Simulator) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events, s.byID, s.faults = nil, map[string]int{}, nil
	return s.journal.Clear()
}

// apply puts one record into the state. The caller holds mu, or is alone.
func (s *Simulator) apply(r record) error {
	if r.Event == nil {
		if i, ok := s.byID[r.Duplicate]; ok {
			s.events[i].Duplicates++
		}
		return nil
	}
	s.byID[r.Event.ID] = len(s.events)
	s.events = append(s.events, *r.Event)
	return nil
}

// store keeps an event, or counts its repeat, and returns when that is durable. Many at once share the wait for the
// disk.
func (s *Simulator) store(e Event) error {
	s.mu.Lock()
	r := record{Event: &e}
	if _, known := s.byID[e.ID]; known {
		r = record{Duplicate: e.ID}
	}
	s.journal.Append(r)
	err := s.apply(r)
	s.mu.Unlock()
	if err := errors.Join(err, s.journal.Sync()); err != nil {
		return fmt.Errorf("mvnoapsim: %w", err)
	}
	return nil
}

// verify checks the signature against every live secret.
func (s *Simulator) verify(body []byte, h http.Header) error {
	var err error
	for _, w := range s.webhooks {
		// its clock is the machine's; the simulator's may be another
		if err = w.VerifyIgnoringTimestamp(body, h); err == nil {
			return s.verifyTime(h)
		}
	}
	return err
}

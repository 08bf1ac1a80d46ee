package kossim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"phonebill/adapters/internal/journal"
	"phonebill/core/calendar"
)

// ErrInvalid is wrapped by every error about an argument; the text names the field.
var ErrInvalid = errors.New("kossim: invalid")

// DefaultQuota is the agreed number of calls in any 60 s .
const DefaultQuota = 100

// NoQuota as Options.QuotaPerMinute means no limit.
const NoQuota = -1

// Delays say how long KOS takes to answer.
type Delays struct {
	Bill, Change, Other time.Duration
	SlowLine            time.Duration // every call of the slow line takes at least this long
}

// DefaultDelays returns 0.5 s for bills, 2 s for changes, 0.1 s for other calls and 5 s for the slow line.
func DefaultDelays() Delays {
	return Delays{
		Bill: 500 * time.Millisecond, Change: 2 * time.Second, Other: 100 * time.Millisecond, SlowLine: 5 * time.Second,
	}
}

// Options configure a Simulator; only Tokens is needed.
type Options struct {
	Tokens         []string         // credentials accepted as Bearer
	StateDir       string           // empty = in memory
	Clock          func() time.Time // wall clock; nil = time.Now. Control moves only KOS's own calendar, never this
	QuotaPerMinute int              // 0 = DefaultQuota, NoQuota = no limit
	Delays         *Delays          // nil = DefaultDelays
	NoStatusQuery  bool             // GET /kos/product/change/{transactionId} is 404, as on a KOS without it
	Seed           uint64           // of the random numbers that faults draw
}

// Simulator is KOS. All methods are safe for concurrent use.
type Simulator struct {
	opts    Options
	delays  Delays
	journal *journal.File[record]
	metrics *metrics
	closed  chan struct{}
	once    sync.Once

	mu          sync.Mutex
	epoch       int // counts resets: calls that began before the last one are not recorded
	lines       map[string]*subscriber
	changes     map[string]*change // by transaction id
	ledger      []LedgerRow
	calls       []Call
	faults      []*activeFault
	answers     []Answer // shapes
	quota       quota
	tokens      []string
	statusQuery bool
	offset      time.Duration // of the KOS clock
	random      *rand.Rand
}

// New opens a simulator with the state in StateDir. Close it after its servers.
func New(opts Options) (*Simulator, error) {
	if err := checkTokens(opts.Tokens); err != nil {
		return nil, err
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Delays == nil {
		d := DefaultDelays()
		opts.Delays = &d
	}
	s := &Simulator{opts: opts, delays: *opts.Delays, metrics: newMetrics(), closed: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	var err error
	if s.journal, err = journal.Open(opts.StateDir, "kos.journal", s.apply); err != nil {
		return nil, fmt.Errorf("kossim: %w", err)
	}
	for _, c := range s.changes {
		if c.State == stateReceived {
			s.schedule(c)
		}
	}
	return s, nil
}

// clear sets the initial state. The caller holds mu.
func (s *Simulator) clear() {
	for _, c := range s.changes {
		if c.stop != nil {
			c.stop()
		}
	}
	s.epoch++
	s.lines = map[string]*subscriber{}
	for _, d := range DemoLines() {
		if d.Scenario != Unknown {
			s.lines[d.LineNumber] = &subscriber{number: d.LineNumber, scenario: d.Scenario}
		}
	}
	s.changes, s.ledger, s.calls, s.faults = map[string]*change{}, []LedgerRow{}, []Call{}, nil
	s.answers = nil
	s.quota = quota{limit: quotaOf(s.opts.QuotaPerMinute)}
	s.statusQuery, s.offset, s.tokens = !s.opts.NoStatusQuery, 0, s.opts.Tokens
	s.random = rand.New(rand.NewPCG(s.opts.Seed, 0)) //nolint:gosec // repeatable on purpose
}

func quotaOf(option int) int {
	switch option {
	case 0:
		return DefaultQuota
	case NoQuota:
		return 0
	}
	return option
}

// Close ends hanging calls, drops late changes until the next New (a StateDir keeps them) and closes the journal.
func (s *Simulator) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closed)
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range s.changes {
			if c.stop != nil {
				c.stop()
			}
		}
		err = s.journal.Close()
	})
	return err
}

func (s *Simulator) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// now returns the time of the KOS clock. The caller holds mu.
func (s *Simulator) now() time.Time { return s.opts.Clock().Add(s.offset) }

// today returns the day in Seoul by the KOS clock. The caller holds mu.
func (s *Simulator) today() calendar.Date { return calendar.DateOf(s.now()) }

// Ledger lists every accepted change, oldest first.
func (s *Simulator) Ledger() []LedgerRow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]LedgerRow{}, s.ledger...)
}

// Reset restores the initial state: changes, ledger, call log, faults, settings, clock and generated customers.
func (s *Simulator) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	return s.journal.Clear()
}

// SetQuota changes the calls allowed in any 60 s; 0 = no limit. It lasts until Reset or the end of the process.
func (s *Simulator) SetQuota(perMinute int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quota.limit = max(perMinute, 0)
}

// SetStatusQuery switches the status query on or off. It lasts until Reset or the end of the process.
func (s *Simulator) SetStatusQuery(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statusQuery = on
}

// maxTokens is how many credentials are accepted at a time: one, or two during a rotation.
const maxTokens = 2

func checkTokens(tokens []string) error {
	if len(tokens) == 0 || len(tokens) > maxTokens {
		return fmt.Errorf("%w: tokens: one or two are needed", ErrInvalid)
	}
	if slices.Contains(tokens, "") {
		return fmt.Errorf("%w: tokens: one is empty", ErrInvalid)
	}
	return nil
}

// SetTokens changes the credentials that are accepted, one or two. It lasts until Reset or the end of the process.
func (s *Simulator) SetTokens(tokens ...string) error {
	if err := checkTokens(tokens); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = slices.Clone(tokens)
	return nil
}

// Settings are what /control/settings returns.
type Settings struct {
	QuotaPerMinute int  `json:"quotaPerMinute"` // 0 = no limit
	StatusQuery    bool `json:"statusQuery"`
}

// Settings returns the settings.
func (s *Simulator) Settings() Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Settings{s.quota.limit, s.statusQuery}
}

// Now returns the time of the KOS clock.
func (s *Simulator) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

// Advance moves the KOS clock; bills, months and effective dates follow it. The quota and the call log keep using the
// wall clock.
func (s *Simulator) Advance(by time.Duration) error {
	return s.moveClock(func() time.Duration { return s.offset + by })
}

// SetClock sets the KOS clock.
func (s *Simulator) SetClock(to time.Time) error {
	return s.moveClock(func() time.Duration { return to.Sub(s.opts.Clock()) })
}

func (s *Simulator) moveClock(offset func() time.Duration) error {
	s.mu.Lock()
	s.offset = offset()
	ns := int64(s.offset)
	s.journal.Append(record{Offset: &ns})
	s.mu.Unlock()
	return s.journal.Sync()
}

// Generate is a run of customers: the same count and seed give the same lines.
type Generate struct {
	Count    int      `json:"count"` // 1 to 1,000,000
	Seed     int64    `json:"seed"`
	Scenario Scenario `json:"scenario,omitempty"` // empty = Normal
}

// AddCustomers makes customers and returns their lines, oldest first. A line that exists stays as it is.
func (s *Simulator) AddCustomers(g Generate) ([]string, error) {
	possible := []Scenario{"", Normal, NoBill, Failing, Slow, Suspended, Unpaid, OldDevice, NewCustomer}
	if !slices.Contains(possible, g.Scenario) {
		return nil, fmt.Errorf("%w: scenario", ErrInvalid)
	}
	if g.Count < 1 || g.Count > 1_000_000 {
		return nil, fmt.Errorf("%w: count", ErrInvalid)
	}
	s.mu.Lock()
	made := s.generate(g)
	s.journal.Append(record{Customers: &g})
	s.mu.Unlock()
	return made, s.journal.Sync()
}

// generate adds the lines. The caller holds mu.
func (s *Simulator) generate(g Generate) []string {
	if g.Scenario == "" {
		g.Scenario = Normal
	}
	made := generated(g.Count, g.Seed)
	for _, number := range made {
		if s.lines[number] == nil {
			s.lines[number] = &subscriber{number: number, scenario: g.Scenario}
		}
	}
	return made
}

// Package spool keeps the history of cached bills on the local disk while the bill database is down (ADR 24).
package spool

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"phonebill/adapters/internal/batch"
	"phonebill/adapters/internal/segments"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// Config is where the spool is and how large it may be; the zero value of a number is its default.
type Config struct {
	Dir string // shared by the processes of one machine; each takes a folder in it for itself
	// on disk; default DefaultMaxBytes. A row takes some 430 bytes there, and some 800 in memory, where it is kept too
	MaxBytes     int64
	StoreTimeout time.Duration // how long the store may take for a row before the row is spooled; default 300 ms
}

// Deps are what the spool works with.
type Deps struct {
	Store   ports.Inquiries
	Batches ports.InquiryBatches // the same store
	Sealer  ports.Sealer[bill.Inquiry]
	Alerts  ports.Alerts
	Log     *slog.Logger
}

// Inquiries implements ports.Inquiries over a store that may be down: Add of a final inquiry then keeps it, sealed and
// fsynced, on the local disk, and Replay stores it later. While anything waits and the store is down, only Replay waits
// for the store. Rows of a line that has rows waiting are spooled too, so that they are delivered in order. Get also
// finds rows that wait, Claim skips them; Save and History are the store's. It is safe for concurrent use.
type Inquiries struct {
	ports.Inquiries
	deps         Deps
	dir          string
	storeTimeout time.Duration
	log          *segments.Log
	refused      *segments.Log // rows that the store will never take, for a person
	adds         *batch.Writer[entry]

	mu            sync.Mutex
	takenOver     []*segments.Log // of processes that have ended, with rows that wait
	abandoned     abandoned       // what is not taken over yet
	waiting       []entry         // each log's in its order
	byID          map[id.ID]bill.Inquiry
	lines         map[line.Number]int // waiting rows
	away          bool                // the store was, when it was last asked
	untilAllClear bool                // rows were stored since the last all-clear
}

type entry struct {
	inquiry bill.Inquiry
	sealed  []byte // until it is on disk
	log     *segments.Log
	in      uint64 // file of the log
}

var _ ports.Inquiries = (*Inquiries)(nil)

// DefaultMaxBytes holds the history of ten minutes at a thousand inquiries a second (bar R6): 600,000 rows. Full, it
// takes some 500 MiB of memory besides; what comes then is refused with Retry-After.
const DefaultMaxBytes = 256 << 20

const defaultStoreTimeout = 300 * time.Millisecond

// places is how many processes of one machine may share a directory.
const places = 64

// Open takes the first folder that no process works on and reads the rows in it; Replay takes over the others. It fails
// when none is free, when the disk fails, and when the rows were sealed with another keyring: that is history, which a
// person must look after.
func Open(c Config, d Deps) (s *Inquiries, err error) {
	for place := range places {
		s, err = open(filepath.Join(c.Dir, strconv.Itoa(place)), c, d)
		if !errors.Is(err, segments.ErrInUse) {
			break
		}
	}
	return s, err
}

func open(dir string, c Config, d Deps) (*Inquiries, error) {
	s := &Inquiries{
		Inquiries: d.Store, deps: d, dir: c.Dir, storeTimeout: cmp.Or(c.StoreTimeout, defaultStoreTimeout),
		byID: map[id.ID]bill.Inquiry{}, lines: map[line.Number]int{},
	}
	options := segments.Options{Max: cmp.Or(c.MaxBytes, DefaultMaxBytes)}
	var found []entry
	var err error
	if s.log, found, err = s.take(dir, options); err != nil {
		return nil, err
	}
	for _, e := range found {
		s.append(e)
	}
	var refused segments.Report
	s.refused, refused, err = segments.Open(filepath.Join(dir, "refused"), options,
		func([]byte, uint64) error { return nil })
	if err != nil {
		return nil, errors.Join(err, s.log.Close())
	}
	s.reportDamage(refused)
	s.adds = batch.New(batch.Options{}, s.keep)
	return s, nil
}

// recordPlace has no keys: a record contains everything it is about and is not found by a key beside it. So a record
// may be moved from one folder to another, and instances of the release before read it.
func recordPlace() sealing.Place { return sealing.At("spool") }

// take locks a folder and returns what waits in it.
func (s *Inquiries) take(dir string, o segments.Options) (*segments.Log, []entry, error) {
	var found []entry
	log, report, err := segments.Open(dir, o, func(record []byte, in uint64) error {
		q, err := s.deps.Sealer.Open(recordPlace(), record)
		found = append(found, entry{inquiry: q, in: in})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	for i := range found {
		found[i].log = log
	}
	if report != (segments.Report{}) {
		s.deps.Log.Warn("the history spool was damaged", slog.Int("torn", report.Torn), slog.Int("damaged", report.Damaged))
	}
	s.reportDamage(report)
	return log, found, nil
}

func (s *Inquiries) reportDamage(found segments.Report) {
	if found.Aside > 0 {
		s.raise(context.Background(), operations.HistoryDamaged,
			strconv.Itoa(found.Aside)+" damaged files of the spool were kept as *.log.damaged")
	}
}

// Close gives the folders back. What waits is found by the next Open.
func (s *Inquiries) Close() error {
	s.adds.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := []error{s.log.Close(), s.refused.Close()}
	for _, l := range s.takenOver {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// Add stores the inquiry, or spools it when it is final and the store is down; SERVICE_UNAVAILABLE when it can do
// neither.
func (s *Inquiries) Add(ctx context.Context, q bill.Inquiry) error {
	if q.Status == bill.Processing {
		return s.addUnfinished(ctx, q)
	}
	if !s.diverts(q.Line) {
		within, cancel := context.WithTimeout(ctx, s.storeTimeout)
		defer cancel()
		err := s.Inquiries.Add(within, q)
		if !unavailable(err) || ctx.Err() != nil {
			return err
		}
		s.lost()
	}
	return s.spool(ctx, q)
}

// unfinishedFactor multiplies the store timeout for an unfinished row at a store that is thought to be up: it cannot be
// spooled, and a store may be slow for a moment. With the rest of the request it is far less than the customer waits.
const unfinishedFactor = 4

// addUnfinished stores an inquiry that only the store can continue. A store that hangs is detected here as well: there
// must be time left for the last good copy. One that is thought to be down may only have been slow for a moment: it is
// tried all the same, though not for long.
func (s *Inquiries) addUnfinished(ctx context.Context, q bill.Inquiry) error {
	timeout := s.storeTimeout
	if !s.isAway() {
		timeout *= unfinishedFactor
	}
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := s.Inquiries.Add(within, q)
	if unavailable(err) && ctx.Err() == nil {
		s.lost()
		return fault.New(fault.ServiceUnavailable).RetryIn(again).Because(err)
	}
	return err
}

// Get returns the inquiry from what waits, else from the store.
func (s *Inquiries) Get(ctx context.Context, inquiry id.ID) (bill.Inquiry, error) {
	s.mu.Lock()
	q, ok := s.byID[inquiry]
	s.mu.Unlock()
	if ok {
		return q, nil
	}
	return s.Inquiries.Get(ctx, inquiry)
}

// Claim leases what is due in the store. A row that waits here is final already, though the store may not know: an Add
// of the unfinished row that was given up may have been stored all the same. Replay ends it there.
func (s *Inquiries) Claim(ctx context.Context, now time.Time, lease time.Duration, n int) ([]bill.Inquiry, error) {
	due, err := s.Inquiries.Claim(ctx, now, lease, n)
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(due, func(q bill.Inquiry) bool {
		_, answered := s.byID[q.ID]
		return answered
	}), err
}

// again is when to come again to a spool that is full or a disk that fails.
const again = 5 * time.Second

func (s *Inquiries) spool(ctx context.Context, q bill.Inquiry) error {
	sealed, err := s.deps.Sealer.Seal(recordPlace(), q)
	if err == nil {
		err = s.adds.Add(ctx, entry{inquiry: q, sealed: sealed})
	}
	if err != nil && ctx.Err() == nil {
		return fault.New(fault.ServiceUnavailable).RetryIn(again).Because(err)
	}
	return err
}

// keep makes the entries durable, then known.
func (s *Inquiries) keep(ctx context.Context, entries []entry) error {
	sealed := make([][]byte, len(entries))
	for i, e := range entries {
		sealed[i] = e.sealed
	}
	in, err := s.log.Append(sealed)
	if err != nil {
		return err
	}
	s.mu.Lock()
	began := len(s.waiting) == 0
	for _, e := range entries {
		s.append(entry{inquiry: e.inquiry, log: s.log, in: in})
	}
	s.mu.Unlock()
	if began {
		s.raise(ctx, operations.HistorySpooled,
			"the bill database is down; the history of cached bills waits on the local disk")
	}
	return nil
}

func (s *Inquiries) append(e entry) {
	s.waiting = append(s.waiting, e)
	s.byID[e.inquiry.ID] = e.inquiry
	s.lines[e.inquiry.Line]++
}

// diverts reports that a row of the line must not go to the store now.
func (s *Inquiries) diverts(n line.Number) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines[n] > 0 || s.away && len(s.waiting) > 0
}

// isAway reports that the store was down, and that Replay has not reached it since.
func (s *Inquiries) isAway() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away && len(s.waiting) > 0
}

func (s *Inquiries) lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = true
}

func (s *Inquiries) raise(ctx context.Context, kind operations.AlertKind, note string) {
	s.deps.Alerts.Raise(ctx, operations.Alert{Kind: kind, Subject: "bill history", Note: note})
}

// unavailable distinguishes a failure of the store from one of the row.
func unavailable(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || err != nil && fault.From(err).Kind() == fault.Unavailable
}

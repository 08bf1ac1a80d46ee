package spool

import (
	"context"
	"errors"
	"time"

	"phonebill/adapters/internal/batch"
	"phonebill/core/bill"
	"phonebill/core/operations"
)

const (
	replayed = 500             // rows in one commit
	patient  = 5 * time.Second // for one commit
)

// Replay stores the oldest rows that wait, in their order, and returns how many are finished: one step of a worker, of
// which there is one. It also takes over the folders of processes that have ended. Adding is idempotent, so a row may
// be stored again after a crash.
func (s *Inquiries) Replay(ctx context.Context) (int, error) {
	unread := s.takeOver(ctx)
	n, err := s.replay(ctx)
	s.allClear(ctx)
	return n, errors.Join(unread, err)
}

func (s *Inquiries) replay(ctx context.Context) (int, error) {
	head := s.head()
	if len(head) == 0 {
		return 0, nil
	}
	rows := make([]bill.Inquiry, len(head))
	for i, e := range head {
		rows[i] = e.inquiry
	}
	done := 0
	var trouble error
	batch.Split(rows, blamesARow, func(rows []bill.Inquiry) error {
		if trouble != nil {
			return trouble
		}
		ctx, cancel := context.WithTimeout(ctx, patient)
		defer cancel()
		return s.deps.Batches.AddAll(ctx, rows)
	}, func(err error, n int) {
		if err != nil && trouble == nil && blamesARow(err) {
			err = s.putAside(ctx, head[done], err)
		}
		if err != nil && trouble == nil {
			trouble = err
		}
		if trouble == nil {
			done += n
		}
	})
	return done, errors.Join(trouble, s.settle(head[:done]))
}

// blamesARow reports that the store was reachable and refused the row.
func blamesARow(err error) bool { return !unavailable(err) && !errors.Is(err, context.Canceled) }

// putAside keeps a row that the store does not take for a person, so that those behind it go on.
func (s *Inquiries) putAside(ctx context.Context, e entry, cause error) error {
	sealed, err := s.deps.Sealer.Seal(recordPlace(), e.inquiry)
	if err == nil {
		_, err = s.refused.Append([][]byte{sealed})
	}
	if err != nil {
		return err
	}
	inquiry := e.inquiry.ID.String()
	s.raise(ctx, operations.HistoryRefused, "inquiry "+inquiry+" was put aside")
	s.deps.Log.ErrorContext(ctx, "the bill database refuses a row of the spool", "requestId", inquiry, "error",
		cause.Error())
	return nil
}

func (s *Inquiries) head() []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting[:min(replayed, len(s.waiting)):min(replayed, len(s.waiting))]
}

// settle forgets the oldest rows: the store was there and has them.
func (s *Inquiries) settle(done []entry) error {
	if len(done) == 0 {
		return nil
	}
	s.mu.Lock()
	perFile := map[file]int{}
	for _, e := range done {
		perFile[file{e.log, e.in}]++
		delete(s.byID, e.inquiry.ID)
		if s.lines[e.inquiry.Line]--; s.lines[e.inquiry.Line] == 0 {
			delete(s.lines, e.inquiry.Line)
		}
	}
	s.waiting = s.waiting[len(done):]
	s.away = false
	if s.untilAllClear = true; len(s.waiting) == 0 {
		s.waiting = nil
	}
	s.mu.Unlock()
	var errs []error
	for f, n := range perFile {
		errs = append(errs, f.log.Done(f.in, n))
	}
	return errors.Join(append(errs, s.giveBack())...)
}

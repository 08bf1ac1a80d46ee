// Package reseal binds the sealed values that an older release wrote to their rows, and then has the older form
// refused.
package reseal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"phonebill/core/sealing"
	"phonebill/ports"
)

// Database is one whose values are sealed anew.
type Database struct {
	Name string
	Form ports.SealingForm
	Rows []ports.SealedRows
}

// Service seals values anew. It is run by command, once no instance of an older release is left; it may be interrupted
// and run again.
type Service struct {
	Databases []Database
	Settle    time.Duration                              // until every instance writes the new form
	Wait      func(context.Context, time.Duration) error // waits, or returns the context's error
	Now       ports.Clock
	Batch     int            // rows at a time
	PerSecond int            // rows at most
	Progress  func(Progress) // is called after each batch
}

// Progress is how far the job is.
type Progress struct {
	Table                       string
	Seen, Rows                  int // of all tables; rows that are added meanwhile may make Seen the greater
	Resealed, Unreadable, Batch int
	Left                        time.Duration // at the rate so far
}

// Report is what the job did.
type Report struct {
	Seen       int   // rows of the last pass
	Resealed   int   // of all passes
	Unreadable []Row // of the last pass: values that do not open, or do not belong where they stand
	Form       sealing.Form
}

// Row names a row.
type Row struct{ Table, Key string }

// ErrUnreadable means that values that do not open keep the job from finishing: they could be of a key that the keyring
// lacks.
var ErrUnreadable = errors.New("some values do not open where they stand; the older form is not refused yet")

// ErrStillWritten means that each pass found values of the older form again: an instance of an older release is
// running. What it writes would be lost if the older form were refused.
var ErrStillWritten = errors.New("an older release still writes the older form, which is not refused yet: " +
	"end its instances")

// passes is the largest number of passes over all rows. The second finds nothing to seal unless something wrote
// meanwhile.
const passes = 4

// Run moves all databases to the form Row, waits until every instance has seen that, seals all rows anew until a pass
// over all of them finds nothing of the older form, and has that form refused.
// With values that do not open it is refused only if anyway is true.
func (s *Service) Run(ctx context.Context, anyway bool) (Report, error) {
	if err := s.begin(ctx); err != nil {
		return Report{}, err
	}
	r, err := s.all(ctx, anyway)
	if err != nil {
		return r, err
	}
	for _, db := range s.Databases {
		if err := db.Form.Raise(ctx, sealing.RowOnly); err != nil {
			return r, fmt.Errorf("%s: %w", db.Name, err)
		}
	}
	r.Form = sealing.RowOnly
	return r, nil
}

// all seals all rows anew, and ends with a pass that found nothing to seal.
func (s *Service) all(ctx context.Context, anyway bool) (Report, error) {
	resealed := 0
	for range passes {
		r, err := s.rows(ctx)
		found := r.Resealed
		resealed += found
		r.Resealed = resealed
		switch {
		case err != nil:
			return r, err
		case len(r.Unreadable) > 0 && !anyway:
			r.Form = sealing.Row
			return r, ErrUnreadable
		case found == 0:
			return r, nil
		}
	}
	return Report{Resealed: resealed, Form: sealing.Row}, ErrStillWritten
}

// Form returns the weakest form of the databases.
func (s *Service) Form(ctx context.Context) (sealing.Form, error) {
	forms := make([]sealing.Form, len(s.Databases))
	for i, db := range s.Databases {
		var err error
		if forms[i], err = db.Form.Form(ctx); err != nil {
			return sealing.Unknown, fmt.Errorf("%s: %w", db.Name, err)
		}
	}
	return sealing.Weakest(forms...), nil
}

// begin has the new form written everywhere. When the job was interrupted a moment ago not every instance may know it
// yet: it waits again.
func (s *Service) begin(ctx context.Context) error {
	form, err := s.Form(ctx)
	if err != nil || form == sealing.RowOnly {
		return err
	}
	for _, db := range s.Databases {
		if err := db.Form.Raise(ctx, sealing.Row); err != nil {
			return fmt.Errorf("%s: %w", db.Name, err)
		}
	}
	return s.Wait(ctx, s.Settle)
}

func (s *Service) rows(ctx context.Context) (Report, error) {
	var r Report
	total, began := 0, s.Now()
	for _, db := range s.Databases {
		for _, rows := range db.Rows {
			n, err := rows.Count(ctx)
			if err != nil {
				return r, err
			}
			total += n
		}
	}
	for _, db := range s.Databases {
		for _, rows := range db.Rows {
			if err := s.table(ctx, rows, &r, total, began); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

func (s *Service) table(ctx context.Context, rows ports.SealedRows, r *Report, total int, began time.Time) error {
	after := ""
	for {
		asked := s.Now()
		b, err := rows.Reseal(ctx, after, s.Batch)
		if err != nil || b.Seen == 0 {
			return err
		}
		after = b.Next
		r.Seen, r.Resealed = r.Seen+b.Seen, r.Resealed+b.Resealed
		for _, key := range b.Unreadable {
			r.Unreadable = append(r.Unreadable, Row{rows.Table(), key})
		}
		took := time.Duration(b.Seen) * time.Second / time.Duration(s.PerSecond)
		if err := s.Wait(ctx, took-s.Now().Sub(asked)); err != nil {
			return err
		}
		spent := s.Now().Sub(began)
		s.Progress(Progress{
			Table: rows.Table(), Seen: r.Seen, Rows: total, Resealed: r.Resealed, Unreadable: len(r.Unreadable), Batch: b.Seen,
			Left: time.Duration(float64(spent) / float64(r.Seen) * float64(max(0, total-r.Seen))),
		})
	}
}

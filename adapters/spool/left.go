package spool

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"phonebill/adapters/internal/segments"
	"phonebill/core/alert"
)

// A process that is gone may have left rows in its folder, and no other may come to take its place: two became one, or a new one was
// started before the old one was stopped. Whoever is there takes them over.

// file is one file of a log.
type file struct {
	log *segments.Log
	in  uint64
}

// takeOver locks the folders with rows that no process works on and lets the rows wait here. One that cannot be read is told once to a
// person, and is an error as long as it is there: there is history in it.
func (s *Inquiries) takeOver(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(s.dir, "*", "*.log"))
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	unread := map[string]bool{}
	var errs []error
	for dir := range foldersOf(files) {
		log, found, err := s.take(dir, segments.Options{})
		switch {
		case errors.Is(err, segments.ErrInUse): // by another, or by us
		case err != nil:
			unread[dir] = true
			errs = append(errs, fmt.Errorf("spool: what was left in %s: %w", filepath.Base(dir), err))
			s.tellUnread(ctx, dir)
		default:
			s.wait(log, found)
		}
	}
	s.mu.Lock()
	s.unread = unread
	s.mu.Unlock()
	return errors.Join(append(errs, s.giveBack())...)
}

// foldersOf are the numbered folders of the files.
func foldersOf(files []string) map[string]bool {
	dirs := map[string]bool{}
	for _, name := range files {
		dir := filepath.Dir(name)
		if place, err := strconv.Atoi(filepath.Base(dir)); err == nil && place >= 0 && place < places {
			dirs[dir] = true
		}
	}
	return dirs
}

func (s *Inquiries) tellUnread(ctx context.Context, dir string) {
	s.mu.Lock()
	told := s.unread[dir]
	s.mu.Unlock()
	if !told {
		s.raise(ctx, alert.HistoryDamaged, "what was left in folder "+filepath.Base(dir)+" of the spool cannot be read")
	}
}

// wait lets rows that were left wait before ours if they are older, else behind them.
func (s *Inquiries) wait(log *segments.Log, found []entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = append(s.left, log)
	if len(found) == 0 {
		return
	}
	ours := s.waiting
	s.waiting = nil
	older := len(ours) == 0 || found[0].inquiry.ProcessedAt.Before(ours[0].inquiry.ProcessedAt)
	for _, e := range found {
		s.append(e)
	}
	if older {
		s.waiting = append(s.waiting, ours...)
	} else {
		s.waiting = append(ours, s.waiting...)
	}
}

// giveBack closes the folders that hold nothing more.
func (s *Inquiries) giveBack() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	s.left = slices.DeleteFunc(s.left, func(l *segments.Log) bool {
		if l.Size() > 0 {
			return false
		}
		errs = append(errs, l.Close())
		return true
	})
	return errors.Join(errs...)
}

package spool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"

	"phonebill/adapters/internal/segments"
	"phonebill/core/operations"
)

// A process that has ended may have left rows in its folder, and no other may take its place: two became one, or a new
// one was started before the old one was stopped. Any running process takes them over, a folder at a time.

// file is one file of a log.
type file struct {
	log *segments.Log
	in  uint64
}

// abandoned is what lies in the folders that no process works on and that are not taken over yet.
type abandoned struct {
	folders int
	bytes   int64
	unread  map[string]error // those of them that cannot be read, and why
}

// takeOver locks the folders with rows that no process works on and lets the rows wait here: one folder at a time, and
// only when nothing waits, so that with the database down this process holds no more than its own spool and one
// other's. Folders not taken yet are counted. A folder that cannot be read is reported to a person once, and is an
// error as long as it exists: there is history in it.
func (s *Inquiries) takeOver(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(s.dir, "*", "*.log"))
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.mu.Lock()
	idle, known := len(s.waiting) == 0, s.abandoned.unread
	s.mu.Unlock()
	found := abandoned{unread: map[string]error{}}
	for _, dir := range foldersOf(files) {
		bytes, err := segments.Abandoned(dir)
		if errors.Is(err, segments.ErrInUse) { // by another, or by us
			continue
		}
		if err == nil {
			err = known[dir]
		}
		if idle {
			if err = s.takeFolder(dir); err == nil {
				idle = len(s.head()) == 0
				continue
			}
		}
		if err != nil {
			found.unread[dir] = err
			s.reportUnread(ctx, dir, known)
		}
		found.folders++
		found.bytes += bytes
	}
	s.mu.Lock()
	s.abandoned = found
	s.mu.Unlock()
	return errors.Join(append(slices.Collect(maps.Values(found.unread)), s.giveBack())...)
}

// takeFolder lets the rows of a folder wait here, unless another process is faster.
func (s *Inquiries) takeFolder(dir string) error {
	log, found, err := s.take(dir, segments.Options{})
	switch {
	case errors.Is(err, segments.ErrInUse):
		return nil
	case err != nil:
		return fmt.Errorf("spool: what was left in %s: %w", filepath.Base(dir), err)
	default:
		s.wait(log, found)
		return nil
	}
}

// foldersOf returns the numbered folders of the files, each once.
func foldersOf(files []string) (dirs []string) {
	for _, name := range files {
		dir := filepath.Dir(name)
		if place, err := strconv.Atoi(filepath.Base(dir)); err == nil && place >= 0 && place < places {
			dirs = append(dirs, dir)
		}
	}
	return slices.Compact(dirs) // the files are in order
}

func (s *Inquiries) reportUnread(ctx context.Context, dir string, known map[string]error) {
	if known[dir] == nil {
		s.raise(ctx, operations.HistoryDamaged, "what was left in folder "+filepath.Base(dir)+" of the spool cannot be read")
	}
}

// wait lets the rows of a taken folder wait here. Rows of this process that came meanwhile stay before them.
func (s *Inquiries) wait(log *segments.Log, found []entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takenOver = append(s.takenOver, log)
	for _, e := range found {
		s.append(e)
	}
}

// allClear raises the alert that all history is stored, once after rows have waited, when none waits any more here or
// in a folder that no process works on.
func (s *Inquiries) allClear(ctx context.Context) {
	s.mu.Lock()
	all := s.untilAllClear && len(s.waiting) == 0 && s.abandoned.folders == 0
	if all {
		s.untilAllClear = false
	}
	s.mu.Unlock()
	if all {
		s.raise(ctx, operations.HistoryStored, "all history is in the bill database again")
	}
}

// giveBack closes the folders that hold nothing more.
func (s *Inquiries) giveBack() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	s.takenOver = slices.DeleteFunc(s.takenOver, func(l *segments.Log) bool {
		if l.Size() > 0 {
			return false
		}
		errs = append(errs, l.Close())
		return true
	})
	return errors.Join(errs...)
}

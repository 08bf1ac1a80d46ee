// Package journal is an append-only file of JSON records that survives a crash: the simulators keep their state in it.
package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// File is a journal of records R, one JSON document per line. A nil File keeps nothing. Append needs one caller at a
// time; Sync may be called by many at once and then shares one fsync between them (group commit).
type File[R any] struct {
	file *os.File

	mu      sync.Mutex
	written int64 // records
	failed  error // sticky: a journal that lost a record must not be trusted

	syncing sync.Mutex
	synced  int64
}

// Open reads every record of dir/name, oldest first, and opens it for more; an empty dir gives a nil File. A last line
// that a crash cut off or garbled was never acknowledged and is dropped; damage anywhere else is an error.
func Open[R any](dir, name string, apply func(R) error) (*File[R], error) {
	if dir == "" {
		return nil, nil //nolint:nilnil // in memory: a nil journal is a valid one
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	good, err := replay(f, apply)
	if err == nil {
		err = f.Truncate(good)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("journal: %w", err), f.Close())
	}
	return &File[R]{file: f}, nil
}

// replay returns how many bytes hold whole records.
func replay[R any](f io.Reader, apply func(R) error) (good int64, err error) {
	in := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return good, nil // the rest has no end: torn
		}
		if err != nil {
			return good, err
		}
		var r R
		if err := json.Unmarshal(line, &r); err != nil {
			if _, peek := in.Peek(1); errors.Is(peek, io.EOF) {
				return good, nil
			}
			return good, fmt.Errorf("line %d: %w", n, err)
		}
		if err := apply(r); err != nil {
			return good, fmt.Errorf("line %d: %w", n, err)
		}
		good += int64(len(line))
	}
}

// syncDir makes the file's name durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Append writes a record; the next Sync returns its error.
func (j *File[R]) Append(r R) {
	if j == nil {
		return
	}
	line, err := json.Marshal(r)
	if err == nil {
		_, err = j.file.Write(append(line, '\n'))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.written++
	if j.failed == nil {
		j.failed = err
	}
}

// Sync returns when everything appended before is on disk.
func (j *File[R]) Sync() error {
	if j == nil {
		return nil
	}
	want, err := j.state()
	if err != nil {
		return err
	}
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if j.synced >= want {
		return nil
	}
	now, _ := j.state()
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.synced = now
	return nil
}

func (j *File[R]) state() (written int64, failed error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.written, j.failed
}

// Clear forgets everything.
func (j *File[R]) Clear() error {
	if j == nil {
		return nil
	}
	return errors.Join(j.file.Truncate(0), j.file.Sync())
}

// Close writes everything to disk and closes.
func (j *File[R]) Close() error {
	if j == nil {
		return nil
	}
	return errors.Join(j.file.Sync(), j.file.Close())
}

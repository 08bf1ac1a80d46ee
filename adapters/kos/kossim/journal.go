package kossim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// record is one line of the journal; exactly one field is set.
type record struct {
	Call      *Call         `json:"call,omitempty"`
	Answer    *answerRecord `json:"answer,omitempty"`
	Change    *change       `json:"change,omitempty"`
	Customers *Generate     `json:"customers,omitempty"`
	Offset    *int64        `json:"offset,omitempty"` // the KOS clock against the wall clock, ns
}

// answerRecord completes the n-th call of the log.
type answerRecord struct {
	Call   int    `json:"n"`
	Result string `json:"result"`
	Ms     int64  `json:"ms"`
}

// journal is an append-only file of records, one JSON document per line. A nil journal keeps nothing. append wants one
// caller at a time; sync may be called by many at once and then shares one fsync between them (group commit).
type journal struct {
	file *os.File

	mu      sync.Mutex
	written int64 // records
	failed  error // sticky: a journal that lost a record must not be trusted

	syncing sync.Mutex
	synced  int64
}

// openJournal reads every record of dir/kos.journal, oldest first, and opens it for more. A last line that a crash cut off
// was never answered and is dropped; damage anywhere else is an error.
func openJournal(dir string, apply func(record) error) (*journal, error) {
	if dir == "" {
		return nil, nil //nolint:nilnil // in memory: a nil journal is a valid one
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("kossim: state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "kos.journal"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("kossim: journal: %w", err)
	}
	good, err := replay(f, apply)
	if err == nil {
		err = f.Truncate(good)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("kossim: journal: %w", err), f.Close())
	}
	return &journal{file: f}, nil
}

// replay answers how many bytes hold whole records.
func replay(f io.Reader, apply func(record) error) (good int64, err error) {
	in := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return good, nil // what is left has no end: torn
		}
		if err != nil {
			return good, err
		}
		var r record
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

// append writes a record; a failure is told by the next sync.
func (j *journal) append(r record) {
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

// sync returns when everything appended before is on disk.
func (j *journal) sync() error {
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
		return fmt.Errorf("kossim: journal: %w", err)
	}
	j.synced = now
	return nil
}

func (j *journal) state() (written int64, failed error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.written, j.failed
}

// clear forgets everything.
func (j *journal) clear() error {
	if j == nil {
		return nil
	}
	return errors.Join(j.file.Truncate(0), j.file.Sync())
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return errors.Join(j.file.Sync(), j.file.Close())
}

// apply puts one record of the journal back into the state.
func (s *Simulator) apply(r record) error {
	switch {
	case r.Call != nil:
		s.calls = append(s.calls, *r.Call)
		if r.Call.counted() {
			s.quota.take(r.Call.At)
		}
	case r.Answer != nil:
		if r.Answer.Call < 0 || r.Answer.Call >= len(s.calls) {
			return errMalformed
		}
		s.calls[r.Answer.Call].Result, s.calls[r.Answer.Call].Ms = r.Answer.Result, r.Answer.Ms
	case r.Change != nil:
		if r.Change.State == stateApplied && s.lines[r.Change.LineNumber] == nil {
			return errMalformed
		}
		s.restore(r.Change)
	case r.Customers != nil:
		s.generate(*r.Customers)
	case r.Offset != nil:
		s.offset = time.Duration(*r.Offset)
	}
	return nil
}

// whole tells that a body is one JSON object and nothing else.
func whole(body []byte, into any) bool {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if dec.Decode(into) != nil {
		return false
	}
	_, err := dec.Token()
	return errors.Is(err, io.EOF)
}

package mvnoapsim

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// record is one line of the journal: an event, or the id of one that came again.
type record struct {
	Event     *Event `json:"event,omitempty"`
	Duplicate string `json:"duplicate,omitempty"`
}

// journal is an append-only file of records, one JSON document per line, fsynced by every append. A nil journal keeps
// nothing. It wants one caller at a time.
type journal struct{ file *os.File }

// openJournal reads every record of dir/mvnoap.journal and opens it for more. A last line that a crash cut off was never
// answered and is dropped; damage anywhere else is an error.
func openJournal(dir string, apply func(record)) (*journal, error) {
	if dir == "" {
		return nil, nil //nolint:nilnil // in memory: a nil journal is a valid one
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mvnoapsim: state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "mvnoap.journal"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("mvnoapsim: journal: %w", err)
	}
	good, err := replay(f, apply)
	if err == nil {
		err = f.Truncate(good)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mvnoapsim: journal: %w", err), f.Close())
	}
	return &journal{f}, nil
}

// replay answers how many bytes hold whole records.
func replay(f io.Reader, apply func(record)) (good int64, err error) {
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
			return good, fmt.Errorf("line %d: %w", n, err)
		}
		apply(r)
		good += int64(len(line))
	}
}

func (j *journal) append(r record) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err == nil {
		_, err = j.file.Write(append(line, '\n'))
	}
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("mvnoapsim: journal: %w", err)
	}
	return nil
}

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
	return j.file.Close()
}

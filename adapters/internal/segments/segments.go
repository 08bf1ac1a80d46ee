// Package segments is a bounded log of records in files, which keeps them from the moment they are on disk until they
// are done. It is below the adapters and uses the standard library only.
package segments

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Options bound a Log; the zero value of a field is its default.
type Options struct {
	Max     int64 // bytes of all records that are not done with; default 64 MiB
	Segment int64 // bytes of a file after which the next one begins; default 1 MiB
}

// The errors of a Log.
var (
	ErrFull   = errors.New("segments: full")
	ErrInUse  = errors.New("segments: another process works on the directory")
	errClosed = errors.New("segments: closed")
)

const suffix = ".log"

// Log is safe for concurrent use. A directory belongs to one process at a time; the system gives it back when that
// ends, however.
type Log struct {
	dir     string
	options Options
	lock    *os.File

	mu     sync.Mutex
	files  map[uint64]*segment // that hold records not done with, and the one written to
	active *os.File            // nil = the next Append begins a file
	number uint64              // of the newest file
	size   int64
	closed bool
}

type segment struct {
	bytes   int64
	records int // not done with
}

// Report is what Open found besides whole records.
type Report struct {
	Torn    int // files whose end a crash cut off: it was never acknowledged
	Damaged int // records that do not match their checksum, though others follow
	// files with damage to what may have been acknowledged: their content is kept as *.log.damaged, for a person
	Aside int
}

// Open takes the directory, making it if need be, and calls have for every record in it, in the order of Append, with
// the number of its file. It fails with ErrInUse, with have's error, or when the disk fails.
func Open(dir string, o Options, have func(record []byte, in uint64) error) (*Log, Report, error) {
	if o.Max == 0 {
		o.Max = 64 << 20
	}
	if o.Segment == 0 {
		o.Segment = 1 << 20
	}
	l := &Log{dir: dir, options: o, files: map[uint64]*segment{}}
	var found Report
	err := l.take()
	if err == nil {
		found, err = l.read(have)
	}
	if err != nil {
		return nil, found, errors.Join(err, l.Close())
	}
	return l, found, nil
}

// Abandoned returns how many bytes are in a directory that no process works on; ErrInUse when one does. It does not
// read them, and does not take the directory, so that several processes may call it at once.
func Abandoned(dir string) (bytes int64, err error) {
	lock, err := locked(dir, syscall.LOCK_SH)
	if lock != nil {
		defer func() { _ = lock.Close() }()
	}
	if err != nil {
		return 0, err
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		return 0, fmt.Errorf("segments: %w", err)
	}
	for _, name := range names {
		about, err := os.Stat(name)
		if err != nil {
			return 0, fmt.Errorf("segments: %w", err)
		}
		bytes += about.Size()
	}
	return bytes, nil
}

func (l *Log) take() error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	var err error
	l.lock, err = locked(l.dir, syscall.LOCK_EX)
	return err
}

// locked locks the directory, or fails with ErrInUse. The file is the caller's to close in any case, unless it is nil.
func locked(dir string, how int) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("segments: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return lock, fmt.Errorf("%w: %s", ErrInUse, dir)
	}
	if err != nil {
		return lock, fmt.Errorf("segments: %w", err)
	}
	return lock, nil
}

func (l *Log) read(have func([]byte, uint64) error) (found Report, err error) {
	names, err := filepath.Glob(filepath.Join(l.dir, "*"+suffix))
	if err != nil {
		return found, fmt.Errorf("segments: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		number, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(name), suffix), 16, 64)
		if err != nil {
			return found, fmt.Errorf("segments: %s is not a file of the log", name)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return found, fmt.Errorf("segments: %w", err)
		}
		whole, damaged, rest := split(content)
		for _, record := range whole {
			if err := have(record, number); err != nil {
				return found, err
			}
		}
		found.Damaged += damaged
		if rest > 0 {
			found.Torn++
		}
		if damaged > 0 || len(whole) == 0 && len(content) >= header {
			if err := l.setAside(number); err != nil {
				return found, err
			}
			found.Aside++
		}
		l.number = number
		l.files[number] = &segment{bytes: int64(len(content)), records: len(whole)}
		l.size += int64(len(content))
		if err := l.forget(number); err != nil {
			return found, err
		}
	}
	return found, nil
}

// setAside keeps the content of a damaged file under another name, for the file itself is removed when its whole
// records are done. A file without a whole record may be a first write that a crash cut off, which was never
// acknowledged: that cannot be known.
func (l *Log) setAside(number uint64) error {
	name := l.path(number)
	if err := os.Link(name, name+".damaged"); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("segments: %w", err)
	}
	return nil
}

// Append writes the records and returns when they are on disk, with the number of the file that they are in. Records
// that were not acknowledged because it failed may be found by the next Open all the same.
func (l *Log) Append(records [][]byte) (in uint64, err error) {
	framed := frame(records)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return 0, errClosed
	case l.size+int64(len(framed)) > l.options.Max:
		return 0, ErrFull
	}
	if l.active == nil {
		if err := l.begin(); err != nil {
			return 0, fmt.Errorf("segments: %w", err)
		}
	}
	s := l.files[l.number]
	n, err := l.active.Write(framed)
	s.bytes += int64(n)
	l.size += int64(n)
	if err == nil {
		err = l.active.Sync()
	}
	if err != nil { // what the file holds now is not known: nothing is written behind it
		return 0, fmt.Errorf("segments: %w", errors.Join(err, l.end()))
	}
	s.records += len(records)
	number := l.number
	if s.bytes >= l.options.Segment {
		err = l.end()
	}
	return number, err
}

// Done takes back that many records of a file; a file without any is removed.
func (l *Log) Done(in uint64, records int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.files[in]
	if s == nil {
		return nil
	}
	s.records -= records
	if s.records == 0 && in == l.number {
		if err := l.end(); err != nil {
			return fmt.Errorf("segments: %w", err)
		}
	}
	return l.forget(in)
}

// Size returns how many bytes the files take.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

// Close gives the directory back.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	err := l.end()
	if l.lock != nil { // unlocked too: a child that is just being started may hold the file open for a moment more
		err = errors.Join(err, syscall.Flock(int(l.lock.Fd()), syscall.LOCK_UN), l.lock.Close())
	}
	return err
}

func (l *Log) path(number uint64) string {
	return filepath.Join(l.dir, fmt.Sprintf("%016x", number)+suffix)
}

// begin makes the next file, and its name durable.
func (l *Log) begin() error {
	f, err := os.OpenFile(l.path(l.number+1), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	d, err := os.Open(l.dir)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return errors.Join(err, f.Close())
	}
	l.number++
	l.active, l.files[l.number] = f, &segment{}
	return nil
}

// end closes the file written to.
func (l *Log) end() error {
	if l.active == nil {
		return nil
	}
	err := l.active.Close()
	l.active = nil
	return err
}

// forget removes a file without pending records. One that comes back after a crash is read again: its reader must
// tolerate that.
func (l *Log) forget(number uint64) error {
	s := l.files[number]
	if s.records > 0 {
		return nil
	}
	delete(l.files, number)
	l.size -= s.bytes
	if err := os.Remove(l.path(number)); err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	return nil
}

// Package batch lets many callers share one commit. It is below the adapters and uses the standard library only.
package batch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Options tune a Writer; the zero value of a field is its default.
type Options struct {
	Writers       int           // commits under way at a time; default 1
	Delay         time.Duration // how long an idle writer waits for more rows; default 0: what waits already
	MaxRows       int           // rows per commit; default 512
	Queue         int           // callers who may wait; others block until there is a place; default 8 * MaxRows
	CommitTimeout time.Duration // of one commit; default 5 s

	// Splits reports that a failed commit may be one row's fault, so that its halves are tried. Nil = never.
	Splits func(error) bool
}

func (o Options) complete() Options {
	set := func(v *int, otherwise int) {
		if *v == 0 {
			*v = otherwise
		}
	}
	set(&o.Writers, 1)
	set(&o.MaxRows, 512)
	set(&o.Queue, 8*o.MaxRows)
	if o.CommitTimeout == 0 {
		o.CommitTimeout = 5 * time.Second
	}
	if o.Splits == nil {
		o.Splits = func(error) bool { return false }
	}
	return o
}

// ErrClosed is returned after Close.
var ErrClosed = errors.New("batch: closed")

// Writer commits the rows of concurrent callers together. Rows of one writer are committed in the order in which they
// came. It needs no goroutine while there are no rows, and is safe for concurrent use.
type Writer[R any] struct {
	options Options
	commit  func(ctx context.Context, rows []R) error
	places  chan struct{}

	mu      sync.Mutex
	waiting []*entry[R]
	writing int
	closed  bool
	writers sync.WaitGroup
}

type entry[R any] struct {
	row  R
	done chan error
	gone atomic.Bool // its caller does not wait any more
}

// New returns a writer. commit stores all rows or none; its context ends after CommitTimeout, whatever the callers'
// contexts are.
func New[R any](o Options, commit func(ctx context.Context, rows []R) error) *Writer[R] {
	o = o.complete()
	return &Writer[R]{options: o, commit: commit, places: make(chan struct{}, o.Queue)}
}

// Add returns when the commit that the row was part of is done, with its error; it blocks while too many wait already.
// When ctx ends first its error is returned, and the row may have been stored all the same.
func (w *Writer[R]) Add(ctx context.Context, row R) error {
	select {
	case w.places <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	e := &entry[R]{row: row, done: make(chan error, 1)}
	if !w.enqueue(e) {
		<-w.places
		return ErrClosed
	}
	select {
	case err := <-e.done:
		return err
	case <-ctx.Done():
		e.gone.Store(true)
		return ctx.Err()
	}
}

// Close returns when everything that was added is committed or has failed.
func (w *Writer[R]) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.writers.Wait()
}

// enqueue sets a writer to work unless enough are.
func (w *Writer[R]) enqueue(e *entry[R]) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.waiting = append(w.waiting, e)
	if w.writing < w.options.Writers {
		w.writing++
		w.writers.Go(w.work)
	}
	return true
}

// work commits what waits until nothing does.
func (w *Writer[R]) work() {
	if w.options.Delay > 0 {
		time.Sleep(w.options.Delay)
	}
	for entries := w.take(); entries != nil; entries = w.take() {
		rows := make([]R, len(entries))
		for i, e := range entries {
			rows[i] = e.row
		}
		n := 0
		w.store(rows, func(err error, rows int) {
			for _, e := range entries[n : n+rows] {
				e.done <- err
			}
			n += rows
		})
	}
}

// take returns the waiting rows, without those whose callers have gone; nil = none, and this writer ends.
func (w *Writer[R]) take() []*entry[R] {
	w.mu.Lock()
	defer w.mu.Unlock()
	var taken []*entry[R]
	for len(w.waiting) > 0 && len(taken) < w.options.MaxRows {
		e := w.waiting[0]
		w.waiting[0], w.waiting = nil, w.waiting[1:]
		<-w.places
		if !e.gone.Load() {
			taken = append(taken, e)
		}
	}
	if taken == nil {
		w.waiting = nil
		w.writing--
	}
	return taken
}

func (w *Writer[R]) store(rows []R, settle func(err error, rows int)) {
	Split(rows, w.options.Splits, func(rows []R) error {
		ctx, cancel := context.WithTimeout(context.Background(), w.options.CommitTimeout)
		defer cancel()
		return w.commit(ctx, rows)
	}, settle)
}

// Split commits rows; when that fails and splits reports that one of them may be the cause, it commits their halves, in
// order, down to single rows. settle receives the result of each run of rows, in order, none left out.
func Split[R any](rows []R, splits func(error) bool, commit func([]R) error, settle func(err error, rows int)) {
	err := commit(rows)
	if err == nil || len(rows) == 1 || !splits(err) {
		settle(err, len(rows))
		return
	}
	half := len(rows) / 2
	Split(rows[:half], splits, commit, settle)
	Split(rows[half:], splits, commit, settle)
}

package postgres

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"phonebill/core/delivery"
	"phonebill/core/id"
)

// A claim looks at so many lines at a time, so many times at most: what is pending of more lines, and not due, is looked at by the next.
const (
	linesPerLook = 256
	looks        = 8
)

// rounds goes round the lines that have pending events, so that a claim need not look at all of them and each has its turn.
type rounds struct {
	mu    sync.Mutex
	after []byte // the line that was looked at last
}

// head tells whether a line is due.
type head struct {
	line []byte
	due  bool
}

// due answers up to most lines that are due. look answers lines in order, from the one after the given.
func (r *rounds) due(most int, look func(after []byte, most int64) ([]head, error)) ([][]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var due [][]byte
	begin, wrapped := r.after, len(r.after) == 0
	for range looks {
		heads, err := look(append([]byte{}, r.after...), linesPerLook)
		if err != nil {
			return nil, err
		}
		for _, h := range heads {
			if wrapped && len(begin) > 0 && bytes.Compare(h.line, begin) > 0 {
				return due, nil // once round
			}
			if r.after = h.line; h.due {
				due = append(due, h.line)
			}
			if len(due) == most {
				return due, nil
			}
		}
		if len(heads) < linesPerLook {
			r.after = nil
			if wrapped {
				return due, nil
			}
			wrapped = true
		}
	}
	return due, nil
}

// batches puts claimed rows together line by line, each line's in order.
func batches[R any](rows []R, line func(R) []byte, sequence func(R) *int64) [][]R {
	slices.SortFunc(rows, func(a, b R) int {
		if c := bytes.Compare(line(a), line(b)); c != 0 {
			return c
		}
		return int(*sequence(a) - *sequence(b))
	})
	var all [][]R
	for i, row := range rows {
		if i == 0 || !bytes.Equal(line(row), line(rows[i-1])) {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], row)
	}
	return all
}

// settlements are settled items as columns.
type settlements struct {
	ids     []uuid.UUID
	fences  []int64
	states  []string
	nextAts []time.Time
	made    []bool
	notes   []string
}

func settlementsOf(items []delivery.Settled) (c settlements) {
	for _, i := range items {
		c.ids = append(c.ids, uuid.UUID(i.ID))
		c.fences = append(c.fences, i.Fence)
		c.states = append(c.states, string(i.State))
		c.nextAts = append(c.nextAts, i.Next)
		c.made = append(c.made, i.Attempt.Made())
		c.notes = append(c.notes, i.Attempt.Note)
	}
	return c
}

// all tells whether every item was settled.
func (c settlements) all(settled int64) error {
	if settled < int64(len(c.ids)) {
		return conflict(0)
	}
	return nil
}

// unreadable is the verdict on an event of which a stored part cannot be opened: a person must look.
func unreadable(part string) *delivery.Attempt {
	return &delivery.Attempt{Outcome: delivery.Rejected, Note: "the stored " + part + " cannot be opened"}
}

// attemptsOf puts attempts to their events.
func attemptsOf[R any](ctx context.Context, page []delivery.Told, read func(context.Context, []uuid.UUID) ([]R, error),
	of func(R) (id.ID, delivery.Made),
) error {
	at := make(map[id.ID]int, len(page))
	ids := make([]uuid.UUID, len(page))
	for i, told := range page {
		at[told.ID], ids[i] = i, uuid.UUID(told.ID)
	}
	rows, err := read(ctx, ids)
	if err != nil {
		return translate("read attempts", err)
	}
	for _, row := range rows {
		event, made := of(row)
		page[at[event]].Last = append(page[at[event]].Last, made)
	}
	for _, told := range page {
		slices.SortStableFunc(told.Last, func(a, b delivery.Made) int { return b.At.Compare(a.At) })
	}
	return nil
}

// began is when the three days of an event began.
func began(final, replayed *time.Time) time.Time {
	if replayed != nil {
		return replayed.UTC()
	}
	return moment(final)
}

// counted is a number that may not be given yet.
func counted(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

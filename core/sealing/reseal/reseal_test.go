package reseal_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/sealing"
	"phonebill/core/sealing/reseal"
	"phonebill/ports"
)

var errAway = errors.New("away")

// form is a database's form.
type form struct {
	now   sealing.Form
	after sealing.Form // raising to more than it fails; 0 = never
	away  bool
}

func (f *form) Form(context.Context) (sealing.Form, error) {
	if f.away {
		return 0, errAway
	}
	return f.now, nil
}

func (f *form) Raise(_ context.Context, to sealing.Form) error {
	if f.after > 0 && to > f.after {
		return errAway
	}
	f.now = max(f.now, to)
	return nil
}

// table has n rows, of which one does not open.
type table struct {
	name        string
	n, bad      int
	done        map[string]bool
	count, read error
}

func (t *table) Table() string                      { return t.name }
func (t *table) Count(context.Context) (int, error) { return t.n, t.count }

func (t *table) Reseal(_ context.Context, after string, n int) (b sealing.Batch, err error) {
	first, _ := strconv.Atoi(after)
	for i := first + 1; i <= min(t.n, first+n); i++ {
		b.Next = strconv.Itoa(i)
		b.Seen++
		switch {
		case i == t.bad:
			b.Unreadable = append(b.Unreadable, b.Next)
		case !t.done[b.Next]:
			t.done[b.Next] = true
			b.Resealed++
		}
	}
	return b, t.read
}

// world is a job over two databases, its clock, and how long it has waited.
type world struct {
	*reseal.Service
	one, two   *form
	big, small *table
	now        time.Time
	waited     []time.Duration
	progress   []reseal.Progress
}

func newWorld() *world {
	w := &world{
		one: &form{now: sealing.Column}, two: &form{now: sealing.Row}, now: time.Unix(1_800_000_000, 0),
		big: &table{name: "one.big", n: 25, done: map[string]bool{}}, small: &table{name: "two.small", n: 5,
			done: map[string]bool{}},
	}
	w.Service = &reseal.Service{
		Databases: []reseal.Database{
			{Name: "one", Form: w.one, Rows: []ports.SealedRows{w.big}}, {Name: "two", Form: w.two,
				Rows: []ports.SealedRows{w.small}},
		},
		Settle: 10 * time.Second, Batch: 10, PerSecond: 10, Now: func() time.Time { return w.now },
		Wait: func(ctx context.Context, d time.Duration) error {
			w.waited = append(w.waited, d)
			w.now = w.now.Add(d)
			return ctx.Err()
		},
		Progress: func(p reseal.Progress) { w.progress = append(w.progress, p) },
	}
	return w
}

func TestEverythingIsSealedAnewAtTheRateAndThenTheOlderFormIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld()
	r, err := w.Run(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, reseal.Report{Seen: 30, Resealed: 30, Form: sealing.RowOnly}, r)
	require.Equal(t, []sealing.Form{sealing.RowOnly, sealing.RowOnly}, []sealing.Form{w.one.now, w.two.now})
	require.Equal(t, []time.Duration{
		10 * time.Second, time.Second, time.Second, 500 * time.Millisecond, 500 * time.Millisecond,
		time.Second, time.Second, 500 * time.Millisecond, 500 * time.Millisecond,
	}, w.waited, "first until all write the new form, then ten rows a second, twice")
	require.Equal(t, reseal.Progress{Table: "one.big", Seen: 10, Rows: 30, Resealed: 10, Batch: 10, Left: 2 * time.Second},
		w.progress[0])
	require.Zero(t, w.progress[3].Left)

	again, err := w.Run(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, reseal.Report{Seen: 30, Form: sealing.RowOnly}, again)
	require.NotContains(t, w.waited[9:], 10*time.Second, "there is nothing to wait for")
}

func TestAnInterruptedJobIsRunAgain(t *testing.T) {
	t.Parallel()
	w := newWorld()
	ctx, cut := context.WithCancel(t.Context())
	w.Progress = func(reseal.Progress) { cut() }
	_, err := w.Run(ctx, false)
	require.ErrorIs(t, err, context.Canceled)
	f, err := w.Form(t.Context())
	require.NoError(t, err)
	require.Equal(t, sealing.Row, f, "both forms are read")
	w.Progress = func(reseal.Progress) {}
	before := len(w.waited)
	r, err := w.Run(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, 30, r.Seen)
	require.Less(t, r.Resealed, 30, "what was done is done")
	require.Equal(t, 10*time.Second, w.waited[before], "an instance may have missed the change")
}

func TestTheOlderFormStaysWhileSomethingDoesNotOpen(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.small.bad = 3
	r, err := w.Run(t.Context(), false)
	require.ErrorIs(t, err, reseal.ErrUnreadable)
	require.Equal(t, reseal.Report{Seen: 30, Resealed: 29, Unreadable: []reseal.Row{{"two.small", "3"}},
		Form: sealing.Row}, r)
	require.Equal(t, sealing.Row, w.one.now)
	r, err = w.Run(t.Context(), true)
	require.NoError(t, err)
	require.Equal(t, sealing.RowOnly, r.Form)
	require.Equal(t, sealing.RowOnly, w.one.now)
}

func TestTroubleEndsTheJob(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(w *world){
		"form": func(w *world) { w.two.away = true }, "raise": func(w *world) { w.one.after = sealing.Column },
		"end": func(w *world) { w.two.after = sealing.Row }, "count": func(w *world) { w.small.count = errAway },
		"rows": func(w *world) { w.big.read = errAway },
		"wait": func(w *world) { w.Wait = func(context.Context, time.Duration) error { return errAway } },
	} {
		w := newWorld()
		broken(w)
		_, err := w.Run(t.Context(), false)
		require.ErrorIs(t, err, errAway, name)
	}
}

// TestRowsWrittenInTheOlderFormMeanwhileAreSealedToo: the older form is refused only after a pass that found none of
// it.
func TestRowsWrittenInTheOlderFormMeanwhileAreSealedToo(t *testing.T) {
	t.Parallel()
	w := newWorld()
	written := false
	w.Progress = func(p reseal.Progress) {
		if p.Table == "two.small" && !written {
			written = true
			delete(w.big.done, "3")
		}
	}
	r, err := w.Run(t.Context(), false)
	require.NoError(t, err)
	require.True(t, w.big.done["3"], "it would be lost")
	require.Equal(t, reseal.Report{Seen: 30, Resealed: 31, Form: sealing.RowOnly}, r)
}

// TestTheOlderFormStaysWhileAnInstanceWritesIt: one that was forgotten.
func TestTheOlderFormStaysWhileAnInstanceWritesIt(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.Progress = func(reseal.Progress) { delete(w.big.done, "3") }
	r, err := w.Run(t.Context(), false)
	require.ErrorIs(t, err, reseal.ErrStillWritten)
	require.Equal(t, sealing.Row, r.Form)
	require.Equal(t, []sealing.Form{sealing.Row, sealing.Row}, []sealing.Form{w.one.now, w.two.now})
}

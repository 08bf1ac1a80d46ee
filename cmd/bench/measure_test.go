package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// safeBuffer is a bytes.Buffer for concurrent use.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// written reads the only report in the folder; the zero report when there is none.
func written(t *testing.T, dir string) (r report) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	require.NoError(t, err)
	if len(files) == 0 {
		return r
	}
	require.Len(t, files, 1)
	raw, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &r))
	return r
}

// TestEachScenarioIsPrintedAndWrittenAsItEnds: a later scenario finds the earlier ones printed and in the report. One
// that fails does not stop the others, and an interrupted run keeps what was measured.
func TestEachScenarioIsPrintedAndWrittenAsItEnds(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	var out, shown safeBuffer
	o := options{out: t.TempDir(), progress: newProgress(&shown, time.Hour)}
	defer o.progress.close()
	measured := func(name string) func(context.Context, options, *report) error {
		return func(_ context.Context, o options, r *report) error {
			o.progress.step("load of " + name)
			r.Rows = append(r.Rows, row{Scenario: name, Subject: "subject of " + name})
			r.Bars = append(r.Bars, bar{Name: "bar of " + name, Want: "1", Seen: 1, Met: true})
			return nil
		}
	}
	all := []scenario{
		{"S1", measured("S1")},
		{"S2", func(context.Context, options, *report) error {
			require.Contains(t, out.String(), "subject of S1")
			require.Len(t, written(t, o.out).Rows, 1)
			return errors.New("no database")
		}},
		{"S3", measured("S3")},
		{"S4", func(ctx context.Context, _ options, _ *report) error {
			require.Len(t, written(t, o.out).Rows, 2)
			interrupt()
			return ctx.Err()
		}},
		{"S5", measured("S5")},
	}
	err := measure(ctx, o, all, newReport(time.Now()), &out)
	require.ErrorContains(t, err, "S2: no database")
	require.ErrorIs(t, err, errInterrupted)
	require.NotErrorIs(t, err, context.Canceled, "the process must not exit as if all was well")

	r := written(t, o.out)
	require.Len(t, r.Rows, 2)
	require.Len(t, r.Bars, 2)
	require.Len(t, r.Scenarios, 4, "S5 was not begun")
	require.Equal(t, "S4: interrupted", r.Scenarios[3].Error)
	require.Contains(t, out.String(), "not measured: S2: no database")
	require.NotContains(t, out.String(), "subject of S5")
	require.Equal(t, 1, strings.Count(shown.String(), "load of S3"))
}

// TestProgressIsShownAtIntervals also while a scenario announces no step.
func TestProgressIsShownAtIntervals(t *testing.T) {
	t.Parallel()
	var shown safeBuffer
	p := newProgress(&shown, time.Millisecond)
	p.begin("S1")
	p.step("closed load")
	require.Eventually(t, func() bool { return strings.Count(shown.String(), "S1,   0 s: closed load\n") > 2 },
		5*time.Second, time.Millisecond)
	p.end()
	p.close()
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-d", "2s", "-only", "S1", "-out", "x"})
	require.NoError(t, err)
	require.Equal(t, []any{2 * time.Second, 64, "S1", "x"}, []any{o.duration, o.connections, o.only, o.out})
	_, err = parse([]string{"-only", "X1"})
	require.ErrorContains(t, err, "X1")
	_, err = parse([]string{"S1"})
	require.ErrorContains(t, err, "S1")
}

// TestOpenLoadCountsFromWhenARequestWasDue: while a server answers nothing, requests that become due wait, and their
// waiting is part of their time.
func TestOpenLoadCountsFromWhenARequestWasDue(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	addr := serveTest(t, func() { <-release })
	time.AfterFunc(700*time.Millisecond, func() { close(release) })
	r := open(t.Context(), 1, time.Second, 100, func(int) request { return newRequest(addr, "GET", "/", "", "") })
	require.Greater(t, r.Requests, 40)
	require.Greater(t, r.P99, 400*time.Millisecond, "the first was sent when it was due")
	require.Greater(t, r.P50, 50*time.Millisecond, "most of those after it were due while it waited")
}

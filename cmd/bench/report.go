package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// row is one line of the table.
type row struct {
	Scenario string `json:"scenario"`
	Subject  string `json:"subject"`
	Closed   result `json:"closed"` // throughput
	Open     result `json:"open"`   // latency at half the slowest throughput
	// CPU is what the subject's process used for each request of the closed load; 0: not measured.
	CPU    time.Duration `json:"cpuPerRequestNs,omitempty"`
	warmUp int           // requests answered before the measurement
}

// bar is a figure of the quality bars with the value that was seen.
type bar struct {
	Name string  `json:"name"`
	Want string  `json:"want"`
	Seen float64 `json:"seen"`
	Met  bool    `json:"met"`
}

// report is what is written as JSON.
type report struct {
	At        time.Time `json:"at"`
	Scenarios []ran     `json:"scenarios"`
	Rows      []row     `json:"rows"`
	Bars      []bar     `json:"bars"`
	Notes     []string  `json:"notes,omitempty"`
}

// ran is a scenario that was run.
type ran struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"` // why it was not measured to the end
}

func newReport(at time.Time) *report { return &report{At: at.UTC()} }

// add appends what one scenario measured.
func (r *report) add(scenario string, part *report, took time.Duration, err error) {
	entry := ran{Name: scenario, Seconds: took.Seconds()}
	if err != nil {
		entry.Error = err.Error()
	}
	r.Scenarios = append(r.Scenarios, entry)
	r.Rows = append(r.Rows, part.Rows...)
	r.Bars = append(r.Bars, part.Bars...)
	r.Notes = append(r.Notes, part.Notes...)
}

// The table's columns have fixed widths, because each scenario is printed as soon as it has ended.
const (
	tableHeader = "%-8s %-44s %8s %8s %8s %10s %8s %8s %7s %8s\n"
	tableRow    = "%-8s %-44s %8.0f %8.2f %8.2f %10.0f %8.2f %8.2f %7d %8s\n"
)

// print writes the rows, bars and notes of one scenario.
func (r *report) print(out io.Writer, scenario string, took time.Duration) error {
	w := &errWriter{out: out}
	if len(r.Rows) > 0 {
		w.printf(tableHeader, "scenario", "subject", "req/s", "p50 ms", "p99 ms", "open rate", "p50 ms", "p99 ms",
			"errors", "CPU us")
	}
	for _, x := range r.Rows {
		w.printf(tableRow, x.Scenario, x.Subject, x.Closed.PerSecond, ms(x.Closed.P50), ms(x.Closed.P99),
			x.Open.PerSecond, ms(x.Open.P50), ms(x.Open.P99), x.Closed.Errors+x.Open.Errors, x.cpu())
	}
	for _, b := range r.Bars {
		w.printf("%s\n", b)
	}
	for _, n := range r.Notes {
		w.printf("note: %s\n", n)
	}
	w.printf("%s took %s\n\n", scenario, took.Round(time.Second))
	return w.err
}

// cpu returns the CPU time per request, in microseconds, or a dash.
func (x row) cpu() string {
	if x.CPU == 0 {
		return "-"
	}
	return strconv.FormatInt(x.CPU.Microseconds(), 10)
}

// String returns the bar as a line of the table.
func (b bar) String() string {
	mark := "missed"
	if b.Met {
		mark = "met"
	}
	return fmt.Sprintf("%-46s %s, seen %.2f: %s", b.Name, b.Want, b.Seen, mark)
}

// summarize writes all bars once more, what was not measured, and where the report is.
func (r *report) summarize(out io.Writer, dir string) error {
	w := &errWriter{out: out}
	for _, b := range r.Bars {
		w.printf("%s\n", b)
	}
	for _, s := range r.Scenarios {
		if s.Error != "" {
			w.printf("not measured: %s\n", s.Error)
		}
	}
	w.printf("report: %s\n", r.path(dir))
	return w.err
}

func (r *report) path(dir string) string {
	return filepath.Join(dir, r.At.Format("20060102T150405Z")+".json")
}

// write replaces the JSON file by one with what has been measured so far. A reader never sees half a file.
func (r *report) write(dir string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = os.MkdirAll(dir, 0o750)
	}
	next := r.path(dir) + ".tmp"
	if err == nil {
		err = os.WriteFile(next, append(raw, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(next, r.path(dir))
	}
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// errWriter prints until the first error and keeps it.
type errWriter struct {
	out io.Writer
	err error
}

func (w *errWriter) printf(format string, args ...any) {
	_, err := fmt.Fprintf(w.out, format, args...)
	w.err = errors.Join(w.err, err)
}

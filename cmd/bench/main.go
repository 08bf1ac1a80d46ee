// Command bench measures phonebill against bare baselines, everything in one run on one machine: what counts are ratios
// (docs/bench.md). It starts its own servers on loopback, each as a process of its own, prints a table and writes JSON.
//
//	bench [-d 10s] [-c 64] [-only S1,S2] [-out bench/out]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"phonebill/cmd/internal/boot"
)

func main() { os.Exit(boot.Main(run)) }

// options of a run.
type options struct {
	duration    time.Duration // of each load
	connections int
	only        string
	out         string
	crowd       time.Duration // how long the thousand customers of S3 stay
	think       time.Duration // of each of them between two requests, on average
	rows        int           // of history that lookups are measured with
	towns       *towns
}

// row is one line of the table.
type row struct {
	Scenario string `json:"scenario"`
	Subject  string `json:"subject"`
	Closed   result `json:"closed"` // throughput
	Open     result `json:"open"`   // latency at half the slowest throughput
	warmUp   int    // requests answered before what is measured
}

// bar is a figure of the quality bars with what was seen.
type bar struct {
	Name string  `json:"name"`
	Want string  `json:"want"`
	Seen float64 `json:"seen"`
	Met  bool    `json:"met"`
}

// report is what is written as JSON.
type report struct {
	At   time.Time `json:"at"`
	Rows []row     `json:"rows"`
	Bars []bar     `json:"bars"`
	Note []string  `json:"notes,omitempty"`
}

// scenario measures its subjects; the first is the baseline.
type scenario struct {
	name string
	run  func(ctx context.Context, o options, r *report) error
}

// scenarios are in an order in which S3 need not wait long for the budget that warming up has spent.
func scenarios() []scenario {
	return []scenario{
		{"S1", gatewayScenario}, {"S2", billScenario}, {"S5", startScenario}, {"S6", loginScenario}, {"S3", customersScenario},
		{"S4", growthScenario}, {"S7", carrierScenario}, {"S8", offloadScenario},
	}
}

func run(ctx context.Context, _ boot.Env, out io.Writer, _ *slog.Logger) error {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		return serve(ctx, out, os.Args[2:])
	}
	if len(os.Args) > 1 && os.Args[1] == "gateway" {
		return serveGateway(ctx, out, os.Args[2:])
	}
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.DurationVar(&o.duration, "d", 8*time.Second, "duration of each load")
	flags.IntVar(&o.connections, "c", 64, "connections")
	flags.StringVar(&o.only, "only", "", "scenarios to run, separated by commas; empty = all")
	flags.StringVar(&o.out, "out", "bench/out", "folder for the JSON report")
	flags.DurationVar(&o.crowd, "crowd", time.Minute, "how long the 1,000 customers of S3 stay; at most 15m")
	flags.DurationVar(&o.think, "think", 2500*time.Millisecond, "think time of the 1,000 customers of S3")
	flags.IntVar(&o.rows, "rows", 1_000_000, "rows of history that lookups are measured with")
	profile := flags.Bool("profile", false, "write a CPU profile of every process of ours into the folder of the report")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if err := known(flags.Args(), o.only); err != nil {
		return err
	}
	if *profile {
		dir, err := filepath.Abs(o.out)
		if err == nil {
			err = os.Setenv(boot.CPUProfile, dir) // for everything that is started
		}
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	o.towns = &towns{}
	defer o.towns.close()
	r := &report{At: time.Now().UTC()}
	for _, s := range scenarios() {
		if o.only != "" && !strings.Contains(","+o.only+",", ","+s.name+",") {
			continue
		}
		if err := s.run(ctx, o, r); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return errors.Join(r.print(out), r.write(o.out))
}

// known refuses arguments and scenarios that there are not: a measurement of nothing must not look like one that was done.
func known(surplus []string, only string) error {
	if len(surplus) > 0 {
		return fmt.Errorf("bench: %q is no option", surplus[0])
	}
	if only == "" {
		return nil
	}
	names := make([]string, 0, len(scenarios()))
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	for _, name := range strings.Split(only, ",") {
		if !slices.Contains(names, name) {
			return fmt.Errorf("bench: -only: there is no scenario %q, but %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}

// subject is something that can be put under load.
type subject struct {
	name string
	next func(connection int) request
}

// compare loads the subjects one after the other: first closed for their throughput, then all at the same open rate, half the
// slowest throughput, for their latency.
func compare(ctx context.Context, o options, r *report, name string, subjects ...subject) ([]row, error) {
	rows := make([]row, len(subjects))
	slowest := 0.0
	for i, s := range subjects {
		warm := closed(ctx, o.connections, time.Second, s.next)
		rows[i] = row{Scenario: name, Subject: s.name, Closed: closed(ctx, o.connections, o.duration, s.next), warmUp: warm.Requests}
		if rows[i].Closed.Requests == 0 {
			return nil, errors.New(s.name + " answered nothing: " + rows[i].Closed.FirstErr)
		}
		if slowest == 0 || rows[i].Closed.PerSecond < slowest {
			slowest = rows[i].Closed.PerSecond
		}
	}
	then, err := spent() // Linux only: not told elsewhere
	for i, s := range subjects {
		rows[i].Open = open(ctx, o.connections, o.duration, slowest/2, s.next)
	}
	if err == nil {
		if who, err := since(then); err == nil {
			r.Note = append(r.Note, name+" at the open rate, "+who)
		}
	}
	r.Rows = append(r.Rows, rows...)
	return rows, ctx.Err()
}

func (r *report) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, err := fmt.Fprintln(t, "scenario\tsubject\treq/s\tp50 ms\tp99 ms\topen rate\tp50 ms\tp99 ms\terrors\t")
	for _, x := range r.Rows {
		_, err2 := fmt.Fprintf(t, "%s\t%s\t%.0f\t%.2f\t%.2f\t%.0f\t%.2f\t%.2f\t%d\t\n", x.Scenario, x.Subject,
			x.Closed.PerSecond, ms(x.Closed.P50), ms(x.Closed.P99), x.Open.PerSecond, ms(x.Open.P50), ms(x.Open.P99),
			x.Closed.Errors+x.Open.Errors)
		err = errors.Join(err, err2)
	}
	err = errors.Join(err, t.Flush())
	_, err2 := fmt.Fprintln(out)
	err = errors.Join(err, err2)
	for _, b := range r.Bars {
		mark := "missed"
		if b.Met {
			mark = "met"
		}
		_, err2 := fmt.Fprintf(out, "%-46s %s, seen %.2f: %s\n", b.Name, b.Want, b.Seen, mark)
		err = errors.Join(err, err2)
	}
	for _, n := range r.Note {
		_, err2 := fmt.Fprintln(out, "note:", n)
		err = errors.Join(err, err2)
	}
	return err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (r *report) write(dir string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	path := filepath.Join(dir, r.At.Format("20060102T150405Z")+".json")
	if err := os.WriteFile(path, append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

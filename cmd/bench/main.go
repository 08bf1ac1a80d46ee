// Command bench measures phonebill against bare baselines, everything in one run on one machine: what counts are ratios
// (docs/bench.md). It starts its own servers on loopback, each as a process of its own. It prints the rows of a
// scenario and writes the JSON report as soon as the scenario has ended, and shows its progress on stderr. Begin with
// run (main.go).
//
//	bench [-d 10s] [-c 64] [-only S1,S2] [-out bench/out]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	think       time.Duration // mean time of each of them between two requests
	held        time.Duration // how long S3+ lasts
	rows        int           // of history that lookups are measured with
	users       int           // who call through the gateways of S1
	datasets    *datasets
	progress    *progress
}

// scenario measures its subjects; the first is the baseline.
type scenario struct {
	name string
	run  func(ctx context.Context, o options, r *report) error
}

// scenarios are in an order in which S3 need not wait long for the budget that filling the copies has spent.
func scenarios() []scenario {
	return []scenario{
		{"S1", gatewayScenario}, {"S2", billScenario}, {"S5", startScenario}, {"S6", loginScenario},
		{"S3", customersScenario}, {"S3+", doubledScenario}, {"S4", growthScenario},
		{"S7", carrierScenario}, {"S8", offloadScenario},
	}
}

func run(ctx context.Context, env boot.Env, out io.Writer, _ *slog.Logger) error {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		return serve(ctx, out, os.Args[2:])
	}
	if len(os.Args) > 1 && os.Args[1] == "gateway" {
		return serveGateway(ctx, env, out, os.Args[2:])
	}
	o, err := parse(os.Args[1:])
	if err != nil {
		return err
	}
	o.datasets = &datasets{}
	defer o.datasets.close()
	o.progress = newProgress(os.Stderr, progressInterval)
	defer o.progress.close()
	return measure(ctx, o, scenarios(), newReport(time.Now()), out)
}

// parse reads the command line. It refuses what would look like a measurement and measure nothing.
func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.DurationVar(&o.duration, "d", 8*time.Second, "duration of each load")
	flags.IntVar(&o.connections, "c", 64, "connections")
	flags.StringVar(&o.only, "only", "", "scenarios to run, separated by commas; empty = all")
	flags.StringVar(&o.out, "out", "bench/out", "folder for the JSON report")
	flags.DurationVar(&o.crowd, "crowd", time.Minute, "how long the 1,000 customers of S3 stay; at most 15m")
	flags.DurationVar(&o.think, "think", 2500*time.Millisecond, "think time of the 1,000 customers of S3")
	flags.DurationVar(&o.held, "held", 3*time.Minute, "how long S3+ holds 1,000 requests a second; at most 15m")
	flags.IntVar(&o.rows, "rows", 1_000_000, "rows of history that lookups are measured with")
	flags.IntVar(&o.users, "users", 10_000, "users of S1: each may make 100 requests a minute, some more")
	profile := flags.Bool("profile", false, "write a CPU profile of every process of ours into the folder of the report")
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("bench: %w", err)
	}
	if err := validate(flags.Args(), o.only); err != nil {
		return o, err
	}
	if *profile {
		dir, err := filepath.Abs(o.out)
		if err == nil {
			err = os.Setenv(boot.CPUProfile, dir) // for every process that is started
		}
		if err != nil {
			return o, fmt.Errorf("bench: %w", err)
		}
	}
	return o, nil
}

// validate returns an error for surplus arguments and unknown scenarios.
func validate(surplus []string, only string) error {
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

// measure runs the scenarios one after the other. After each it prints its rows, bars and notes and writes the report,
// so that an interrupted run keeps what was measured. A scenario that fails is reported and does not stop the others.
func measure(ctx context.Context, o options, all []scenario, r *report, out io.Writer) error {
	var failures error
	for _, s := range all {
		if o.only != "" && !strings.Contains(","+o.only+",", ","+s.name+",") {
			continue
		}
		part, began := &report{}, time.Now()
		o.progress.begin(s.name)
		err := s.run(ctx, o, part)
		o.progress.end()
		if ctx.Err() != nil {
			err = errInterrupted
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", s.name, err)
			failures = errors.Join(failures, err)
		}
		r.add(s.name, part, time.Since(began), err)
		if err := errors.Join(part.print(out, s.name, time.Since(began)), r.write(o.out)); err != nil {
			return errors.Join(failures, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failures, r.summarize(out, o.out))
}

// errInterrupted is the error of a scenario that a signal ended. It does not wrap context.Canceled, so that the process
// exits with an error.
var errInterrupted = errors.New("interrupted")

// subject is something that can be put under load.
type subject struct {
	name string
	next func(connection int) request
	pid  int // of its process, if it has one whose CPU time is of interest
	warm int // how many requests to answer at least before the measurement
}

// longestWarmUp is how many seconds a subject is warmed up beyond the first.
const longestWarmUp = 20

// compare loads the subjects one after the other: first closed for their throughput, then all at the same open rate,
// half the slowest throughput, for their latency.
func compare(ctx context.Context, o options, r *report, name string, subjects ...subject) ([]row, error) {
	rows := make([]row, len(subjects))
	slowest := 0.0
	for i, s := range subjects {
		o.progress.step("closed load: " + s.name)
		warmUp := closed(ctx, o.connections, time.Second, s.next)
		for more := 0; warmUp.Requests > 0 && warmUp.Requests < s.warm && more < longestWarmUp; more++ {
			warmUp.Requests += closed(ctx, o.connections, time.Second, s.next).Requests
		}
		begun := cpuBelow(s.pid)
		load := closed(ctx, o.connections, o.duration, s.next)
		rows[i] = row{Scenario: name, Subject: s.name, Closed: load, warmUp: warmUp.Requests}
		rows[i].CPU = (cpuBelow(s.pid) - begun) / time.Duration(max(load.Requests, 1))
		if load.Requests == 0 {
			return nil, errors.New(s.name + " answered nothing: " + load.FirstErr)
		}
		if slowest == 0 || load.PerSecond < slowest {
			slowest = load.PerSecond
		}
	}
	before, err := cpuSnapshot() // works on Linux only; elsewhere there is no note about it
	for i, s := range subjects {
		o.progress.step(fmt.Sprintf("open load, %.0f requests/s: %s", slowest/2, s.name))
		rows[i].Open = open(ctx, o.connections, o.duration, slowest/2, s.next)
	}
	if err == nil {
		if used, err := cpuUsedSince(before); err == nil {
			r.Notes = append(r.Notes, name+" at the open rate, "+used)
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err() // rows of a load that was cut short would mislead
	}
	r.Rows = append(r.Rows, rows...)
	return rows, nil
}

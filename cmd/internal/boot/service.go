package boot

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
)

// Service is Main for a program whose configuration is the environment: beside its options it takes no arguments. What
// it does not know it refuses with exit code 2 instead of starting something else than was meant.
func Service(run Run, options ...func(*flag.FlagSet)) int {
	if asksVersion(os.Args) {
		return Main(run)
	}
	if code, ok := arguments(os.Args, os.Stderr, options...); !ok {
		return code
	}
	LetHeapGrow(os.Getenv, heapGrowth)
	return Main(run)
}

// How much a process's heap may grow before it is collected, in percent of what lives, unless the operator sets GOGC.
const (
	// heapGrowth is for a service. Heaps are small here, so collecting them twice as often as Go would costs little
	// (docs/bench.md, S4).
	heapGrowth = 50
	// GatewayHeapGrowth is for the gateway, which every request passes: each collection makes the requests of its time
	// some milliseconds slower, so fewer collections make the 99th percentile better (docs/bench.md, S1).
	GatewayHeapGrowth = 200
	// AllInOneHeapGrowth is for a process that holds all services: its heap is larger, so that a collection takes
	// longer, and the requests of all services wait for it (docs/bench.md, S2).
	AllInOneHeapGrowth = 200
)

// LetHeapGrow sets by how much the heap grows before it is collected, in percent, unless the operator has set GOGC.
func LetHeapGrow(env Env, growth int) {
	if env("GOGC") == "" {
		debug.SetGCPercent(growth)
	}
}

// arguments reads args, the program's name first; unless ok, the program ends with the code.
func arguments(args []string, out io.Writer, options ...func(*flag.FlagSet)) (code int, ok bool) {
	name := filepath.Base(args[0])
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(out)
	for _, add := range options {
		add(flags)
	}
	flags.Usage = func() {
		_, _ = fmt.Fprintf(out, "Usage: %s [options]\n\n"+
			"Configuration is by environment variables; docs/configuration.md names them and their defaults.\n\n"+
			"Options:\n  -h\tprint this\n  -version\n    \tprint version, commit and date\n", name)
		flags.PrintDefaults()
	}
	const wrong = 2
	switch err := flags.Parse(args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return 0, false
	case err != nil:
		return wrong, false
	case flags.NArg() > 0:
		_, _ = fmt.Fprintf(out, "%s: %q is no option\n", name, flags.Arg(0))
		flags.Usage()
		return wrong, false
	}
	return 0, true
}

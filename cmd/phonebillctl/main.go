// Command phonebillctl is the operator's tool. So far it knows one thing: `phonebillctl demo [-file .data/demo.json]` drives the
// whole journey of a customer against the running system.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/demo"
)

func main() { os.Exit(boot.Main(run)) }

func run(ctx context.Context, env boot.Env, out io.Writer, _ *slog.Logger) error {
	args := os.Args[1:]
	if len(args) == 0 || args[0] != "demo" {
		return errors.New("usage: phonebillctl demo [-file .data/demo.json]")
	}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	path := flags.String("file", filepath.Join(cmp.Or(env("PHONEBILL_DATA"), ".data"), "demo.json"), "the file that `make run` wrote")
	if err := flags.Parse(args[1:]); err != nil {
		return fmt.Errorf("phonebillctl demo: %w", err)
	}
	f, err := demo.Read(*path)
	if err != nil {
		return err
	}
	return demo.Journey(ctx, f, out)
}

// Command phonebill is the all-in-one of `make run`: everything phonebill needs and is, in one process, on one machine. With
// -split each service is a process of its own.
package main

import (
	"os"
	"slices"

	"phonebill/cmd/internal/allinone"
	"phonebill/cmd/internal/boot"
)

func main() {
	run := allinone.Run
	if slices.Contains(os.Args[1:], "-split") {
		run = allinone.RunSplit
	}
	os.Exit(boot.Main(run))
}

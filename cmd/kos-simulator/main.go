// Command kos-simulator serves the KOS simulator (adapters/kos/kossim) and its control API. Its environment is
// simulators.KOS.
package main

import (
	"os"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/simulators"
)

func main() { os.Exit(boot.Service(boot.ServeUnit(simulators.LoadKOS, simulators.NewKOS))) }

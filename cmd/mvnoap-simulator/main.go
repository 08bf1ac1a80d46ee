// Command mvnoap-simulator serves the MVNO AP simulator (adapters/mvnoap/mvnoapsim) and its control API. Its
// environment is simulators.AP.
package main

import (
	"os"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/simulators"
)

func main() { os.Exit(boot.Service(boot.ServeUnit(simulators.LoadAP, simulators.NewAP))) }

// Command gateway is the single entry. Its environment is gateway.Config.
package main

import (
	"os"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/gateway"
	"phonebill/cmd/internal/compose/service"
)

func main() { os.Exit(boot.Service(service.Run(gateway.Load, gateway.NewWithProxies))) }

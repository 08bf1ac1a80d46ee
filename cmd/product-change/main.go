// Command product-change is the product change service. Its environment is productchange.Config.
package main

import (
	"os"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/productchange"
	"phonebill/cmd/internal/compose/service"
)

func main() { os.Exit(boot.Service(service.Run(productchange.Load, productchange.New))) }

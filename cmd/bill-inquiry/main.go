// Command bill-inquiry is the bill inquiry service. Its environment is billinquiry.Config.
package main

import (
	"os"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/billinquiry"
	"phonebill/cmd/internal/compose/service"
)

func main() { os.Exit(boot.Service(service.Run(billinquiry.Load, billinquiry.New))) }

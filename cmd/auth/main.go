// Command auth is the auth service: login, tokens, permissions. Its environment is auth.Config.
package main

import (
	"os"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/auth"
	"phonebill/cmd/internal/compose/service"
)

func main() { os.Exit(boot.Service(service.Run(auth.Load, auth.New))) }

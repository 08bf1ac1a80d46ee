// Command auth is the auth service: login, tokens, permissions. Its environment is auth.Config.
package main

import (
	"os"

	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/auth"
	"phonebill/cmd/internal/compose/service"
)

func main() {
	auth.ServeHashes()
	load := func(env boot.Env) (auth.Config, error) { return auth.Load(auth.WithHashWorker(env)) }
	os.Exit(boot.Service(service.Run(load, auth.New)))
}

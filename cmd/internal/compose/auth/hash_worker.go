package auth

import (
	"io"
	"os"

	"phonebill/adapters/credentials"
	"phonebill/cmd/internal/boot"
)

// hashWorkerVariable names the variable with the program that hashes passwords (Login.HashWorker).
const hashWorkerVariable = "HASH_WORKER"

// ServeHashes makes this process a hash worker if it was started as one, and then ends it with its parent. A program
// that WithHashWorker names as the worker calls it before anything else.
func ServeHashes() {
	if len(os.Args) == 2 && os.Args[1] == credentials.WorkerArgument {
		credentials.BeWorker()
		os.Exit(serveHashes(os.Stdin, os.Stdout))
	}
}

func serveHashes(in io.Reader, out io.Writer) (code int) {
	if credentials.Work(in, out) != nil {
		return 1
	}
	return 0
}

// WithHashWorker returns env with this program as the one that hashes passwords, unless env names another or "off".
func WithHashWorker(env boot.Env) boot.Env { return withHashWorker(env, os.Executable) }

func withHashWorker(env boot.Env, self func() (string, error)) boot.Env {
	return func(key string) string {
		v := env(key)
		if key == hashWorkerVariable && v == "" {
			v, _ = self() // unknown: none
		}
		return v
	}
}

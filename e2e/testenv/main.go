// Command testenv runs a command with a PostgreSQL and a cache server of its own, which exist as long as the command
// does:
//
//	go run ./e2e/testenv go test -race ./...
//
// Servers that the environment names already (PHONEBILL_TEST_DATABASE_URL, PHONEBILL_TEST_VALKEY_ADDR) are used
// instead. The exit code is the command's.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"phonebill/adapters/devservers"
)

func main() {
	os.Exit(start(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

func start(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	if len(args) == 0 {
		_, _ = fmt.Fprintln(stderr, "usage: testenv COMMAND [ARGUMENT...]")
		return 2
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	code, err := run(ctx, signals, args, stdout, stderr)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "testenv:", err)
	}
	return code
}

// run starts the servers, runs the command, stops the servers. The code is 1 when the command could not run at all.
func run(ctx context.Context, signals <-chan os.Signal, args []string, stdout, stderr io.Writer) (code int,
	failed error) {
	env := append(os.Environ(), "PHONEBILL_TEST_REQUIRED=1", "PHONEBILL_ENV=development")
	if os.Getenv("PHONEBILL_TEST_DATABASE_URL") == "" {
		dir, done, err := folder()
		if err != nil {
			return 1, err
		}
		defer done()
		// where scripts/deps.sh puts them without the right to install packages
		bin, err := devservers.FindBinaries(".data/pg/bin")
		if err != nil {
			return 1, err
		}
		server, err := devservers.StartPostgreSQL(ctx, devservers.PostgreSQLOptions{
			Dir: dir, MaxConnections: 400, Binaries: []string{bin},
		})
		if err != nil {
			return 1, err
		}
		defer func() { failed = errors.Join(failed, server.Stop(ctx)) }()
		// some tests start servers of their own
		env = append(env, "PHONEBILL_TEST_DATABASE_URL="+server.AdminURL(), "PG_BINDIR="+bin)
	}
	if os.Getenv("PHONEBILL_TEST_VALKEY_ADDR") == "" {
		cache, err := devservers.StartCache(ctx, devservers.CacheOptions{})
		if err != nil {
			return 1, err
		}
		defer func() { failed = errors.Join(failed, cache.Stop(ctx)) }()
		env = append(env, "PHONEBILL_TEST_VALKEY_ADDR="+cache.Addr(), "PHONEBILL_TEST_VALKEY_PASSWORD="+cache.Password())
	}
	select {
	case <-signals: // interrupted while starting
		return 1, errors.New("interrupted")
	default:
	}
	return command(ctx, signals, env, args, stdout, stderr)
}

// command runs the command in a process group of its own and hands our signals to the whole group, so that each process
// of it gets each signal once, whether it came from a terminal or from kill.
func command(ctx context.Context, signals <-chan os.Signal, env, args []string, stdout, stderr io.Writer) (int, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("run %s: %w", args[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if number, ok := s.(syscall.Signal); ok {
				_ = syscall.Kill(-cmd.Process.Pid, number)
			}
		case err := <-ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				return 0, err
			}
			if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				return 128 + int(status.Signal()), nil
			}
			return exit.ExitCode(), nil
		}
	}
}

// folder makes the database's temporary folder, and a function that removes it.
func folder() (string, func(), error) {
	dir, err := devservers.TempDir(prefix)
	if err != nil {
		return "", nil, err
	}
	sweep(filepath.Dir(dir))
	return filepath.Join(dir, "postgres"), func() { _ = os.RemoveAll(dir) }, nil
}

const prefix = "phonebill-testenv-"

// sweep removes what testenvs left in memory that were killed by SIGKILL: folders whose lock (pgserver's) no process
// holds. One that is starting right now may not hold its lock yet, hence the minute.
func sweep(base string) {
	locks, _ := filepath.Glob(filepath.Join(base, prefix+"*", "postgres", "lock")) // the only error is a bad pattern
	for _, lock := range locks {
		if info, err := os.Stat(lock); err != nil || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		f, err := os.OpenFile(lock, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(filepath.Dir(filepath.Dir(lock)))
		}
		_ = f.Close()
	}
}

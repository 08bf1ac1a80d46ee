// Package child runs a server program as a child that cannot outlive us: the private PostgreSQL and cache of `make run`
// and `make test`. It is plumbing below the adapters, not an adapter: it knows the standard library only.
package child

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// Process is a running child. All methods may be called from many goroutines.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; read only after done is closed
}

// Start starts cmd in a process group of its own, so that Ctrl-C at the terminal reaches this process and not the
// child, which is stopped when its users are done. Where the system can (Linux), the kernel sends orphaned to the child
// when this process dies, even by SIGKILL. cred is the user to run as; nil means the same user.
func Start(cmd *exec.Cmd, cred *syscall.Credential, orphaned syscall.Signal) (*Process, error) {
	cmd.SysProcAttr = attributes(cred, orphaned)
	cmd.WaitDelay = 5 * time.Second
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel's "parent died" means the thread that forked, not the process: this goroutine keeps its thread
		// until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// Env returns the environment for a server program: the variables that a program needs to run at all, and more. The
// secrets in this process's environment are not passed to a database or a cache.
func Env(more ...string) []string {
	var env []string
	for _, key := range []string{"PATH", "HOME", "USER", "TMPDIR", "TZ", "LANG", "LC_ALL", "LD_LIBRARY_PATH",
		"DYLD_LIBRARY_PATH"} {
		if value, set := os.LookupEnv(key); set {
			env = append(env, key+"="+value)
		}
	}
	return append(env, more...)
}

// PID returns the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended, for whatever reason.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns how the child ended; nil while it runs and after a clean exit.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Stop sends each signal in turn, waiting up to grace (or the end of ctx) after each, and SIGKILL at last; it returns
// when the child has ended. An error means that the child had to be killed. Stopping an ended child does nothing.
func (p *Process) Stop(ctx context.Context, grace time.Duration, signals ...syscall.Signal) error {
	for _, s := range signals {
		if err := p.cmd.Process.Signal(s); errors.Is(err, os.ErrProcessDone) {
			break
		}
		if p.wait(ctx, grace) {
			return nil
		}
	}
	select {
	case <-p.done:
		return nil
	default:
	}
	err := p.cmd.Process.Kill()
	<-p.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return fmt.Errorf("%s (pid %d) did not stop and was killed", p.cmd.Path, p.PID())
}

func (p *Process) wait(ctx context.Context, grace time.Duration) bool {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}

// Unprivileged returns the user that servers run as when this process is root: the first of names that exists. Nil
// means that this process is not root and children run as the same user.
func Unprivileged(names ...string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nil is the answer "as ourselves", as in SysProcAttr.Credential
	}
	return lookup(names)
}

func lookup(names []string) (*syscall.Credential, error) {
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("root may not run servers, and none of the users %v exists", names)
}

// FreePort returns a TCP port on 127.0.0.1 that is free now. Another process may take it before the child does: be
// ready to try again.
func FreePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

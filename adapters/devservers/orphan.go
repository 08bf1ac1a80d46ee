package devservers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopOrphan stops a postmaster of this data directory that a killed parent left behind. On Linux the kernel has
// already sent it a signal to quit and this only waits. The caller holds the folder's lock, so no living process of
// ours owns it.
func stopOrphan(ctx context.Context, data string) error {
	pidFile := filepath.Join(data, "postmaster.pid")
	pid, err := readPID(pidFile)
	if err != nil || pid == 0 {
		return err
	}
	if !isPostmaster(ctx, pid, data) {
		// PostgreSQL refuses to start while any process has the number in this file. After a restart of the machine or
		// container that is another process, and the file means nothing.
		if err := os.Remove(pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a stale postmaster.pid: %w", err)
		}
		return nil
	}
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, graceFast}, {syscall.SIGQUIT, graceAtOnce}} {
		if err := syscall.Kill(pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the database left behind (pid %d): %w", pid, err)
		}
		if gone(ctx, pid, data, step.wait) {
			return nil
		}
	}
	return fmt.Errorf("the database left behind by an earlier start (pid %d) does not stop", pid)
}

// readPID reads the first line of postmaster.pid; 0 when there is no such file.
func readPID(file string) (int, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("postmaster.pid: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 {
		return 0, nil //nolint:nilerr // a file cut short by a crash: PostgreSQL itself treats it as stale
	}
	return pid, nil
}

// isPostmaster reports whether pid is a postgres that was started on this data directory; process ids are reused.
func isPostmaster(ctx context.Context, pid int, data string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if errors.Is(err, fs.ErrNotExist) {
		line, err = exec.CommandContext(ctx, "ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	}
	command := strings.ReplaceAll(string(line), "\x00", " ")
	return err == nil && strings.Contains(command, "postgres") && strings.Contains(command, "-D "+data+" ")
}

func gone(ctx context.Context, pid int, data string, within time.Duration) bool {
	limit := time.NewTimer(within)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for isPostmaster(ctx, pid, data) {
		select {
		case <-ctx.Done():
			return false
		case <-limit.C:
			return false
		case <-tick.C:
		}
	}
	return true
}

// tail keeps the end of the server's log for the error message of a failed start.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 2000 // bytes

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - tailSize; extra > 0 {
		t.text = t.text[extra:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

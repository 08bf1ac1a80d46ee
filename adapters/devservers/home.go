package devservers

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"phonebill/adapters/internal/child"
)

// fallbackRoot is where root's server is when its unprivileged user cannot enter the wanted folder.
const fallbackRoot = "/var/lib/phonebill"

// home is the folder of one private server and the user that owns it:
//
//	data/          PostgreSQL's data directory (0700)
//	password       of the superuser (0600), made once
//	postgres.log   what the server says, unless Options.Log takes it
//	lock           held while one of us uses the folder
type home struct {
	dir    string
	cred   *syscall.Credential // nil: ourselves
	lock   *os.File
	notice string
}

func (h *home) data() string         { return filepath.Join(h.dir, "data") }
func (h *home) passwordFile() string { return filepath.Join(h.dir, "password") }

// openHome makes the folder if need be, where the server's user can enter it, and locks it.
func openHome(ctx context.Context, wanted, bin string, cred *syscall.Credential, fallback string) (*home, error) {
	dir, err := filepath.Abs(wanted)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	h := &home{dir: dir, cred: cred}
	if cred != nil {
		if err := h.settle(ctx, bin, fallback); err != nil {
			return nil, err
		}
	}
	if err := h.make(); err != nil {
		return nil, err
	}
	return h, h.acquire()
}

// settle moves the home below fallback when the server's user cannot get to the wanted place (below /root, say).
func (h *home) settle(ctx context.Context, bin, fallback string) error {
	if err := canRun(ctx, bin, "/", h.cred); err != nil {
		return fmt.Errorf("uid %d cannot run PostgreSQL's programs in %s: %w", h.cred.Uid, bin, err)
	}
	parent := filepath.Dir(h.dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if canRun(ctx, bin, parent, h.cred) == nil {
		return nil
	}
	sum := sha256.Sum256([]byte(h.dir))
	wanted := h.dir
	h.dir = filepath.Join(fallback, hex.EncodeToString(sum[:5]))
	h.notice = fmt.Sprintf("the database's user (uid %d) cannot enter %s, so its files are in %s", h.cred.Uid, wanted,
		h.dir)
	if err := os.MkdirAll(fallback, 0o755); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if err := os.Chmod(fallback, 0o755); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	return nil
}

// make makes the folder and gives it to the server's user. A folder of another user is refused, not taken over.
func (h *home) make() error {
	if err := os.MkdirAll(h.dir, 0o755); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if h.cred == nil {
		return nil
	}
	info, err := os.Stat(h.dir)
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 && owner.Uid != h.cred.Uid {
		return fmt.Errorf("%s belongs to uid %d: start as that user, or move the folder away", h.dir, owner.Uid)
	}
	if err := os.Chmod(h.dir, 0o755); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	return h.give(h.dir)
}

func (h *home) give(path string) error {
	if h.cred == nil {
		return nil
	}
	if err := os.Chown(path, int(h.cred.Uid), int(h.cred.Gid)); err != nil {
		return fmt.Errorf("give %s to the database's user: %w", path, err)
	}
	return nil
}

// acquire locks the folder for this process. The kernel frees the lock when the process ends, so a postmaster found
// under a free lock is an orphan.
func (h *home) acquire() error {
	f, err := os.OpenFile(filepath.Join(h.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s belongs to another user (was it made by root?): remove it or start as that user: %w", h.dir,
			err)
	}
	if err != nil {
		return fmt.Errorf("lock the data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return fmt.Errorf("%w: %s", ErrInUse, h.dir)
	}
	h.lock = f
	return nil
}

func (h *home) release() { _ = h.lock.Close() }

// dataVersion is the major version that made the data; 0 when there is none yet.
func (h *home) dataVersion() (int, error) {
	text, err := os.ReadFile(filepath.Join(h.data(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("data folder: %w", err)
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("PG_VERSION in %s: %w", h.data(), err)
	}
	return version, nil
}

// password reads the superuser's password, or makes one when there is no data yet.
func (h *home) password() (string, error) {
	text, err := os.ReadFile(h.passwordFile())
	if err == nil && len(text) > 0 {
		return strings.TrimSpace(string(text)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("password file: %w", err)
	}
	if _, err := os.Stat(h.data()); err == nil {
		return "", fmt.Errorf("%s is gone, but the data in %s knows its password: put it back, or move the data away",
			h.passwordFile(), h.data())
	}
	password := rand.Text()
	if err := os.WriteFile(h.passwordFile(), []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	return password, h.give(h.passwordFile())
}

// initialise makes the data directory under another name and renames it at last, so that a crash leaves no half-made
// one.
func (h *home) initialise(ctx context.Context, bin string, durable bool) error {
	if _, err := os.Stat(h.data()); err == nil {
		return nil
	}
	fresh := h.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove a half-made data directory: %w", err)
	}
	args := []string{
		"-D", fresh, "-U", "postgres", "--pwfile", h.passwordFile(), "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", "C", "--no-instructions",
	}
	if !durable {
		args = append(args, "--no-sync")
	}
	if out, err := h.command(ctx, filepath.Join(bin, "initdb"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if err := os.Rename(fresh, h.data()); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

// command prepares a program that runs as the server's user in its folder, with English messages.
func (h *home) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = h.dir
	cmd.Env = child.Env("LC_ALL=C", "HOME="+h.dir)
	if h.cred != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: h.cred}
	}
	return cmd
}

// canRun tries whether the user can enter dir and run the binaries: permissions, ACLs and mounts all count.
func canRun(ctx context.Context, bin, dir string, cred *syscall.Credential) error {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// memoryRoom is what must be free in /dev/shm (bytes): containers often have 64 MiB there, too little for a database.
const memoryRoom = 1 << 30

// TempDir makes a folder for a short-lived server: the server's user can enter it when we are root (not so t.TempDir),
// and it is in memory where there is room, which makes databases that live a second ten times faster. The caller
// removes it.
func TempDir(prefix string) (string, error) {
	base := ""
	var shm syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &shm); err == nil &&
		shm.Bavail*uint64(shm.Bsize) >= memoryRoom { //nolint:gosec // never negative
		base = "/dev/shm"
	}
	dir, err := os.MkdirTemp(base, prefix)
	if err != nil {
		return "", fmt.Errorf("folder of a temporary database: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("folder of a temporary database: %w", err)
	}
	return dir, nil
}

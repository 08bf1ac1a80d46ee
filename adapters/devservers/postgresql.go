// Package devservers starts a private PostgreSQL server and a private cache (valkey-server or redis-server, whichever
// is there) for `make run`, `make test` and `make bench`: random loopback ports, generated passwords, no service of the
// system touched. It works on Linux and macOS, as root (PostgreSQL then runs as an unprivileged user, as it demands)
// and not as root. A deployment uses managed servers and none of this.
package devservers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"phonebill/adapters/internal/child"
)

// ErrInUse means that another running process of ours uses the folder.
var ErrInUse = errors.New("another phonebill uses this data folder")

// PostgreSQLOptions of Start; only Dir must be set.
type PostgreSQLOptions struct {
	Dir string // folder of the server, made if need be; the same folder has the same data
	// false switches fsync off: fast, and lost when the machine (not the process) crashes; for tests
	Durable        bool
	MaxConnections int       // default 200
	Binaries       []string  // folders with PostgreSQL's programs to try before the system's (FindBinaries)
	Log            io.Writer // the server's log; default: postgres.log in its folder, begun anew at each start
}

// PostgreSQL is a running private server. Its methods may be called from many goroutines.
type PostgreSQL struct {
	home     *home
	process  *child.Process
	port     int
	password string
	log      io.Closer
	stop     sync.Once
	stopErr  error
}

const (
	postgreSQLAttempts     = 5 // starts tried: the port may be taken meanwhile, orphaned backends may linger for a moment
	graceFast              = 15 * time.Second
	graceAtOnce            = 10 * time.Second
	postgreSQLStartTimeout = 2 * time.Minute // crash recovery of a big log takes its time
)

// StartPostgreSQL starts the server and waits until it answers. Existing data is kept, and recovered after a crash; a
// postmaster that an earlier crash left behind is stopped first. It returns ErrInUse when another process of ours has
// the folder, and a readable error when no binaries fit. The context limits the start, not the server's life.
func StartPostgreSQL(ctx context.Context, o PostgreSQLOptions) (*PostgreSQL, error) {
	ctx, cancel := context.WithTimeout(ctx, postgreSQLStartTimeout)
	defer cancel()
	found, err := installations(o.Binaries)
	if err != nil {
		return nil, err
	}
	cred, err := child.Unprivileged("postgres", "nobody")
	if err != nil {
		return nil, err
	}
	h, err := openHome(ctx, o.Dir, found[0].dir, cred, fallbackRoot)
	if err != nil {
		return nil, err
	}
	s, err := startIn(ctx, h, found, o)
	if err != nil {
		h.release()
		return nil, err
	}
	return s, nil
}

func startIn(ctx context.Context, h *home, found []installation, o PostgreSQLOptions) (*PostgreSQL, error) {
	version, err := h.dataVersion()
	if err != nil {
		return nil, err
	}
	use, err := choose(found, version)
	if err != nil {
		return nil, err
	}
	if err := stopOrphan(ctx, h.data()); err != nil {
		return nil, err
	}
	password, err := h.password()
	if err != nil {
		return nil, err
	}
	if err := h.initialise(ctx, use.dir, o.Durable); err != nil {
		return nil, err
	}
	s := &PostgreSQL{home: h, password: password, log: io.NopCloser(nil)}
	out := o.Log
	if out == nil {
		file, err := os.OpenFile(filepath.Join(h.dir, "postgres.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("server log: %w", err)
		}
		out, s.log = file, file
	}
	for range postgreSQLAttempts {
		if err = s.launch(ctx, use.dir, out, o); err == nil {
			return s, nil
		}
		if ctx.Err() != nil || !errors.Is(err, errPostgreSQLEnded) {
			break
		}
	}
	_ = s.log.Close()
	return nil, err
}

var errPostgreSQLEnded = errors.New("postgres ended while starting")

// launch runs postgres once on a new port and waits until it takes our password.
func (s *PostgreSQL) launch(ctx context.Context, bin string, out io.Writer, o PostgreSQLOptions) error {
	port, err := child.FreePort(ctx)
	if err != nil {
		return err
	}
	s.port = port
	// Not CommandContext: the server outlives the context of its start.
	cmd := s.home.command(context.WithoutCancel(ctx), filepath.Join(bin, "postgres"), settings(s.home.data(), port, o)...)
	last := &tail{}
	cmd.Stdout = io.MultiWriter(out, last)
	cmd.Stderr = cmd.Stdout
	if s.process, err = child.Start(cmd, s.home.cred, syscall.SIGQUIT); err != nil {
		return err
	}
	if err := s.await(ctx); err != nil {
		_ = s.process.Stop(context.WithoutCancel(ctx), graceAtOnce, syscall.SIGQUIT)
		return fmt.Errorf("%w\n%s", err, last)
	}
	return nil
}

// settings are the command line of the server, without any password.
func settings(data string, port int, o PostgreSQLOptions) []string {
	if o.MaxConnections == 0 {
		o.MaxConnections = 200
	}
	args := []string{
		"-D", data, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", // a socket's path may be too long, and TCP with a password is enough
		"-c", "max_connections=" + strconv.Itoa(o.MaxConnections),
		"-c", "timezone=UTC", "-c", "log_timezone=UTC",
		"-c", "cluster_name=phonebill",
	}
	if !o.Durable {
		args = append(args, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
			"-c", "wal_level=minimal", "-c", "max_wal_senders=0", "-c", "max_wal_size=256MB")
	}
	return args
}

// await polls until a login succeeds, the server ends, or ctx does. A refused password is final.
func (s *PostgreSQL) await(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.AdminURL())
		if err == nil {
			return conn.Close(ctx)
		}
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == "28P01" {
			return fmt.Errorf("the server does not know the password in %s: %w", s.home.passwordFile(), err)
		}
		select {
		case <-s.process.Done():
			return errors.Join(errPostgreSQLEnded, s.process.Err())
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer: %w", errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// AdminURL is the superuser's URL, password included: never log it.
func (s *PostgreSQL) AdminURL() string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", s.password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), Path: "/postgres", RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Dir is where the server's files really are; see Notice.
func (s *PostgreSQL) Dir() string { return s.home.dir }

// Notice is a sentence for the user when the files are not where they were wanted, else "".
func (s *PostgreSQL) Notice() string { return s.home.notice }

// PID is the postmaster's process id.
func (s *PostgreSQL) PID() int { return s.process.PID() }

// Done is closed when the server has ended, asked to or not.
func (s *PostgreSQL) Done() <-chan struct{} { return s.process.Done() }

// Stop ends all sessions, shuts the server down (a fast shutdown: nothing to recover at the next start) and waits for
// it; when that takes longer than 15 s or ctx ends, an immediate shutdown follows (the next start recovers). ctx must
// not be cancelled yet. Further calls do nothing.
func (s *PostgreSQL) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		s.stopErr = s.process.Stop(ctx, graceFast, syscall.SIGINT, syscall.SIGQUIT)
		_ = s.log.Close()
		s.home.release()
	})
	return s.stopErr
}

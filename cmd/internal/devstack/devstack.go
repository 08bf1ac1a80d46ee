// Package devstack is what phonebill needs when it runs on one machine: its own PostgreSQL and cache (or yours), the
// four databases with their roles, the keyring; and its demo data: the demo accounts, the file that lists what runs
// where, and the journey of `make demo`. A deployment brings these itself and needs none of this. Begin with Start.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"phonebill/adapters/devservers"
	"phonebill/adapters/postgres"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/personal"
	"phonebill/migrations"
)

// Stack is what runs.
type Stack struct {
	Dir     string // data folder
	Secrets *Secrets
	Access  postgres.Access
	Cache   service.Cache
	Keyring string
	Notices []string // for the person who started it
	closers []func(context.Context) error
	broken  chan error
}

// Config is where the stack lies, and which servers it uses in place of its own.
type Config struct {
	// Data folder of `make run`.
	Dir string `env:"PHONEBILL_DATA" envDefault:".data"`
	// An admin's URL: `make run` creates the databases `phonebill_*` and their roles there. Without it `make run` starts
	// a private server.
	DatabaseURL personal.Secret `env:"DATABASE_URL"`
	Cache       service.Cache   // with an address, in place of the stack's own
}

// Start brings everything up. ctx limits the start only.
func Start(ctx context.Context, c Config, log *slog.Logger) (*Stack, error) {
	dir := c.Dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	secrets, err := OpenSecrets(filepath.Join(dir, "secrets.json"))
	if err != nil {
		return nil, err
	}
	s := &Stack{Dir: dir, Secrets: secrets, Keyring: filepath.Join(dir, "keyring.json"), broken: make(chan error, 2)}
	if _, err := vault.OpenOrCreate(s.Keyring); err != nil {
		return nil, err
	}
	if err := errors.Join(s.database(ctx, c.DatabaseURL.Reveal(), log), s.cache(ctx, c.Cache, log)); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// database starts PostgreSQL unless there is an admin's URL of one, then creates and migrates the four databases.
func (s *Stack) database(ctx context.Context, admin string, log *slog.Logger) error {
	if admin == "" {
		server, err := devservers.StartPostgreSQL(ctx, devservers.PostgreSQLOptions{
			Dir: filepath.Join(s.Dir, "postgres"), Durable: true, Binaries: []string{filepath.Join(s.Dir, "pg", "bin")},
		})
		if err != nil {
			return err
		}
		s.closers = append(s.closers, server.Stop)
		s.notice(server.Notice())
		go s.watch("PostgreSQL", filepath.Join(server.Dir(), "postgres.log"), server.Done())
		admin = server.AdminURL()
		log.InfoContext(ctx, "PostgreSQL started", "folder", server.Dir(), "pid", server.PID())
	}
	root, err := s.Secrets.Get("databases", Token)
	if err != nil {
		return err
	}
	passwords := postgres.DerivePasswords(root)
	if err := postgres.Provision(ctx, admin, passwords); err != nil {
		return err
	}
	if s.Access, err = postgres.NewAccess(admin, passwords); err != nil {
		return err
	}
	for _, db := range migrations.All() {
		if err := postgres.Migrate(ctx, s.Access.OwnerURL(db), db); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stack) cache(ctx context.Context, c service.Cache, log *slog.Logger) error {
	if c.Addr != "" {
		s.Cache = c
		return nil
	}
	server, err := devservers.StartCache(ctx, devservers.CacheOptions{AllowMini: true})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, server.Stop)
	s.notice(server.Notice())
	go func() { // without it everything goes on, only slower
		<-server.Done()
		log.WarnContext(context.WithoutCancel(ctx), "the cache ended; going on without it until the next start")
	}()
	s.Cache = service.Cache{
		Addr: server.Addr(), Password: personal.NewSecret(server.Password()), Mini: server.Notice() != "",
	}
	log.InfoContext(ctx, "cache started", "server", server.Kind())
	return nil
}

func (s *Stack) notice(text string) {
	if text != "" {
		s.Notices = append(s.Notices, text)
	}
}

func (s *Stack) watch(name, logFile string, done <-chan struct{}) {
	<-done
	select {
	case s.broken <- fmt.Errorf("%s ended by itself; its log says why: %s", name, logFile):
	default:
	}
}

// Broken reports a server that ended by itself.
func (s *Stack) Broken() <-chan error { return s.broken }

// DatabaseURL is what a service uses; it holds a password.
func (s *Stack) DatabaseURL(db migrations.Database) personal.Secret {
	return personal.NewSecret(s.Access.AppURL(db))
}

// Stop takes everything down, the last started first.
func (s *Stack) Stop() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i](context.Background()))
	}
	s.closers = nil
	return errors.Join(errs...)
}

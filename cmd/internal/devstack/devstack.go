// Package devstack is what phonebill needs when it runs on one machine: its own PostgreSQL and cache (or yours), the
// four databases with their roles, the keyring. A deployment brings these itself and needs none of this.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgserver"
	"phonebill/adapters/valkey/cacheserver"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose"
	"phonebill/core/personal"
	"phonebill/migrations"
)

// Stack is running ground.
type Stack struct {
	Dir     string // data folder
	Secrets *Secrets
	Access  postgres.Access
	Cache   compose.Cache
	Keyring string
	Notices []string // for the person who started it
	closers []func(context.Context) error
	broken  chan error
}

// Start brings everything up. DATABASE_URL (an admin's URL) and VALKEY_ADDR (with VALKEY_PASSWORD, VALKEY_CLUSTER) in env name servers
// of yours to use instead. ctx limits the start only.
func Start(ctx context.Context, dir string, env boot.Env, log *slog.Logger) (*Stack, error) {
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
	if err := errors.Join(s.database(ctx, env, log), s.cache(ctx, env, log)); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// database starts or finds PostgreSQL, then creates and migrates the four databases.
func (s *Stack) database(ctx context.Context, env boot.Env, log *slog.Logger) error {
	admin := env("DATABASE_URL")
	if admin == "" {
		server, err := pgserver.Start(ctx, pgserver.Options{
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

func (s *Stack) cache(ctx context.Context, env boot.Env, log *slog.Logger) error {
	if addr := env("VALKEY_ADDR"); addr != "" {
		s.Cache = compose.Cache{
			Addr: addr, Cluster: env("VALKEY_CLUSTER") == "true", Password: personal.NewSecret(env("VALKEY_PASSWORD")),
		}
		return nil
	}
	server, err := cacheserver.Start(ctx, cacheserver.Options{AllowMini: true})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, server.Stop)
	s.notice(server.Notice())
	go func() { // without it everything goes on, only slower
		<-server.Done()
		log.WarnContext(context.WithoutCancel(ctx), "the cache ended; going on without it until the next start")
	}()
	s.Cache = compose.Cache{
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

// Broken tells when a server ended by itself.
func (s *Stack) Broken() <-chan error { return s.broken }

// DatabaseURL is what a service uses; it holds a password.
func (s *Stack) DatabaseURL(db migrations.Database) personal.Secret {
	return personal.NewSecret(s.Access.AppURL(db))
}

// Data answers the stores of a service.
func (s *Stack) Data(db migrations.Database, poolSize int) compose.Data {
	return compose.Data{DatabaseURL: s.DatabaseURL(db), PoolSize: poolSize, Instances: 1, Keyring: s.Keyring, Cache: s.Cache}
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

package auth

import (
	"fmt"
	"time"

	"phonebill/adapters/credentials"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/stores"
	"phonebill/core/auth"
	"phonebill/core/personal"
)

// Config is the environment of the auth service.
type Config struct {
	// Public listener of the auth service.
	Addr string `env:"AUTH_ADDR" envDefault:"127.0.0.1:8081"`
	// Internal listener of the auth service: `/metrics`, probes, internal API with the revocation feed; keep it private.
	Internal    string `env:"AUTH_INTERNAL_ADDR" envDefault:"127.0.0.1:9081"`
	Peers       service.Peers
	Identity    service.Identity
	Database    Database
	Stores      stores.Config
	InternalAPI service.InternalAPI
	Audit       service.AuditCredential
	Sessions    Sessions
	Login       Login
	Searches    Searches
	Draining    boot.Draining
	Process     boot.Process
}

// Database is where accounts are.
type Database struct {
	// URL of the auth database.
	URL personal.Secret `env:"AUTH_DATABASE_URL,required"`
}

// Sessions are how long sessions last. The lifetime of access tokens is the same everywhere and not to be configured:
// all who verify rely on it.
type Sessions struct {
	// When an unused session ends.
	Idle time.Duration `env:"SESSION_IDLE" envDefault:"30m"`
	// When an unused session with auto-login ends.
	IdleAuto time.Duration `env:"SESSION_IDLE_AUTO" envDefault:"24h"`
	// When a session ends, however busy.
	Lifetime time.Duration `env:"SESSION_LIFETIME" envDefault:"24h"`
	// How long a spent refresh token still returns its successor.
	RefreshGrace time.Duration `env:"REFRESH_GRACE" envDefault:"10s"`
	// Sessions of an account; one more login ends the oldest.
	Devices int `env:"SESSION_DEVICES" envDefault:"10" range:"1..1000"`
}

// Policy is the same as a noun.
func (s Sessions) Policy() auth.SessionPolicy {
	p := auth.DefaultSessions()
	p.Idle, p.IdleAuto, p.Refresh, p.RefreshGrace, p.Devices = s.Idle, s.IdleAuto, s.Lifetime, s.RefreshGrace, s.Devices
	return p
}

// Validate implements boot.Config.
func (s Sessions) Validate(f *boot.Faults) {
	f.Weakens("REFRESH_GRACE", s.RefreshGrace > time.Minute,
		"a stolen refresh token would go unnoticed for more than a minute")
}

// Searches are the exact searches of staff.
type Searches struct {
	// Exact searches for a line per member of staff and hour; each line named for an account that does not have it
	// (creation, change) counts too.
	PerHour int `env:"STAFF_SEARCHES_PER_HOUR" envDefault:"30" range:"1..10000"`
}

// Login is how people log in.
type Login struct {
	// `true`: the device cookie is sent over TLS only ([docs/login.md](docs/login.md)). `make run`: `false`.
	SecureCookies bool `env:"AUTH_COOKIE_SECURE" envDefault:"true"`
	// Logins, and as many refreshes, per address (/32, /64 in IPv6) and minute; known devices are exempt; 0 = no limit.
	ThrottlePerMinute int `env:"LOGIN_THROTTLE_PER_MINUTE" envDefault:"600" range:"0..1000000"`
	// The program that hashes passwords at low priority; `off` = the service itself does. By default it is the
	// service's own program, as a process of its own.
	HashWorker string `env:"HASH_WORKER"`
	// Memory that a password hash takes, in KiB. A change rehashes at the next login.
	MemoryKiB int `env:"ARGON2_MEMORY_KIB" envDefault:"19456" range:"8..1048576"`
	// Passes of a password hash. A change rehashes at the next login.
	Passes int `env:"ARGON2_PASSES" envDefault:"2" range:"1..100"`
}

// Validate implements boot.Config.
func (l Login) Validate(f *boot.Faults) {
	least := credentials.DefaultHashParams()
	f.Weakens("ARGON2_MEMORY_KIB", l.MemoryKiB < int(least.MemoryKiB),
		fmt.Sprintf("less than %d KiB a password hash", least.MemoryKiB))
	f.Weakens("ARGON2_PASSES", l.Passes < int(least.Passes),
		fmt.Sprintf("fewer than %d passes a password hash", least.Passes))
	f.Weakens("AUTH_COOKIE_SECURE", !l.SecureCookies, "the device cookie would travel over plain HTTP")
	f.Weakens("LOGIN_THROTTLE_PER_MINUTE", l.ThrottlePerMinute == 0, "logins would not be limited")
}

func (l Login) hashing() credentials.HashParams {
	p := credentials.DefaultHashParams()
	p.MemoryKiB, p.Passes = uint32(l.MemoryKiB), uint32(l.Passes) //nolint:gosec // within bounds
	return p
}

// hashWorker is the command that hashes passwords; empty = this process does.
func (l Login) hashWorker() []string {
	if l.HashWorker == "" || l.HashWorker == "off" {
		return nil
	}
	return []string{l.HashWorker, credentials.WorkerArgument}
}

// Load reads the configuration; its error names every fault.
func Load(env boot.Env) (Config, error) { return boot.Load[Config](env) }

// Validate implements boot.Config.
func (c Config) Validate(f *boot.Faults) {
	c.Peers.Validate(f)
	c.Identity.Validate(f)
	c.Stores.Validate(f)
	c.InternalAPI.Validate(f)
	c.Audit.Validate(f)
	c.Sessions.Validate(f)
	c.Login.Validate(f)
	c.Process.Validate(f)
}

package compose

import (
	"cmp"
	"context"
	"time"

	"phonebill/adapters/argon2"
	"phonebill/adapters/jose"
	"phonebill/adapters/passwords"
	"phonebill/adapters/postgres"
	"phonebill/adapters/rest/authapi"
	"phonebill/adapters/rest/feed"
	"phonebill/adapters/valkey"
	"phonebill/cmd/internal/boot"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/auth/caller"
	"phonebill/core/auth/guess"
	"phonebill/core/auth/login"
	"phonebill/core/auth/password"
	"phonebill/core/throttle"
	"phonebill/ports"
)

// Counters of guesses that nobody made for a day, on ids that may not even exist, are forgotten (decision 4), a few at a time.
const (
	guessesKept = 24 * time.Hour
	sweepEvery  = time.Minute
	sweepMost   = 500
)

// callersEvery is how often the keys of services are read again; retiring one takes effect within it.
const callersEvery = 2 * time.Second

// callers knows the systems that call for their users (decision 23).
func (p *parts) callers(keys ports.ServiceKeys) *caller.Registry {
	r := caller.NewRegistry(keys, p.Now)
	p.worker("service keys", callersEvery, func(ctx context.Context) (int, error) { return 0, r.Reload(ctx) })
	return r
}

// Auth wires the auth service.
func Auth(ctx context.Context, c AuthConfig, t Tools) (*boot.Unit, error) {
	p := begin("auth", c.Listen, t)
	at, err := p.stores(ctx, c.Data)
	if err != nil {
		return p.failed(err)
	}

	users := postgres.NewUsers(at.pool, at.keyring)
	guesses := postgres.NewGuesses(at.pool, at.keyring, auth.DefaultLockout())
	rows := postgres.NewSessions(at.pool)
	sessions := valkey.NewCachedSessions(at.cache, rows, at.keyring, p.Log)
	policy := auth.DefaultSessions()
	issuer, err := jose.NewIssuer(ctx, postgres.NewSigningKeys(at.pool, at.keyring), p.Now, p.NewID)
	if err != nil {
		return p.failed(err)
	}
	guard := p.guard(func(context.Context) ([]byte, error) { return issuer.JWKS(), nil }, rows)
	guard.Live = &access.Live{Sessions: sessions, Policy: policy, Now: p.Now}

	hasher := argon2.NewPool(cmp.Or(c.Login.Hashing, argon2.Default()), c.Login.HashWorker, p.Log)
	p.unit.OnClose(hasher.Close)
	limiter := &guess.Limiter{Guesses: guesses, Now: p.Now}
	credentials, devices := passwords.New(hasher, users), jose.NewDevices(at.keyring)
	history := postgres.NewLoginHistory(at.pool, at.keyring)
	logins := &login.Service{
		Users: users, Guesses: limiter, Sessions: sessions, History: history, Credentials: credentials, Devices: devices,
		Throttle: valkey.NewThrottle(at.cache, at.keyring, p.Log), Rate: throttle.Logins(c.Login.ThrottlePerMinute),
		Access: issuer, Refresh: jose.NewRefreshTokens(at.keyring), Push: guard.Revoked, Policy: policy, Now: p.Now, NewID: p.NewID,
	}
	changes := &password.Service{
		Users: users, Guesses: limiter, Credentials: credentials, Hasher: hasher, Devices: devices, Sessions: sessions,
		Push: guard.Revoked, History: history, Now: p.Now, NewID: p.NewID,
	}
	handlers := &authapi.Handlers{
		Logins: logins, Passwords: changes, Access: &access.Service{Users: users, Guesses: guesses, Now: p.Now},
		Callers: p.callers(postgres.NewServiceKeys(at.pool)), JWKS: issuer.JWKS, Now: p.Now, PlainCookies: c.Login.PlainCookies,
	}
	p.worker("guesses", sweepEvery, func(ctx context.Context) (int, error) {
		now := p.Now()
		return guesses.Sweep(ctx, now.Add(-guessesKept), now, sweepMost)
	})
	p.inside.Handle("POST "+feed.UsePath, feed.UseHandler(guard.Live, p.Log))
	p.inside.Handle("GET "+feed.Path, feed.Handler(rows, p.Log))
	return p.serve(authapi.Spec, handlers.Mount, guard)
}

package compose

import (
	"context"

	"phonebill/adapters/argon2"
	"phonebill/adapters/jose"
	"phonebill/adapters/postgres"
	"phonebill/adapters/rest/authapi"
	"phonebill/adapters/rest/feed"
	"phonebill/adapters/valkey"
	"phonebill/cmd/internal/boot"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/auth/login"
)

// Auth wires the auth service.
func Auth(ctx context.Context, c AuthConfig, t Tools) (*boot.Unit, error) {
	p := begin("auth", c.Listen, t)
	pool, err := p.pool(ctx, "database", c.DatabaseURL, c.PoolSize)
	if err != nil {
		return p.failed(err)
	}
	keyring, err := p.vault(c.Data)
	if err != nil {
		return p.failed(err)
	}
	cache, err := p.cache(ctx, c.Cache)
	if err != nil {
		return p.failed(err)
	}

	users := postgres.NewUsers(pool, keyring)
	guesses := postgres.NewGuesses(pool, keyring, auth.DefaultLockout())
	rows := postgres.NewSessions(pool)
	sessions := valkey.NewCachedSessions(cache, rows, keyring, p.Log)
	policy := auth.DefaultSessions()
	issuer, err := jose.NewIssuer(ctx, postgres.NewSigningKeys(pool, keyring), p.Now, p.NewID)
	if err != nil {
		return p.failed(err)
	}
	guard := p.guard(func(context.Context) ([]byte, error) { return issuer.JWKS(), nil }, rows)
	guard.Live = &access.Live{Sessions: sessions, Policy: policy, Now: p.Now}

	logins := &login.Service{
		Users: users, Guesses: guesses, Sessions: sessions, History: postgres.NewLoginHistory(pool, keyring),
		Hasher: argon2.New(argon2.Default()), Access: issuer, Refresh: jose.NewRefreshTokens(keyring), Ended: guard.Revoked.Add,
		Policy: policy, Now: p.Now, NewID: p.NewID,
	}
	handlers := &authapi.Handlers{
		Logins: logins, Access: &access.Service{Users: users, Guesses: guesses, Now: p.Now}, JWKS: issuer.JWKS, Now: p.Now,
	}
	p.inside.Handle("GET "+feed.Path, feed.Handler(rows, p.Log))
	return p.serve(authapi.Spec, handlers.Mount, guard)
}

package compose

import (
	"context"

	"phonebill/adapters/argon2"
	"phonebill/adapters/jose"
	"phonebill/adapters/postgres"
	"phonebill/adapters/rest/authapi"
	"phonebill/adapters/rest/feed"
	"phonebill/adapters/totp"
	"phonebill/adapters/valkey"
	"phonebill/cmd/internal/boot"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/auth/login"
	"phonebill/core/auth/mfa"
)

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

	factors := postgres.NewSecondFactors(at.pool, at.keyring)
	history := postgres.NewLoginHistory(at.pool, at.keyring)
	logins := &login.Service{
		Users: users, Guesses: guesses, Sessions: sessions, History: history,
		Hasher: argon2.New(argon2.Default()), Access: issuer, Refresh: jose.NewRefreshTokens(at.keyring), Push: guard.Revoked,
		Factors: factors, Codes: totp.Codes{},
		Policy: policy, Now: p.Now, NewID: p.NewID,
	}
	handlers := &authapi.Handlers{
		Logins: logins, MFA: &mfa.Service{
			Users: users, Factors: factors, Codes: totp.Codes{}, History: history, Reauthenticate: logins.Reauthenticate, Now: p.Now, NewID: p.NewID,
		}, Access: &access.Service{Users: users, Guesses: guesses, Now: p.Now}, JWKS: issuer.JWKS, Now: p.Now,
	}
	p.inside.Handle("POST "+feed.UsePath, feed.UseHandler(guard.Live, p.Log))
	p.inside.Handle("GET "+feed.Path, feed.Handler(rows, p.Log))
	return p.serve(authapi.Spec, handlers.Mount, guard)
}

package compose

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"time"

	"phonebill/adapters/credentials"
	"phonebill/adapters/jose"

	"phonebill/adapters/postgres"
	"phonebill/adapters/rest/authapi"
	"phonebill/adapters/rest/internalapi"

	"phonebill/adapters/valkey"
	"phonebill/cmd/internal/boot"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/auth/login"
	"phonebill/core/auth/selfservice"
	"phonebill/core/auth/servicekeys"
	"phonebill/core/auth/signingkeys"
	"phonebill/core/auth/verify"

	"phonebill/core/retention"
	"phonebill/core/retention/purge"
	"phonebill/core/throttle"
	"phonebill/migrations"
	"phonebill/openapi"
	"phonebill/ports"
)

// lookAtKeys is how often each instance looks whether keys were rotated or one is due.
const lookAtKeys = time.Second

// Counters of guesses that nobody made for a day, on ids that may not even exist, are forgotten (ADR 16), a few at a time.
const (
	guessesKept = 24 * time.Hour
	sweepEvery  = time.Minute
	sweepMost   = 500
)

// Sessions are looked up for 30 days after they expired, for who asks what happened, and then forgotten.
const sessionsKept = 30 * 24 * time.Hour

// clashesEvery is how often accounts whose ids differ in case alone are reported, the first time at the start.
const clashesEvery = time.Hour

// callersEvery is how often the keys of services are read again; retiring one takes effect within it.
const callersEvery = 2 * time.Second

// callers knows the systems that call for their users (ADR 29).
func (p *parts) callers(keys ports.ServiceKeys) *servicekeys.Registry {
	r := servicekeys.NewRegistry(keys, p.Now)
	p.worker("service keys", callersEvery, func(ctx context.Context) (int, error) { return 0, r.Reload(ctx) })
	return r
}

// Auth wires the auth service.
func Auth(ctx context.Context, c AuthConfig, t Tools) (*boot.Unit, error) {
	p := begin("auth", c.Listen, t)
	if err := distinct(c.InternalToken, c.GatewayAuditToken); err != nil {
		return p.failed(err)
	}
	at, err := p.stores(ctx, c.Data, migrations.Auth)
	if err != nil {
		return p.failed(err)
	}

	users := postgres.NewUsers(at.pool, at.keyring)
	guesses := postgres.NewGuesses(at.pool, at.keyring, auth.DefaultLockout())
	stored := valkey.NewCachedSessions(at.cache, postgres.NewSessions(at.pool), at.keyring, p.Log)
	policy := c.Sessions
	history := postgres.NewLoginHistory(at.pool, at.keyring)
	p.retain(purge.History{Name: "logins", Years: retention.Logins, Purge: postgres.PurgeLogins(at.pool)})
	issuer, err := p.issuer(ctx, postgres.NewSigningKeys(at.pool, at.keyring))
	if err != nil {
		return p.failed(err)
	}
	revocations := postgres.NewRevocations(at.pool, policy.Access, auth.DefaultKeys())
	guard := p.guard(func(context.Context) ([]byte, error) { return issuer.JWKS(), nil }, revocations)
	guard.Live = &access.Live{Sessions: stored, Policy: policy, Now: p.Now}
	others, err := p.listen(at.cache, c.InternalToken, guard.Revoked)
	if err != nil {
		return p.failed(err)
	}
	push := everywhere{guard.Revoked, others}

	hasher := credentials.NewHashPool(cmp.Or(c.Login.Hashing, credentials.DefaultHashParams()), c.Login.HashWorker, p.Log)
	p.unit.OnClose(hasher.Close)
	hashing := verify.NewHashQueue(max(1, runtime.NumCPU()/2))
	limiter := &verify.Limiter{Guesses: guesses, Now: p.Now}
	passwords, devices := credentials.New(hasher, users), jose.NewDevices(at.keyring)
	factors := postgres.NewSecondFactors(at.pool, at.keyring)
	logins := &login.Service{
		Users: users, Guesses: limiter, Sessions: stored, History: history, Credentials: passwords, Devices: devices,
		Throttle: valkey.NewThrottle(at.cache, at.keyring, p.Log), Rate: throttle.Logins(c.Login.ThrottlePerMinute),
		Turns:  hashing,
		Access: issuer, Refresh: jose.NewRefreshTokens(at.keyring), Push: push, Factors: factors, Codes: credentials.OneTimeCodes{},
		Policy: policy, Now: p.Now, NewID: p.NewID,
	}
	changes := &selfservice.Passwords{
		Users: users, Guesses: limiter, Credentials: passwords, Hasher: hasher, Turns: hashing, Devices: devices, Sessions: stored,
		Push: push, History: history, Factors: factors, Codes: credentials.OneTimeCodes{}, Now: p.Now, NewID: p.NewID,
	}
	room := staffRoom{
		Tools: p.Tools, pool: at.pool, keyring: at.keyring, sessions: stored, hasher: hasher, push: push, report: p.report, alerts: p.alerts,
		policy: policy, searches: c.Searches,
	}
	auditLog := room.auditLog()
	administration := room.administration(auditLog)
	p.internal.Token, p.internal.Revocations, p.internal.SessionUse = c.InternalToken, revocations, guard.Live
	p.internal.Searches, p.internal.Audit = administration, &internalapi.AuditTrail{
		Log: auditLog, Accounts: users.ByID, Gateway: c.GatewayAuditToken,
		AcceptsUncredentialed: func() bool { return at.keyring.Form().Older() },
	}
	p.worker("audit-checkpoints", attestEvery, p.attesting(room.attester()).Step)
	p.worker("user ids that clash", clashesEvery, func(ctx context.Context) (int, error) { return 0, administration.ReportClashes(ctx) })
	handlers := &authapi.Handlers{
		Logins: logins, Passwords: changes, Access: &access.Service{Users: users, Guesses: guesses, Now: p.Now},
		MFA: &selfservice.SecondFactors{
			Users: users, Factors: factors, Codes: credentials.OneTimeCodes{}, History: history, Guesses: limiter, Reauthenticate: changes.Reauthenticate,
			Devices: devices, Sessions: stored, Push: push, Now: p.Now, NewID: p.NewID,
		},
		Sessions: &selfservice.Sessions{Sessions: stored, History: history, Push: push, Policy: policy, Now: p.Now, NewID: p.NewID},
		Admin:    administration, History: &selfservice.LoginHistory{Records: history},
		Callers: p.callers(postgres.NewServiceKeys(at.pool)), JWKS: issuer.JWKS, Now: p.Now, PlainCookies: c.Login.PlainCookies,
	}
	p.worker("guesses", sweepEvery, func(ctx context.Context) (int, error) {
		now := p.Now()
		return guesses.Sweep(ctx, now.Add(-guessesKept), now, sweepMost)
	})
	p.worker("sessions", sweepEvery, func(ctx context.Context) (int, error) {
		return stored.Sweep(ctx, p.Now().Add(-sessionsKept), sweepMost)
	})
	return p.serve(openapi.Auth, handlers.Mount, guard)
}

func signingKeys(stored ports.SigningKeys, now ports.Clock) *signingkeys.Service {
	return &signingkeys.Service{Keys: stored, Make: jose.NewKey, Schedule: auth.DefaultKeys(), Now: now}
}

// issuer signs with the keys of the store; the instances rotate them together.
func (p *parts) issuer(ctx context.Context, stored ports.SigningKeys) (*jose.TokenIssuer, error) {
	issuer, err := jose.NewIssuer(ctx, stored, auth.DefaultKeys(), p.Now, p.NewID)
	if err != nil {
		return nil, err
	}
	rotation := signingKeys(stored, p.Now)
	p.worker("signing-keys", lookAtKeys, func(ctx context.Context) (int, error) {
		made, err := rotation.Step(ctx)
		if made > 0 {
			p.Log.InfoContext(ctx, "the next signing key is made")
		}
		return 0, errors.Join(err, issuer.Reload(ctx))
	})
	return issuer, nil
}

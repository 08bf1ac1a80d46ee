// Package auth wires the auth service, and the share of it that the operators' command line works on. Begin with New
// (auth.go).
package auth

import (
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
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/stores"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/auth/keys"
	"phonebill/core/auth/login"
	"phonebill/core/auth/selfservice"
	"phonebill/core/auth/verify"
	"phonebill/core/retention/purge"
	"phonebill/core/throttle"
	"phonebill/migrations"
	"phonebill/openapi"
	"phonebill/ports"
)

const (
	// keysInterval is how often each instance looks whether keys were rotated or one is due.
	keysInterval = time.Second
	// clashesInterval is how often accounts whose ids differ in case alone are reported, the first time at the start.
	clashesInterval = time.Hour
	// guessesKept is how long counters of guesses are kept that did not change, on ids that may not even exist (ADR 16).
	guessesKept = 24 * time.Hour
	// sessionsKept is how long sessions can be looked up after they expired.
	sessionsKept = 30 * 24 * time.Hour
	// Both are swept a few at a time.
	sweepInterval = time.Minute
	sweepBatch    = 500
)

// New wires the auth service.
func New(ctx context.Context, c Config, t service.Tools) (*boot.Unit, error) {
	b := service.Begin(service.Auth, service.Listen{
		Addr: c.Addr, Internal: c.Internal, Trusted: c.Peers.Trusted, Draining: c.Draining,
	}, t)
	if err := b.UseIdentity(c.Identity); err != nil {
		return b.Fail(err)
	}
	if err := c.Audit.Distinct(c.InternalAPI.Token); err != nil {
		return b.Fail(err)
	}
	at, err := stores.Open(ctx, b, c.Stores, c.Database.URL, migrations.Auth)
	if err != nil {
		return b.Fail(err)
	}
	users := postgres.NewUsers(at.Pool, at.Keyring)
	guesses := postgres.NewGuesses(at.Pool, at.Keyring, auth.DefaultLockout())
	sessions := valkey.NewCachedSessions(at.Cache, postgres.NewSessions(at.Pool), at.Keyring, b.Log)
	history := postgres.NewLoginHistory(at.Pool, at.Keyring)
	factors := postgres.NewSecondFactors(at.Pool, at.Keyring)
	policy := c.Sessions.Policy()

	// Tokens: their keys, their revocations, their check.
	issuer, err := startIssuer(ctx, b, postgres.NewSigningKeys(at.Pool, at.Keyring))
	if err != nil {
		return b.Fail(err)
	}
	revocations := postgres.NewRevocations(at.Pool, policy.Access, auth.DefaultKeys())
	guard := b.Guard(func(context.Context) ([]byte, error) { return issuer.JWKS(), nil }, revocations)
	guard.Live = &access.Live{Sessions: sessions, Policy: policy, Now: b.Now}
	others, err := b.ReceiveRevocations(at.Cache, c.InternalAPI.Token, guard.Revoked)
	if err != nil {
		return b.Fail(err)
	}
	push := pushes{guard.Revoked, others}

	// Logging in, and what customers do to their own accounts.
	hasher := credentials.NewHashPool(c.Login.hashing(), c.Login.hashWorker(), b.Log)
	b.Unit.OnClose(hasher.Close)
	hashing := verify.NewHashQueue(max(1, runtime.NumCPU()/2))
	limiter := &verify.Limiter{Guesses: guesses, Now: b.Now}
	passwords, devices := credentials.New(hasher, users), jose.NewDevices(at.Keyring)
	logins := &login.Service{
		Users: users, Guesses: limiter, Sessions: sessions, History: history, Credentials: passwords, Devices: devices,
		Throttle: valkey.NewThrottle(at.Cache, at.Keyring, b.Log), Rate: throttle.Logins(c.Login.ThrottlePerMinute),
		Turns: hashing, Access: issuer, Refresh: jose.NewRefreshTokens(at.Keyring), Push: push,
		Factors: factors, Codes: credentials.OneTimeCodes{}, Policy: policy, Now: b.Now, NewID: b.NewID,
	}
	changes := &selfservice.Passwords{
		Users: users, Guesses: limiter, Credentials: passwords, Hasher: hasher, Turns: hashing, Devices: devices,
		Sessions: sessions, Push: push, History: history, Factors: factors, Codes: credentials.OneTimeCodes{},
		Now: b.Now, NewID: b.NewID,
	}
	secondFactors := &selfservice.SecondFactors{
		Users: users, Factors: factors, Codes: credentials.OneTimeCodes{}, History: history, Guesses: limiter,
		Reauthenticate: changes.Reauthenticate, Devices: devices, Sessions: sessions, Push: push,
		Now: b.Now, NewID: b.NewID,
	}

	// Administration and the audit log.
	staff := administration{
		Tools: b.Tools, pool: at.Pool, keyring: at.Keyring, sessions: sessions, hasher: hasher, push: push,
		report: b.Report, alerts: b.Alerts, policy: policy, searches: c.Searches.PerHour,
		process: c.Process,
	}
	auditLog := staff.auditLog()
	admins := staff.service(auditLog)
	b.Worker("audit-checkpoints", attestInterval, reportAttestation(b, staff.attester()).Step)
	b.Worker("user ids that clash", clashesInterval, func(ctx context.Context) (int, error) {
		return 0, admins.ReportClashes(ctx)
	})

	// The internal API.
	b.Internal.Token, b.Internal.Revocations, b.Internal.SessionUse = c.InternalAPI.Token, revocations, guard.Live
	serviceKeys := postgres.NewServiceKeys(at.Pool)
	b.Internal.ServiceKeys = serviceKeys
	b.Internal.Maintenance = postgres.NewMaintenance(at.Pool)
	b.Internal.Searches, b.Internal.Audit = admins, &internalapi.AuditTrail{
		Log: auditLog, Accounts: users.ByID, Gateway: c.Audit.AuditToken,
		AcceptsUncredentialed: func() bool { return at.Keyring.Form().Older() },
	}

	// What is dropped when its time is over.
	stores.Retain(b, purge.History{Name: "logins", Years: purge.Logins, Purge: postgres.PurgeLogins(at.Pool)})
	b.Worker("guesses", sweepInterval, func(ctx context.Context) (int, error) {
		now := b.Now()
		return guesses.Sweep(ctx, now.Add(-guessesKept), now, sweepBatch)
	})
	b.Worker("sessions", sweepInterval, func(ctx context.Context) (int, error) {
		return sessions.Sweep(ctx, b.Now().Add(-sessionsKept), sweepBatch)
	})

	handlers := &authapi.Handlers{
		Logins: logins, Passwords: changes, MFA: secondFactors,
		Access: &access.Service{Users: users, Guesses: guesses, Now: b.Now},
		Sessions: &selfservice.Sessions{
			Sessions: sessions, History: history, Push: push, Policy: policy, Now: b.Now, NewID: b.NewID,
		},
		Admin: admins, History: &selfservice.LoginHistory{Records: history},
		Callers: b.RecogniseServices(serviceKeys), JWKS: issuer.JWKS, Now: b.Now,
		PlainCookies: !c.Login.SecureCookies,
	}
	return b.Finish(openapi.Auth, handlers.Mount, guard)
}

// pushes pushes revocations to each in turn: the own guard first, which is at once.
type pushes []ports.RevocationPush

// Push implements ports.RevocationPush.
func (all pushes) Push(ctx context.Context, ended ...auth.Revocation) {
	if len(ended) == 0 {
		return
	}
	for _, p := range all {
		p.Push(ctx, ended...)
	}
}

func signingKeys(stored ports.SigningKeys, now ports.Clock) *keys.SigningKeys {
	return &keys.SigningKeys{Keys: stored, Make: jose.NewKey, Schedule: auth.DefaultKeys(), Now: now}
}

// startIssuer returns what signs with the keys of the store; the instances rotate them together.
func startIssuer(ctx context.Context, b *service.Builder, stored ports.SigningKeys) (*jose.TokenIssuer, error) {
	issuer, err := jose.NewIssuer(ctx, stored, auth.DefaultKeys(), b.Now, b.NewID)
	if err != nil {
		return nil, err
	}
	rotation := signingKeys(stored, b.Now)
	b.Worker("signing-keys", keysInterval, func(ctx context.Context) (int, error) {
		made, err := rotation.Step(ctx)
		if made > 0 {
			b.Log.InfoContext(ctx, "the next signing key is made")
		}
		return 0, errors.Join(err, issuer.Reload(ctx))
	})
	return issuer, nil
}

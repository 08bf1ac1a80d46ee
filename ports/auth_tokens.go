package ports

import (
	"context"
	"time"

	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/personal"
)

// SigningKeys are the issuer's key pairs.
type SigningKeys interface {
	// List answers all keys, retired ones too, in the order of auth.NewestKeyFirst.
	List(ctx context.Context) ([]auth.SigningKey, error)
	// AddFirst stores the key unless there is any; of many parallel calls one wins.
	AddFirst(ctx context.Context, k auth.SigningKey) error
	// AddNext stores the key if newest is still the first of List, else CONFLICT: of many parallel calls one wins.
	AddNext(ctx context.Context, k auth.SigningKey, newest string) error
	// Retire refuses the key from at on; one that is retired already stays so from its first time. NOT_FOUND when there is none.
	Retire(ctx context.Context, kid string, at time.Time) error
}

// KeyMaker makes a fresh key pair: KeyID and Seed, nothing else.
type KeyMaker func() auth.SigningKey

// AcceptedKeys is told which signing keys are good.
type AcceptedKeys interface {
	// Accept refuses from now on every key but those named, whatever else is known of it, and gets those it does not have yet. The
	// refusal holds also when getting them fails.
	Accept(ctx context.Context, kids []string) error
}

// AccessTokens issues access tokens.
type AccessTokens interface {
	// Issue answers a signed JWT for the principal, good from now until p.ExpiresAt.
	Issue(ctx context.Context, p auth.Principal, now time.Time) (personal.Secret, error)
}

// AccessVerifier checks access tokens offline.
type AccessVerifier interface {
	// Verify answers who the token speaks for, or TOKEN_EXPIRED or TOKEN_INVALID. It does not know revocations.
	Verify(ctx context.Context, token string, now time.Time) (auth.Principal, error)
}

// RefreshTokens makes and reads refresh tokens. A token is derived from a key, sid and generation, so that the same one can
// be made again without being stored (ADR 15).
type RefreshTokens interface {
	// Make answers the one token of that session and generation.
	Make(sid id.ID, generation int) personal.Secret
	// Read answers what Make was given, or REFRESH_TOKEN_INVALID for anything Make did not make.
	Read(token personal.Secret) (sid id.ID, generation int, err error)
}

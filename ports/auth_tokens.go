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
	// List returns all keys, retired ones too, in the order of auth.NewestKeyFirst.
	List(ctx context.Context) ([]auth.SigningKey, error)
	// AddFirst stores the key unless there is any; of many parallel calls one wins.
	AddFirst(ctx context.Context, k auth.SigningKey) error
	// AddNext stores the key if newest is still the first of List, else CONFLICT: of many parallel calls one wins.
	AddNext(ctx context.Context, k auth.SigningKey, newest string) error
	// Retire refuses the key from at on; one that is retired already keeps its first time. NOT_FOUND for an unknown
	// key.
	Retire(ctx context.Context, kid string, at time.Time) error
}

// KeyMaker makes a fresh key pair: KeyID and Seed, nothing else.
type KeyMaker func() auth.SigningKey

// AcceptedKeys receives the list of signing keys that are valid.
type AcceptedKeys interface {
	// Accept refuses from now on every key but those named, and fetches those that are missing. The refusal holds also
	// when fetching fails.
	Accept(ctx context.Context, kids []string) error
}

// AccessTokens issues access tokens.
type AccessTokens interface {
	// Issue returns a signed JWT for the principal, valid from now until p.ExpiresAt.
	Issue(ctx context.Context, p auth.Principal, now time.Time) (personal.Secret, error)
}

// AccessVerifier checks access tokens offline.
type AccessVerifier interface {
	// Verify returns the principal of the token, or TOKEN_EXPIRED or TOKEN_INVALID. It does not know revocations.
	Verify(ctx context.Context, token string, now time.Time) (auth.Principal, error)
}

// RefreshTokens makes and reads refresh tokens. A token is derived from a key, sid and generation, so that the same one
// can be made again without being stored (ADR 15).
type RefreshTokens interface {
	// Make returns the one token of that session and generation.
	Make(sid id.ID, generation int) personal.Secret
	// Read returns the arguments of Make, or REFRESH_TOKEN_INVALID for anything Make did not make.
	Read(token personal.Secret) (sid id.ID, generation int, err error)
}

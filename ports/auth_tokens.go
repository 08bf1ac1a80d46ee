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
	// List answers all keys, newest first.
	List(ctx context.Context) ([]auth.SigningKey, error)
	// AddFirst stores the key unless there is any; of many parallel calls one wins.
	AddFirst(ctx context.Context, k auth.SigningKey) error
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
// be made again without being stored (decision 3).
type RefreshTokens interface {
	// Make answers the one token of that session and generation.
	Make(sid id.ID, generation int) personal.Secret
	// Read answers what Make was given, or REFRESH_TOKEN_INVALID for anything Make did not make.
	Read(token personal.Secret) (sid id.ID, generation int, err error)
}

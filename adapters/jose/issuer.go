// Package jose issues and verifies access tokens (JWT per RFC 9068, EdDSA over Ed25519) and publishes the keys (JWKS,
// RFC 7517); it also derives refresh tokens. Begin with TokenIssuer (issuer.go).
package jose

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/ports"
)

// Names bound into every access token.
const (
	// Issuer is the iss claim.
	Issuer = "phonebill-auth"
	// Audience is the aud claim: access tokens are for the API, refresh tokens are no JWTs at all.
	Audience = "phonebill-api"
	// Type is the typ header of RFC 9068.
	Type = "at+jwt"
)

// Private claims in addition to the registered ones.
const (
	claimSession     = "sid"
	claimRoles       = "roles"
	claimPermissions = "permissions"
	claimCustomer    = "customerId"
	claimLines       = "lines"
	claimEpoch       = "epoch"
	claimDuties      = "duties"
	claimTier        = "tier"
)

// TokenIssuer implements ports.AccessTokens with the keys of a store, each in its time. It is safe for concurrent use.
type TokenIssuer struct {
	newID    ports.IDs
	now      ports.Clock
	keys     ports.SigningKeys
	schedule auth.KeySchedule
	mu       sync.RWMutex
	sign     jwk.Key // nil when no key may sign
	set      []byte
}

// NewKey implements ports.KeyMaker.
func NewKey() auth.SigningKey {
	seed, kid := make([]byte, ed25519.SeedSize), make([]byte, 8)
	_, _ = rand.Read(seed) // never fails since Go 1.24
	_, _ = rand.Read(kid)
	return auth.SigningKey{KeyID: hex.EncodeToString(kid), Seed: personal.NewSecret(string(seed))}
}

// NewIssuer loads the signing keys, making the first one when there is none.
func NewIssuer(
	ctx context.Context, keys ports.SigningKeys, schedule auth.KeySchedule, now ports.Clock, newID ports.IDs,
) (*TokenIssuer, error) {
	first := NewKey()
	first.CreatedAt = now()
	first.ActiveAt = first.CreatedAt
	if err := keys.AddFirst(ctx, first); err != nil {
		return nil, err
	}
	i := &TokenIssuer{newID: newID, now: now, keys: keys, schedule: schedule}
	return i, i.Reload(ctx)
}

// Reload reads the keys again: a rotation by another instance or by command is picked up, a next key begins in its
// time, a retired one is not used any more. Call it every second or so.
func (i *TokenIssuer) Reload(ctx context.Context) error {
	list, err := i.keys.List(ctx)
	if err != nil {
		return err
	}
	now, public := i.now(), jwk.NewSet()
	for _, k := range i.schedule.Published(list, now) {
		private, err := key(k)
		if err != nil {
			return err
		}
		pub, err := private.PublicKey()
		if err != nil {
			return fmt.Errorf("jose: %w", err)
		}
		if err := public.AddKey(pub); err != nil {
			return fmt.Errorf("jose: %w", err)
		}
	}
	set, err := marshalSet(public)
	if err != nil {
		return err
	}
	var signs jwk.Key
	if k, ok := i.schedule.Signer(list, now); ok {
		if signs, err = key(k); err != nil {
			return err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.sign, i.set = signs, set
	return nil
}

func key(k auth.SigningKey) (jwk.Key, error) {
	private, err := jwk.Import(ed25519.NewKeyFromSeed([]byte(k.Seed.Reveal())))
	if err != nil {
		return nil, fmt.Errorf("jose: %w", err)
	}
	for name, v := range map[string]any{jwk.KeyIDKey: k.KeyID, jwk.AlgorithmKey: jwa.EdDSA(),
		jwk.KeyUsageKey: jwk.ForSignature} {
		if err := private.Set(name, v); err != nil {
			return nil, fmt.Errorf("jose: %w", err)
		}
	}
	return private, nil
}

// JWKS returns the public keys that are valid (next, current, previous), newest first, as RFC 7517 JSON.
func (i *TokenIssuer) JWKS() []byte {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return slices.Clone(i.set)
}

var errNoSigner = errors.New("jose: no key may sign")

// Issue returns a signed JWT, valid from now until p.ExpiresAt; SERVICE_UNAVAILABLE when every key is retired.
func (i *TokenIssuer) Issue(_ context.Context, p auth.Principal, now time.Time) (personal.Secret, error) {
	lines := make([]string, len(p.Lines))
	for n, l := range p.Lines {
		lines[n] = l.Digits()
	}
	claims := jwt.NewBuilder().
		Issuer(Issuer).Audience([]string{Audience}).Subject(string(p.UserID)).JwtID(i.newID().String()).
		IssuedAt(now).Expiration(p.ExpiresAt).
		Claim(claimSession, p.SessionID.String()).Claim(claimRoles, p.Roles).Claim(claimPermissions, p.Permissions).
		Claim(claimCustomer, p.CustomerID).Claim(claimLines, lines).Claim(claimEpoch, p.Epoch)
	if len(p.Duties) > 0 {
		claims = claims.Claim(claimDuties, p.Duties)
	}
	if p.Tier.OrDefault() != auth.TierDefault {
		claims = claims.Claim(claimTier, p.Tier)
	}
	token, err := claims.Build()
	if err != nil {
		return personal.Secret{}, fmt.Errorf("jose: %w", err)
	}
	headers := jws.NewHeaders()
	if err := headers.Set(jws.TypeKey, Type); err != nil {
		return personal.Secret{}, fmt.Errorf("jose: %w", err)
	}
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.sign == nil {
		return personal.Secret{}, fault.New(fault.ServiceUnavailable).RetryIn(time.Second).Because(errNoSigner)
	}
	signed, err := jwt.Sign(token, jwt.WithKey(jwa.EdDSA(), i.sign, jws.WithProtectedHeaders(headers)))
	if err != nil {
		return personal.Secret{}, fmt.Errorf("jose: %w", err)
	}
	return personal.NewSecret(string(signed)), nil
}

func parseLines(raw []string) ([]line.Number, error) {
	lines := make([]line.Number, len(raw))
	for n, s := range raw {
		l, err := line.Parse(s)
		if err != nil {
			return nil, err
		}
		lines[n] = l
	}
	return lines, nil
}

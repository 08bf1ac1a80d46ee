package jose

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// FetchKeys answers the issuer's JWKS as JSON.
type FetchKeys func(ctx context.Context) ([]byte, error)

const (
	maxToken  = 8 << 10         // longer tokens are refused unread
	leeway    = 5 * time.Second // for iat of a clock ahead of ours
	refetch   = 5 * time.Second // an unknown kid asks for the keys at most this often
	remember  = 20_000          // verified tokens kept, per half of the cache
	maxMaxAge = time.Hour       // no token of ours lives longer
)

// Verifier implements ports.AccessVerifier: EdDSA only, keys by kid from the issuer's JWKS and from nowhere else (jku, x5u and
// jwk headers are never looked at). Verified tokens are remembered by their SHA-256 until they expire, in bounded memory;
// revocation is somebody else's question. It is safe for concurrent use.
type Verifier struct {
	fetch FetchKeys

	mu     sync.RWMutex
	keys   map[string]ed25519.PublicKey
	tried  time.Time // when an unknown kid last asked for the keys
	recent map[[sha256.Size]byte]auth.Principal
	older  map[[sha256.Size]byte]auth.Principal
}

// NewVerifier answers a verifier without keys; it fetches them when the first token comes, or on Refresh.
func NewVerifier(fetch FetchKeys) *Verifier {
	return &Verifier{fetch: fetch, recent: map[[sha256.Size]byte]auth.Principal{}}
}

// Refresh fetches the keys. A kid that is gone is refused from then on, remembered tokens included.
func (v *Verifier) Refresh(ctx context.Context) error {
	raw, err := v.fetch(ctx)
	if err != nil {
		return err
	}
	set, err := jwk.Parse(raw)
	if err != nil {
		return fmt.Errorf("jose: %w", err)
	}
	keys := map[string]ed25519.PublicKey{}
	for n := range set.Len() {
		k, _ := set.Key(n)
		var pub ed25519.PublicKey
		if err := jwk.Export(k, &pub); err != nil {
			return fmt.Errorf("jose: %w", err)
		}
		if kid, ok := k.KeyID(); ok {
			keys[kid] = pub
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for kid := range v.keys {
		if _, still := keys[kid]; !still {
			v.recent, v.older = map[[sha256.Size]byte]auth.Principal{}, nil
		}
	}
	v.keys = keys
	return nil
}

// Ready tells whether keys are there.
func (v *Verifier) Ready() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.keys) > 0
}

// Verify answers who the token speaks for, or TOKEN_EXPIRED or TOKEN_INVALID; SERVICE_UNAVAILABLE when there are no keys and none
// can be had.
func (v *Verifier) Verify(ctx context.Context, token string, now time.Time) (auth.Principal, error) {
	if len(token) > maxToken {
		return auth.Principal{}, fault.New(fault.TokenInvalid)
	}
	sum := sha256.Sum256([]byte(token))
	p, known := v.recall(sum)
	if !known {
		var err error
		if p, err = v.verify(ctx, token, now); err != nil {
			return auth.Principal{}, err
		}
		v.remember(sum, p)
	}
	if !now.Before(p.ExpiresAt) {
		return auth.Principal{}, fault.New(fault.TokenExpired)
	}
	return p, nil
}

func (v *Verifier) recall(sum [sha256.Size]byte) (auth.Principal, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	p, ok := v.recent[sum]
	if !ok {
		p, ok = v.older[sum]
	}
	return p, ok
}

// remember keeps two generations: when the younger is full it becomes the older, and the older is dropped whole.
func (v *Verifier) remember(sum [sha256.Size]byte, p auth.Principal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.recent) >= remember {
		v.older, v.recent = v.recent, make(map[[sha256.Size]byte]auth.Principal, remember)
	}
	v.recent[sum] = p
}

// header and claims are the parts of a token that are looked at.
type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`
}

type claims struct {
	Issuer      string            `json:"iss"`
	Audience    audience          `json:"aud"`
	Subject     string            `json:"sub"`
	Session     string            `json:"sid"`
	JTI         string            `json:"jti"`
	IssuedAt    int64             `json:"iat"`
	Expires     int64             `json:"exp"`
	Roles       []auth.Role       `json:"roles"`
	Permissions []auth.Permission `json:"permissions"`
	Customer    string            `json:"customerId"`
	Lines       []string          `json:"lines"`
}

// audience is a string or a list of them (RFC 7519).
type audience []string

// UnmarshalJSON reads both forms.
func (a *audience) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(a))
}

var (
	errToken  = errors.New("jose: token refused")
	errNoKeys = errors.New("jose: the issuer's keys are not known yet")
)

func (v *Verifier) verify(ctx context.Context, token string, now time.Time) (auth.Principal, error) {
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return auth.Principal{}, invalid(err)
	}
	var h header
	if err := json.Unmarshal(raw, &h); err != nil || h.Algorithm != jwa.EdDSA().String() || h.Type != Type || h.KeyID == "" {
		return auth.Principal{}, invalid(errToken)
	}
	pub, err := v.key(ctx, h.KeyID, now)
	if err != nil {
		return auth.Principal{}, err
	}
	payload, err := jws.Verify([]byte(token), jws.WithKey(jwa.EdDSA(), pub))
	if err != nil {
		return auth.Principal{}, invalid(err)
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return auth.Principal{}, invalid(err)
	}
	return c.principal(now)
}

func (c claims) principal(now time.Time) (auth.Principal, error) {
	issued, expires := time.Unix(c.IssuedAt, 0).UTC(), time.Unix(c.Expires, 0).UTC()
	if c.Issuer != Issuer || len(c.Audience) != 1 || c.Audience[0] != Audience || c.JTI == "" ||
		issued.After(now.Add(leeway)) || expires.Sub(issued) > maxMaxAge {
		return auth.Principal{}, invalid(errToken)
	}
	user, err1 := auth.ParseUserID(c.Subject)
	sid, err2 := id.Parse(c.Session)
	lines, err3 := parseLines(c.Lines)
	if err := errors.Join(err1, err2, err3); err != nil {
		return auth.Principal{}, invalid(errToken)
	}
	return auth.Principal{
		UserID: user, SessionID: sid, CustomerID: c.Customer, Lines: lines, Roles: c.Roles, Permissions: c.Permissions,
		ExpiresAt: expires,
	}, nil
}

// key answers the public key of a kid. One that is not known asks the issuer, but not more often than refetch, however many
// strange tokens come and whether or not the issuer answers.
func (v *Verifier) key(ctx context.Context, kid string, now time.Time) (ed25519.PublicKey, error) {
	if pub, ok := v.held(kid); ok {
		return pub, nil
	}
	if v.mayFetch(now) {
		if err := v.Refresh(ctx); err != nil {
			return nil, fault.New(fault.ServiceUnavailable).Because(err)
		}
	}
	if pub, ok := v.held(kid); ok {
		return pub, nil
	}
	if !v.Ready() {
		return nil, fault.New(fault.ServiceUnavailable).RetryIn(refetch).Because(errNoKeys)
	}
	return nil, invalid(errToken)
}

func (v *Verifier) held(kid string) (ed25519.PublicKey, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	pub, ok := v.keys[kid]
	return pub, ok
}

func (v *Verifier) mayFetch(now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now.Sub(v.tried) < refetch {
		return false
	}
	v.tried = now
	return true
}

func invalid(cause error) error { return fault.New(fault.TokenInvalid).Because(cause) }

func marshalSet(set jwk.Set) ([]byte, error) {
	raw, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("jose: %w", err)
	}
	return raw, nil
}

var _ ports.AccessVerifier = (*Verifier)(nil)

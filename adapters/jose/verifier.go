package jose

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// FetchKeys returns the issuer's JWKS as JSON.
type FetchKeys func(ctx context.Context) ([]byte, error)

const (
	maxToken = 8 << 10         // longer tokens are refused unread
	leeway   = 5 * time.Second // for iat of a clock that is ahead
	refetch  = 5 * time.Second // an unknown kid asks for the keys at most this often
	remember = 20_000          // verified tokens kept, per half of the cache
)

// maxAge is the lifetime of access tokens: revocations are forgotten after it, so no token may live longer.
var maxAge = auth.DefaultSessions().Access

// Verifier implements ports.AccessVerifier and ports.AcceptedKeys: EdDSA only, keys by kid from the issuer's JWKS and
// from nowhere else (jku, x5u and jwk headers are ignored), and of those only the ones that Accept named. Verified
// tokens are remembered by their SHA-256 until they expire, in bounded memory; it does not check revocation. It is safe
// for concurrent use.
type Verifier struct {
	fetch FetchKeys

	mu           sync.RWMutex
	keys         map[string]ed25519.PublicKey
	acceptedKIDs []string  // the only kids that are accepted; nil = Accept was never called
	tried        time.Time // when an unknown kid last asked for the keys
	turn         uint64    // counts changes of the keys
	recent       map[[sha256.Size]byte]auth.Principal
	older        map[[sha256.Size]byte]auth.Principal
}

// NewVerifier returns a verifier without keys; it fetches them when the first token comes, or on Refresh.
func NewVerifier(fetch FetchKeys) *Verifier {
	return &Verifier{fetch: fetch, recent: map[[sha256.Size]byte]auth.Principal{}}
}

// Refresh fetches the keys. A kid that is missing then is refused from then on, also for remembered tokens.
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
	v.setKeys(keys)
	return nil
}

// setKeys replaces the keys that are accepted; when one is removed, all remembered tokens are forgotten. The caller
// holds the lock.
func (v *Verifier) setKeys(keys map[string]ed25519.PublicKey) {
	if v.acceptedKIDs != nil {
		maps.DeleteFunc(keys, func(kid string, _ ed25519.PublicKey) bool { return !slices.Contains(v.acceptedKIDs, kid) })
	}
	for kid := range v.keys {
		if _, still := keys[kid]; !still {
			v.recent, v.older = map[[sha256.Size]byte]auth.Principal{}, nil
			break
		}
	}
	v.keys, v.turn = keys, v.turn+1
}

// Accept implements ports.AcceptedKeys: a key that is not named is refused at once, also for remembered tokens; a
// missing one is fetched.
func (v *Verifier) Accept(ctx context.Context, kids []string) error {
	if !v.accept(kids) {
		return nil
	}
	return v.Refresh(ctx)
}

// accept reports whether there are keys to fetch.
func (v *Verifier) accept(kids []string) (missing bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.Equal(v.acceptedKIDs, kids) || v.acceptedKIDs == nil {
		v.acceptedKIDs = append([]string{}, kids...)
		v.setKeys(maps.Clone(v.keys))
	}
	for _, kid := range kids {
		if _, held := v.keys[kid]; !held {
			return true
		}
	}
	return false
}

// Ready reports whether there are keys.
func (v *Verifier) Ready() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.keys) > 0
}

// Verify returns the principal of the token, or TOKEN_EXPIRED or TOKEN_INVALID; SERVICE_UNAVAILABLE when there are no
// keys and none can be fetched.
func (v *Verifier) Verify(ctx context.Context, token string, now time.Time) (auth.Principal, error) {
	if len(token) > maxToken {
		return auth.Principal{}, fault.New(fault.TokenInvalid)
	}
	sum := sha256.Sum256([]byte(token))
	p, known, turn := v.recall(sum)
	if !known {
		var err error
		if p, err = v.verify(ctx, token, now); err != nil {
			return auth.Principal{}, err
		}
		v.remember(sum, p, turn)
	}
	if !now.Before(p.ExpiresAt) {
		return auth.Principal{}, fault.New(fault.TokenExpired)
	}
	return p, nil
}

// recall also returns the generation of the keys.
func (v *Verifier) recall(sum [sha256.Size]byte) (auth.Principal, bool, uint64) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	p, ok := v.recent[sum]
	if !ok {
		p, ok = v.older[sum]
	}
	return p, ok, v.turn
}

// remember keeps two generations of tokens: when the younger is full it becomes the older, and the older is dropped
// whole. When the keys have changed since turn, the token's key may be gone, and nothing is remembered.
func (v *Verifier) remember(sum [sha256.Size]byte, p auth.Principal, turn uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.turn != turn {
		return
	}
	if len(v.recent) >= remember {
		v.older, v.recent = v.recent, make(map[[sha256.Size]byte]auth.Principal, remember)
	}
	v.recent[sum] = p
}

// header and claims are the parts of a token that are read.
type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`
	Critical  any    `json:"crit"` // extensions that must be understood (RFC 7515): we understand none
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
	Epoch       int               `json:"epoch"`  // absent in tokens of before: 0
	Duties      []auth.Duty       `json:"duties"` // absent when there are none, and in tokens of before
	Tier        auth.Tier         `json:"tier"`   // absent: DEFAULT
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
	if err := json.Unmarshal(raw, &h); err != nil || h.Algorithm != jwa.EdDSA().String() || h.Type != Type ||
		h.KeyID == "" ||
		h.Critical != nil {
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
		issued.After(now.Add(leeway)) || expires.Sub(issued) > maxAge || c.Epoch < 0 {
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
		Duties: c.Duties, Epoch: c.Epoch, ExpiresAt: expires, Tier: c.Tier,
	}, nil
}

// key returns the public key of a kid. An unknown one is fetched from the issuer, but not more often than refetch,
// however many unknown tokens come and whether or not the issuer responds; once Accept has named the valid keys, only
// those are fetched.
func (v *Verifier) key(ctx context.Context, kid string, now time.Time) (ed25519.PublicKey, error) {
	pub, held, good := v.held(kid)
	switch {
	case held:
		return pub, nil
	case good == refused:
		return nil, invalid(errToken)
	case v.mayFetch(now):
		if err := v.Refresh(ctx); err != nil {
			return nil, fault.New(fault.ServiceUnavailable).Because(err)
		}
		if pub, held, good = v.held(kid); held {
			return pub, nil
		}
	}
	if good == accepted || !v.Ready() {
		return nil, fault.New(fault.ServiceUnavailable).RetryIn(refetch).Because(errNoKeys)
	}
	return nil, invalid(errToken)
}

// keyStatus is what Accept has said about a kid.
type keyStatus uint8

const (
	notListed keyStatus = iota
	accepted            // named by Accept
	refused             // not named by Accept
)

func (v *Verifier) held(kid string) (ed25519.PublicKey, bool, keyStatus) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	status := notListed
	if v.acceptedKIDs != nil {
		status = refused
	}
	if slices.Contains(v.acceptedKIDs, kid) {
		status = accepted
	}
	pub, ok := v.keys[kid]
	return pub, ok, status
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

var (
	_ ports.AccessVerifier = (*Verifier)(nil)
	_ ports.AcceptedKeys   = (*Verifier)(nil)
)

package memory

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
)

// Hasher implements ports.PasswordHasher without any work: the hash is the password with a prefix. A hash made with
// another Version is stale.
type Hasher struct{ Version string }

// Hash returns a readable hash.
func (h *Hasher) Hash(_ context.Context, password personal.Secret) (personal.Secret, error) {
	return personal.NewSecret(h.Version + "$" + password.Reveal()), nil
}

// Matches compares.
func (h *Hasher) Matches(_ context.Context, hash, password personal.Secret) (ok, stale bool, err error) {
	version, clear, found := strings.Cut(hash.Reveal(), "$")
	return found && clear == password.Reveal(), version != h.Version, nil
}

// AccessTokens implements ports.AccessTokens and ports.AccessVerifier: tokens are handles of remembered principals.
type AccessTokens struct {
	mu sync.Mutex
	m  map[string]auth.Principal
}

// Issue remembers the principal.
func (a *AccessTokens) Issue(_ context.Context, p auth.Principal, _ time.Time) (personal.Secret, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.m == nil {
		a.m = map[string]auth.Principal{}
	}
	token := "access-" + strconv.Itoa(len(a.m))
	a.m[token] = p
	return personal.NewSecret(token), nil
}

// Verify returns the remembered principal, TOKEN_EXPIRED or TOKEN_INVALID.
func (a *AccessTokens) Verify(_ context.Context, token string, now time.Time) (auth.Principal, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.m[token]
	switch {
	case !ok:
		return auth.Principal{}, fault.New(fault.TokenInvalid)
	case !now.Before(p.ExpiresAt):
		return auth.Principal{}, fault.New(fault.TokenExpired)
	}
	return p, nil
}

// RefreshTokens implements ports.RefreshTokens; its tokens are readable.
type RefreshTokens struct{}

// Make returns sid.generation.
func (RefreshTokens) Make(sid id.ID, generation int) personal.Secret {
	return personal.NewSecret(fmt.Sprintf("%s.%d", sid, generation))
}

// Read returns the arguments of Make, or REFRESH_TOKEN_INVALID.
func (RefreshTokens) Read(token personal.Secret) (id.ID, int, error) {
	hash, right, _ := strings.Cut(token.Reveal(), ".")
	sid, err := id.Parse(hash)
	generation, err2 := strconv.Atoi(right)
	if err != nil || err2 != nil {
		return id.ID{}, 0, fault.New(fault.RefreshTokenInvalid)
	}
	return sid, generation, nil
}

// RevocationPush implements ports.RevocationPush: it remembers what was pushed.
type RevocationPush struct {
	mu    sync.Mutex
	ended []auth.Revocation
}

// Push remembers.
func (p *RevocationPush) Push(_ context.Context, ended ...auth.Revocation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = append(p.ended, ended...)
}

// Pushed returns a copy of everything pushed, oldest first.
func (p *RevocationPush) Pushed() []auth.Revocation {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.ended)
}

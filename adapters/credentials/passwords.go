// Package credentials checks passwords against stored argon2id hashes (RFC 9106; a bounded number at a time, in worker
// processes of low priority) and makes and checks one-time codes (RFC 6238) and recovery codes.
package credentials

import (
	"context"

	"phonebill/core/auth"
	"phonebill/core/personal"
	"phonebill/ports"
)

// Credentials implements ports.Credentials by the account's password hash.
type Credentials struct {
	hasher ports.PasswordHasher
	users  ports.Users
}

var _ ports.Credentials = (*Credentials)(nil)

// New returns credentials that renew an old hash with the current parameters when its password was right.
func New(hasher ports.PasswordHasher, users ports.Users) *Credentials {
	return &Credentials{hasher, users}
}

// Check compares the password with the account's hash.
func (c *Credentials) Check(ctx context.Context, account auth.User, password personal.Secret) (bool, error) {
	ok, stale, err := c.hasher.Matches(ctx, account.PasswordHash, password)
	if ok && stale && err == nil {
		c.rehash(ctx, account, password)
	}
	return ok, err
}

// rehash may fail: the password was right, a failure here is no reason to refuse it, and the next login tries again.
func (c *Credentials) rehash(ctx context.Context, account auth.User, password personal.Secret) {
	if hash, err := c.hasher.Hash(ctx, password); err == nil {
		_ = c.users.Rehash(ctx, account.UserID, account.PasswordHash, hash)
	}
}

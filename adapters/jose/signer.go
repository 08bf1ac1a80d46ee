package jose

import (
	"context"
	"crypto/ed25519"
	"errors"

	"phonebill/core/auth"
	"phonebill/ports"
)

// Signer implements ports.Signer with the token issuer's Ed25519 keys. The statements must not be valid as the header
// and payload of a token.
type Signer struct {
	keys ports.SigningKeys
	now  ports.Clock
}

var _ ports.Signer = Signer{}

// NewSigner reads the keys at each call: it is used about once a minute.
func NewSigner(keys ports.SigningKeys, now ports.Clock) Signer { return Signer{keys, now} }

var errNoKey = errors.New("jose: there is no signing key yet")

// Sign signs with the key that signs tokens now.
func (s Signer) Sign(ctx context.Context, statement []byte) (string, []byte, error) {
	keys, err := s.keys.List(ctx)
	if err != nil {
		return "", nil, err
	}
	k, ok := auth.DefaultKeys().Signer(keys, s.now())
	if !ok {
		return "", nil, errNoKey
	}
	return k.KeyID, ed25519.Sign(private(k), statement), nil
}

// Signed tries all keys, retired ones too: a statement of the past stays valid.
func (s Signer) Signed(ctx context.Context, keyID string, statement, signature []byte) (bool, error) {
	keys, err := s.keys.List(ctx)
	if err != nil {
		return false, err
	}
	for _, k := range keys {
		if k.KeyID == keyID {
			public, _ := private(k).Public().(ed25519.PublicKey)
			return ed25519.Verify(public, statement, signature), nil
		}
	}
	return false, nil
}

func private(k auth.SigningKey) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(k.Seed.Reveal()))
}

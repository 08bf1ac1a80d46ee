package jose

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"math"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/ports"
)

// RefreshTokens implements ports.RefreshTokens: "r1." + base64url(sid, generation, HMAC). Nothing of a token is stored;
// the session's row has the valid generation (ADR 15).
type RefreshTokens struct{ vault ports.Vault }

// NewRefreshTokens returns tokens keyed by the vault's index key.
func NewRefreshTokens(v ports.Vault) RefreshTokens { return RefreshTokens{v} }

const (
	refreshPrefix = "r1."
	bodySize      = 16 + 4
	macSize       = 32
)

// Make returns the one token of that session and generation.
func (t RefreshTokens) Make(sid id.ID, generation int) personal.Secret {
	body := make([]byte, bodySize, bodySize+macSize)
	copy(body, sid[:])
	binary.BigEndian.PutUint32(body[16:], uint32(min(generation, math.MaxUint32))) //nolint:gosec // bounded on the left
	return personal.NewSecret(refreshPrefix + base64.RawURLEncoding.EncodeToString(append(body, t.mac(body)...)))
}

func (t RefreshTokens) mac(body []byte) []byte { return t.vault.Index("refresh-token", string(body)) }

// Read returns the arguments of Make, or REFRESH_TOKEN_INVALID.
func (t RefreshTokens) Read(token personal.Secret) (id.ID, int, error) {
	clear := token.Reveal()
	refused := fault.New(fault.RefreshTokenInvalid)
	if len(clear) != len(refreshPrefix)+base64.RawURLEncoding.EncodedLen(bodySize+macSize) || clear[:3] != refreshPrefix {
		return id.ID{}, 0, refused
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(clear[3:])
	if err != nil || !hmac.Equal(raw[bodySize:], t.mac(raw[:bodySize])) {
		return id.ID{}, 0, refused
	}
	return id.ID(raw[:16]), int(binary.BigEndian.Uint32(raw[16:bodySize])), nil
}

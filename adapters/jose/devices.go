package jose

import (
	"bytes"
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"

	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/ports"
)

// Devices implements ports.Devices: "d1." + base64url(tag, device id, HMAC). The tag is a keyed hash of the folded user
// id, cut short; the HMAC binds the device to the user and the password hash. Nothing of a cookie is stored (ADR 16).
type Devices struct{ vault ports.Vault }

var _ ports.Devices = Devices{}

// NewDevices returns cookies keyed by the vault's index key.
func NewDevices(v ports.Vault) Devices { return Devices{v} }

const (
	devicePrefix = "d1."
	tagSize      = 4
	deviceSize   = tagSize + 16 + macSize
)

// Mint returns the cookie of the account's device.
func (d Devices) Mint(account auth.User, device id.ID) auth.DeviceCookie {
	tag := d.tag(account.UserID.Folded())
	raw := bytes.Join([][]byte{tag, device[:], d.mac(account, device)}, nil)
	return auth.DeviceCookie{
		Tag: hex.EncodeToString(tag), Value: personal.NewSecret(devicePrefix + base64.RawURLEncoding.EncodeToString(raw)),
	}
}

// Read returns the device of a cookie that Mint made for this account as it is.
func (d Devices) Read(account auth.User, value personal.Secret) (id.ID, bool) {
	raw, ok := parts(value)
	if !ok {
		return id.ID{}, false
	}
	device := id.ID(raw[tagSize : tagSize+16])
	return device, d.Names(account.UserID, value) && hmac.Equal(raw[tagSize+16:], d.mac(account, device))
}

// Names compares the tag. Cookies of the previous release have that of the id as the account spells it.
func (d Devices) Names(user auth.UserID, value personal.Secret) bool {
	raw, ok := parts(value)
	return ok && (hmac.Equal(raw[:tagSize], d.tag(user.Folded())) || hmac.Equal(raw[:tagSize], d.tag(user)))
}

// parts returns the decoded value, of the right length.
func parts(value personal.Secret) (raw []byte, ok bool) {
	clear := value.Reveal()
	if len(clear) != len(devicePrefix)+base64.RawURLEncoding.EncodedLen(deviceSize) ||
		clear[:len(devicePrefix)] != devicePrefix {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(clear[len(devicePrefix):])
	return raw, err == nil
}

func (d Devices) tag(user auth.UserID) []byte {
	return d.vault.Index("device-tag", string(user))[:tagSize]
}

func (d Devices) mac(account auth.User, device id.ID) []byte {
	return d.vault.Index("device-cookie", string(device[:])+string(account.UserID)+"\x00"+account.PasswordHash.Reveal())
}

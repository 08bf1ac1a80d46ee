package credentials

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp/hotp"

	"phonebill/core/auth"
	"phonebill/core/personal"
	"phonebill/ports"
)

// Issuer is the name under which an authenticator app shows the account.
const Issuer = "phonebill"

const (
	period     = 30 // seconds (RFC 6238, section 5.2)
	secretSize = 20 // bytes (RFC 4226, section 4: 160 bits)
	// skew is how many steps a code may be early or late: clocks of telephones differ, and people type slowly.
	skew = 1
	// codeSize is the length of a recovery code in base32 letters of 5 bits.
	codeSize = 10
)

// OneTimeCodes implements ports.OneTimeCodes. It is safe for concurrent use.
type OneTimeCodes struct{}

var _ ports.OneTimeCodes = OneTimeCodes{}

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewSecret returns 160 random bits in base32.
func (OneTimeCodes) NewSecret() personal.Secret {
	raw := make([]byte, secretSize)
	_, _ = rand.Read(raw) // never fails
	return personal.NewSecret(encoding.EncodeToString(raw))
}

// URI returns what authenticator apps scan.
func (OneTimeCodes) URI(user auth.UserID, secret personal.Secret) personal.Secret {
	u := url.URL{
		Scheme: "otpauth", Host: "totp", Path: "/" + Issuer + ":" + string(user),
		RawQuery: url.Values{
			"secret": {secret.Reveal()}, "issuer": {Issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"},
		}.Encode(),
	}
	return personal.NewSecret(u.String())
}

// Step compares the code with those of the step now is in and of its neighbours, each in constant time.
func (OneTimeCodes) Step(secret, code personal.Secret, now time.Time) (int64, bool) {
	found, ok := int64(0), false
	for step := now.Unix()/period - skew; step <= now.Unix()/period+skew; step++ {
		want, err := hotp.GenerateCode(secret.Reveal(), uint64(max(0, step)))
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code.Reveal())) == 1 {
			found, ok = step, true
		}
	}
	return found, ok
}

// NewRecoveryCodes returns codes that are easy to copy by hand.
func (OneTimeCodes) NewRecoveryCodes() []personal.Secret {
	codes := make([]personal.Secret, auth.RecoveryCodes)
	for i := range codes {
		raw := make([]byte, codeSize)
		_, _ = rand.Read(raw)
		text := strings.ToLower(encoding.EncodeToString(raw)[:codeSize])
		codes[i] = personal.NewSecret(text[:codeSize/2] + "-" + text[codeSize/2:])
	}
	return codes
}

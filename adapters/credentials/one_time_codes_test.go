package credentials_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/credentials"
	"phonebill/core/personal"
	"phonebill/ports/portstest"
)

func TestCodes(t *testing.T) {
	t.Parallel()
	portstest.OneTimeCodes(t, credentials.OneTimeCodes{}, func(secret personal.Secret, step int64) personal.Secret {
		code, err := hotp.GenerateCode(secret.Reveal(), uint64(step))
		require.NoError(t, err)
		return personal.NewSecret(code)
	})
}

// The vectors of RFC 6238, appendix B (SHA-1), cut to six digits.
func TestRFC6238(t *testing.T) {
	t.Parallel()
	secret := personal.NewSecret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ") // 12345678901234567890
	for at, code := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037",
		20000000000: "353130",
	} {
		for _, skew := range []int64{-30, 0, 30} {
			step, ok := credentials.OneTimeCodes{}.Step(secret, personal.NewSecret(code), time.Unix(at+skew, 0))
			require.True(t, ok, at)
			require.Equal(t, at/30, step, "the step of the code, not of the clock")
		}
	}
	_, ok := credentials.OneTimeCodes{}.Step(personal.NewSecret("not base32!"), personal.NewSecret(""), time.Unix(59, 0))
	require.False(t, ok)
}

func TestTheURIOfAuthenticatorApps(t *testing.T) {
	t.Parallel()
	secret := credentials.OneTimeCodes{}.NewSecret()
	key, err := otp.NewKeyFromURL(credentials.OneTimeCodes{}.URI("ops_kim-1", secret).Reveal())
	require.NoError(t, err)
	require.Equal(t, []any{"totp", credentials.Issuer, "ops_kim-1", secret.Reveal(), uint64(30), otp.DigitsSix,
		otp.AlgorithmSHA1},
		[]any{key.Type(), key.Issuer(), key.AccountName(), key.Secret(), key.Period(), key.Digits(), key.Algorithm()})
	_, err = url.Parse(key.URL())
	require.NoError(t, err)
}

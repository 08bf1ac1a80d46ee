package auth_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"correct-horse-1", "비밀스러운열쇠하나", "🔐🔐🔐🔐🔐🔐🔐🔐", "        ", strings.Repeat("가", 64), "Hongkong-2041", "hong1234x hon",
	} {
		require.NoError(t, auth.CheckPassword("newPassword", "hong-1234", personal.NewSecret(good)), good)
	}
	for reason, bad := range map[string][]string{
		"8~64자여야 합니다": {"", "1234567", "비밀번호하나둘", strings.Repeat("가", 65)},
		"너무 흔히 쓰이는 비밀번호입니다": {
			"password", "PassWord1", "12345678", "1q2w3e4r", "QWER1234!", "dkssudgktpdy", "비밀번호1234", "Qwertyuiop", "11111111", "iloveyou1",
		},
		"ID를 포함할 수 없습니다":    {"hong-1234", "my-HONG-1234-key"},
		"사용할 수 없는 문자가 있습니다": {"abcdefg\x00hij", "abcdefgh\xff"},
	} {
		for _, password := range bad {
			err := auth.CheckPassword("newPassword", "Hong-1234", personal.NewSecret(password))
			require.ErrorIs(t, err, fault.New(fault.ValidationError), password)
			require.Equal(t, []fault.Field{{Name: "newPassword", Reason: reason}}, fault.From(err).Fields(), password)
			if password != "" {
				require.NotContains(t, err.Error(), password)
			}
		}
	}
}

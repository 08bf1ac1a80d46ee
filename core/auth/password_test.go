package auth_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"correct-horse-1", "비밀스러운열쇠하나", "🔐🗝🔐🗝🔐🗝🔐🗝", "a b c d ", strings.Repeat("가나", 32),
		norm.NFD.String(strings.Repeat("각난", 32)), "👩\u200d👧 가족의 열쇠", "Hongkong-2041", "hong1234x hon",
	} {
		require.NoError(t, auth.CheckPassword("newPassword", "hong-1234", personal.NewSecret(good)), good)
	}
	for reason, bad := range map[string][]string{
		"8~64자여야 합니다": {
			"", "1234567", "비밀번호하나둘", strings.Repeat("가나", 32) + "다", norm.NFD.String("각각각"),
			norm.NFD.String(strings.Repeat("각난", 33)),
		},
		"너무 흔히 쓰이는 비밀번호입니다": {
			"password", "PassWord1", "12345678", "1q2w3e4r", "QWER1234!", "dkssudgktpdy", "비밀번호1234",
			"Qwertyuiop", "11111111", "iloveyou1", "Ｐassword", "pass\u200bword",
		},
		"ID를 포함할 수 없습니다": {"hong-1234", "my-HONG-1234-key", "my-ｈong\u200b-1234-key"},
		"사용할 수 없는 문자가 있습니다": {"abcdefg\x00hij", "abcdefgh\xff", "abcdefgh\n", "abcd\u0085efgh",
			"\t\t\t\t\t\t\t\t"},
		"공백이나 같은 문자만으로는 만들 수 없습니다": {
			"        ", strings.Repeat("\u3000", 8), strings.Repeat("\u200b", 8), "\u200b \u2060 \ufeff \u200d ",
			strings.Repeat("\u3164", 9), strings.Repeat("🔐", 8), "가가가가가가가가", "a a a a A",
			"\u200bz\u200b\u200b\u200b\u200b\u200b\u200b",
		},
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

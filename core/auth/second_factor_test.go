package auth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

func TestKindsOfCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]auth.CodeKind{
		"": auth.CodeMissing, "123456": auth.CodeTOTP, "abcde-fgh23": auth.CodeRecovery, "12345": auth.CodeMalformed,
		"1234567": auth.CodeMalformed, "abcde-fgh01": auth.CodeMalformed, "ABCDE-FGH23": auth.CodeRecovery,
		"123456\n": auth.CodeMalformed,
	} {
		require.Equal(t, want, auth.KindOfCode(personal.NewSecret(code)), "%q", code)
	}
}

func TestClientsDistinguishAMissingCodeFromAWrongOne(t *testing.T) {
	t.Parallel()
	needed, wrong := fault.From(auth.FactorNeeded()), fault.From(auth.FactorWrong())
	require.Equal(t, fault.SecondFactor, needed.Code())
	require.Equal(t, fault.SecondFactor, wrong.Code())
	require.Equal(t, "otp", needed.Fields()[0].Name)
	require.NotEqual(t, needed.Fields(), wrong.Fields())
	require.False(t, auth.TOTP{}.Confirmed())
}

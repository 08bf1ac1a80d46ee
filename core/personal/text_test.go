package personal_test

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/personal"
)

func TestNFC(t *testing.T) {
	t.Parallel()
	require.Equal(t, "윤도윤", personal.NFC("\u110b\u1172\u11ab\u1103\u1169\u110b\u1172\u11ab"))
	require.Equal(t, "윤도윤", personal.NFC("윤도윤"))
	require.Equal(t, "\xff", personal.NFC("\xff"), "what is no text is for others to refuse")
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		require.Equal(t, personal.NFC(s), personal.NFC(personal.NFC(s)))
		require.LessOrEqual(t, utf8.RuneCountInString(personal.NFC(s)), 3*utf8.RuneCountInString(s))
	})
}

func TestSkeletonAndLetters(t *testing.T) {
	t.Parallel()
	require.Equal(t, "hong-1234", personal.Skeleton("Ｈo\u200bN\u00adG-1２34"))
	for s, want := range map[string]int{
		"": 0, "        ": 0, "\u200b\u200d\ufeff\u2060": 0, "\u3164\u115f\u1160\uffa0": 0, "\u00a0\u3000\u2003": 0,
		"\u2800\u2800": 0, "aaaaAAAA": 1, "a a\u200ba": 1, "🔐🔐🔐": 1, "❤\ufe0f❤": 1, "각각": 1, "ab": 2,
		"가나다": 3, "\t\n\x01": 0,
		"q\u0308q": 1,
	} {
		require.Equal(t, want, personal.Letters(s), "%q", s)
	}
}

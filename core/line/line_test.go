package line_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/fault"
	"phonebill/core/line"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"01012345678": "010-1234-5678", "010-1234-5678": "010-1234-5678", "0111234567": "011-123-4567",
		"011-123-4567": "011-123-4567",
	} {
		n, err := line.Parse(s)
		require.NoError(t, err, s)
		require.Equal(t, want, n.Hyphenated())
		require.Equal(t, strings.ReplaceAll(want, "-", ""), n.Digits())
		require.False(t, n.IsZero())
	}
	for _, s := range []string{
		"", "010", "0101234567a", "02-1234-5678", "010-12345-678", "010-1234-56789", "010123456789", "010 1234 5678",
		"01012345678\n", " 01012345678", "010-12345678", "0101234-5678", "+821012345678", "０１０12345678", "010--1234567",
		"010-12-345678",
	} {
		n, err := line.Parse(s)
		require.ErrorIs(t, err, fault.New(fault.ValidationError), "%q", s)
		require.Equal(t, "lineNumber", fault.From(err).Fields()[0].Name)
		require.Len(t, fault.From(err).Fields(), 1)
		require.True(t, n.IsZero())
	}
}

func TestBothSpellingsAreOneNumber(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, err := line.Parse(rapid.StringMatching(`01[0-9](-[0-9]{3,4}-[0-9]{4}|[0-9]{7,8})`).Draw(t, "s"))
		require.NoError(t, err)
		for _, s := range []string{a.Digits(), a.Hyphenated()} {
			b, err := line.Parse(s)
			require.NoError(t, err)
			require.Equal(t, a.Digits(), b.Digits())
		}
		middle := a.Hyphenated()[4 : len(a.Hyphenated())-5]
		require.Equal(t, strings.Replace(a.Hyphenated(), "-"+middle+"-", "-"+strings.Repeat("*", len(middle))+"-", 1),
			a.String())
	})
}

func TestNumberPrintsMasked(t *testing.T) {
	t.Parallel()
	n, err := line.Parse("01012345678")
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%s", "%+v", "%#v", "%q", "%d", "%x", "%08v", "%t"} {
		for _, arg := range []any{n, &n, []line.Number{n}, map[string]line.Number{"a": n}, struct{ N line.Number }{n}} {
			require.NotContains(t, fmt.Sprintf(verb, arg), "1234", "%s %T", verb, arg)
		}
	}
	raw, err := json.Marshal(map[line.Number]line.Number{n: n})
	require.NoError(t, err)
	require.JSONEq(t, `{"010-****-5678":"010-****-5678"}`, string(raw))
	require.Empty(t, line.Number{}.String())
	require.Empty(t, line.Number{}.Hyphenated())
}

// TestParseIsItsPattern compares with the pattern that Parse stands for.
func TestParseIsItsPattern(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(`^01[0-9](-[0-9]{3,4}-[0-9]{4}|[0-9]{7,8})$`)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`0?1?[0-9]{0,2}-?[0-9a]{0,4}-?[0-9]{0,5}\n?`).Draw(t, "s")
		_, err := line.Parse(s)
		require.Equal(t, pattern.MatchString(s), err == nil, "%q", s)
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"01012345678", "010-1234-5678", "", "010-1234-567\x00", "010-１234-5678"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := line.Parse(s)
		if err != nil {
			require.True(t, n.IsZero())
			return
		}
		require.Equal(t, strings.ReplaceAll(s, "-", ""), n.Digits())
		require.Equal(t, strings.Repeat("*", len(n.Digits())-7), n.String()[4:len(n.String())-5])
	})
}

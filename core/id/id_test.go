package id_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/id"
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := "018f0000-0000-7000-8000-00000000000a"
	for _, s := range []string{
		"", "x", good[1:], good + "0", strings.ReplaceAll(good, "-", ""), strings.Replace(good, "a", "g", 1),
		strings.Replace(good, "-", "0", 1), "{" + good[2:] + "}", "018f0000-0000-7000-80000-0000000000a",
		"018f0000-0000-70000-800-00000000000a", "018f0000-00000-700-8000-00000000000a",
	} {
		got, err := id.Parse(s)
		require.ErrorIs(t, err, id.ErrMalformed, "%q", s)
		require.True(t, got.IsZero())
	}
}

func TestRoundTripAndOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "raw")
		one := id.ID(raw)
		require.Equal(t, uuid.UUID(one).String(), one.String())
		back, err := id.Parse(one.String())
		require.NoError(t, err)
		require.Equal(t, one, back)
		upper, err := id.Parse(strings.ToUpper(one.String()))
		require.NoError(t, err)
		require.Equal(t, one, upper)
		text, err := json.Marshal(one)
		require.NoError(t, err)
		require.Equal(t, `"`+one.String()+`"`, string(text))
	})
}

func FuzzParse(f *testing.F) {
	f.Add("018f0000-0000-7000-8000-00000000000a")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if one, err := id.Parse(s); err == nil {
			require.Equal(t, strings.ToLower(s), one.String())
		}
	})
}

package request_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/request"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	bare, err := request.ParseKey("8e03978e-40d5-43dd-bc93-6894a57f9324")
	require.NoError(t, err)
	require.False(t, bare.IsZero())
	quoted, err := request.ParseKey(`"8e03978e-40d5-43dd-bc93-6894a57f9324"`)
	require.NoError(t, err)
	require.Equal(t, bare, quoted)
	other, err := request.ParseKey("8e03978e-40d5-43dd-bc93-6894a57f9325")
	require.NoError(t, err)
	require.NotEqual(t, bare, other)
	_, err = request.ParseKey(strings.Repeat("k", 255))
	require.NoError(t, err)
	for _, bad := range []string{"", `""`, `"`, `"open`, `closed"`, " ", "a b", "tab\t", "한글", "\x7f",
		strings.Repeat("k", 256)} {
		key, err := request.ParseKey(bad)
		require.ErrorIs(t, err, fault.New(fault.ValidationError), "%q", bad)
		require.Equal(t, "Idempotency-Key", fault.From(err).Fields()[0].Name)
		require.True(t, key.IsZero())
	}
}

func TestPayloads(t *testing.T) {
	t.Parallel()
	first := request.KeyUse{Payload: request.PayloadOf("ab", "c")}
	require.NoError(t, request.KeyUse{Payload: request.PayloadOf("ab", "c")}.Repeats(first))
	for _, other := range [][]string{{"a", "bc"}, {"abc"}, {"ab", "c", ""}, {"c", "ab"}, nil} {
		err := request.KeyUse{Payload: request.PayloadOf(other...)}.Repeats(first)
		require.ErrorIs(t, err, fault.New(fault.IdempotencyKeyReused))
	}
}

func TestAStoreReportsWhetherAPayloadIsTheSame(t *testing.T) {
	t.Parallel()
	first := request.KeyUse{User: "hong", Payload: request.PayloadOf("a"), Request: id.ID{1}}
	same, other := request.KeyUse{Payload: request.PayloadOf("a")}, request.KeyUse{Payload: request.PayloadOf("b")}
	require.Equal(t, first, first.SeenBy(same))
	require.NoError(t, same.Repeats(first.SeenBy(same)))
	require.Equal(t, request.KeyUse{User: "hong", Request: id.ID{1}}, first.SeenBy(other))
	require.ErrorIs(t, other.Repeats(first.SeenBy(other)), fault.New(fault.IdempotencyKeyReused))
}

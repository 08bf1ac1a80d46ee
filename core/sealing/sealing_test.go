package sealing_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/sealing"
)

func TestPlacesHaveDistinctData(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, p := range []sealing.Place{
		sealing.At("a"), sealing.At("b"), sealing.At("a", ""), sealing.At("a", "", ""), sealing.At("a", "b"),
		sealing.At("a", "b", "c"), sealing.At("a", "bc"), sealing.At("a", "b").And("d"), sealing.At("ab"),
		sealing.Cached("a", "b"), sealing.Cached("a"),
	} {
		require.NotContains(t, seen, string(p.Row()))
		seen[string(p.Row())] = p.String()
	}
	require.Equal(t, sealing.At("a", "b", "c").Row(), sealing.At("a", "b").And("c").Row())
	require.Equal(t, "old", string(sealing.At("a", "b").Formerly("old").Column()))
	require.Equal(t, "a", string(sealing.At("a", "b").Column()))
	require.True(t, sealing.Cached("a").AlertsOff())
	require.False(t, sealing.At("a").AlertsOff())
	require.False(t, sealing.At("a").Keyed())
}

func TestAPlaceKeepsItsKeys(t *testing.T) {
	t.Parallel()
	one := sealing.At("a", "b")
	two, three := one.And("c"), one.And("d")
	require.Equal(t, []string{"a b", "a b c", "a b d"}, []string{one.String(), two.String(), three.String()})
}

func TestPlacesAreShownWithoutWhatIsNotText(t *testing.T) {
	t.Parallel()
	require.Equal(t, "bill.bill_versions 019c0000000070008000000000000001 0102030405060708… 2026-03",
		sealing.At("bill.bill_versions",
			"\x01\x9c\x00\x00\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x01",
			"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"+
				"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x20",
			"2026-03").String())
}

func TestTheWeakestFormIsObeyed(t *testing.T) {
	t.Parallel()
	require.Equal(t, sealing.Unknown, sealing.Weakest())
	require.Equal(t, sealing.Unknown, sealing.Weakest(sealing.RowOnly, sealing.Unknown))
	require.Equal(t, sealing.Column, sealing.Weakest(sealing.Row, sealing.Column))
	require.Equal(t, sealing.Row, sealing.Weakest(sealing.RowOnly, sealing.Row))
	require.Equal(t, sealing.RowOnly, sealing.Weakest(sealing.RowOnly))
	for want, f := range map[string]sealing.Form{
		"UNKNOWN": sealing.Unknown, "COLUMN": sealing.Column, "ROW": sealing.Row, "ROW_ONLY": sealing.RowOnly,
	} {
		require.Equal(t, want, f.String())
		require.Equal(t, f == sealing.Column, f.Older(), "a form that is not known permits nothing")
	}
}

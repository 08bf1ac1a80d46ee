package portstest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/sealing"
	"phonebill/ports"
)

// Vault is the suite of ports.Vault.
func Vault(t *testing.T, open func(t *testing.T) ports.Vault) {
	t.Helper()
	t.Run("what was sealed opens in its place only", func(t *testing.T) {
		t.Parallel()
		vault := open(t)
		at := sealing.At("bill.inquiries.line", "row", "index")
		for _, clear := range [][]byte{[]byte("01012345678"), {}, make([]byte, 100_000)} {
			sealed, err := vault.Seal(at, clear)
			require.NoError(t, err)
			opened, err := vault.Open(at, sealed)
			require.NoError(t, err)
			require.Equal(t, string(clear), string(opened))
			for _, other := range []sealing.Place{
				sealing.At("bill.inquiries.summary", "row", "index"), sealing.At("bill.inquiries.line", "row", "another"),
				sealing.At("bill.inquiries.line", "another", "index"), sealing.At("bill.inquiries.line", "rowi", "ndex"),
				sealing.At("bill.inquiries.line", "row"), sealing.At("bill.inquiries.line"),
				sealing.Cached("bill.inquiries.line", "row", "index"),
			} {
				_, err = vault.Open(other, sealed)
				require.Error(t, err, other.String())
			}
		}
		for _, foreign := range [][]byte{nil, {}, {sealing.Mark}, []byte("01012345678"), make([]byte, 64)} {
			_, err := vault.Open(at, foreign)
			require.Error(t, err)
		}
	})
	t.Run("a place without keys is its name", func(t *testing.T) {
		t.Parallel()
		vault := open(t)
		sealed, err := vault.Seal(sealing.At("auth.user_totp.secret:kim"), []byte("clear"))
		require.NoError(t, err)
		_, err = vault.Open(sealing.At("auth.user_totp.secret:lee"), sealed)
		require.Error(t, err)
	})
	t.Run("what is refused is an error that says why", func(t *testing.T) {
		t.Parallel()
		why := errors.New("of another line")
		require.ErrorIs(t, open(t).Refuse(sealing.At("x", "y"), why), why)
	})
	t.Run("equal values of one purpose have equal indexes, others do not", func(t *testing.T) {
		t.Parallel()
		vault := open(t)
		one := vault.Index("line", "01012345678")
		require.Len(t, one, 32)
		require.Equal(t, one, vault.Index("line", "01012345678"))
		seen := map[string]bool{string(one): true}
		for _, other := range [][2]string{
			{"line", "01012345679"}, {"email", "01012345678"}, {"line0", "1012345678"}, {"line", ""}, {"", "line"},
		} {
			seen[string(vault.Index(other[0], other[1]))] = true
		}
		require.Len(t, seen, 6)
	})
}

// Sealer is the suite of ports.Sealer over some values.
func Sealer[T any](t *testing.T, open func(t *testing.T) ports.Sealer[T], values ...T) {
	t.Helper()
	t.Run("what was sealed comes back whole", func(t *testing.T) {
		t.Parallel()
		sealer := open(t)
		sealed := make([][]byte, len(values))
		at := sealing.At("column", "row")
		for i, v := range values {
			var err error
			sealed[i], err = sealer.Seal(at, v)
			require.NoError(t, err)
		}
		for i, want := range values {
			got, err := sealer.Open(at, sealed[i])
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.True(t, sealer.Bound(sealed[i]))
			again, err := sealer.Reseal(at, sealed[i])
			require.NoError(t, err)
			got, err = sealer.Open(at, again)
			require.NoError(t, err)
			require.Equal(t, want, got)
			_, err = sealer.Open(sealing.At("column", "another"), sealed[i])
			require.Error(t, err)
			_, err = sealer.Reseal(sealing.At("column", "another"), sealed[i])
			require.Error(t, err)
		}
	})
	t.Run("anything else does not open", func(t *testing.T) {
		t.Parallel()
		sealer := open(t)
		for _, foreign := range [][]byte{nil, {}, {0}, []byte("{}"), make([]byte, 64)} {
			_, err := sealer.Open(sealing.At("column", "row"), foreign)
			require.Error(t, err)
		}
	})
}

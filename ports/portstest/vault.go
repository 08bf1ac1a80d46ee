package portstest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/ports"
)

// Vault is the suite of ports.Vault.
func Vault(t *testing.T, open func(t *testing.T) ports.Vault) {
	t.Helper()
	t.Run("what was sealed opens for its purpose only", func(t *testing.T) {
		t.Parallel()
		vault := open(t)
		for _, clear := range [][]byte{[]byte("01012345678"), {}, make([]byte, 100_000)} {
			sealed, err := vault.Seal("bill.inquiries.line", clear)
			require.NoError(t, err)
			opened, err := vault.Open("bill.inquiries.line", sealed)
			require.NoError(t, err)
			require.Equal(t, string(clear), string(opened))
			_, err = vault.Open("bill.inquiries.summary", sealed)
			require.Error(t, err)
		}
		for _, foreign := range [][]byte{nil, {}, []byte("01012345678"), make([]byte, 64)} {
			_, err := vault.Open("bill.inquiries.line", foreign)
			require.Error(t, err)
		}
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
		for i, v := range values {
			var err error
			sealed[i], err = sealer.Seal(v)
			require.NoError(t, err)
		}
		for i, want := range values {
			got, err := sealer.Open(sealed[i])
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	})
	t.Run("anything else does not open", func(t *testing.T) {
		t.Parallel()
		sealer := open(t)
		for _, foreign := range [][]byte{nil, {}, {0}, []byte("{}"), make([]byte, 64)} {
			_, err := sealer.Open(foreign)
			require.Error(t, err)
		}
	})
}

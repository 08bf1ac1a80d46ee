package vault_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/vault"
	"phonebill/core/bill"
	"phonebill/core/product"
	"phonebill/core/sealing"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func open(t *testing.T) ports.Vault {
	t.Helper()
	v, err := vault.OpenOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)
	return v
}

func TestVault(t *testing.T) {
	t.Parallel()
	portstest.Vault(t, open)
}

func TestSealers(t *testing.T) {
	t.Parallel()
	nothing := bill.Bill{Line: portstest.Line(3), Month: portstest.Month(), Charges: []bill.Item{}, Contract: &bill.Contract{}}
	bills := append(portstest.BillCopies(), bill.Copy{Bill: nothing})
	portstest.Sealer(t, func(t *testing.T) ports.Sealer[bill.Copy] { t.Helper(); return vault.Bills(open(t)) }, bills...)
	portstest.Sealer(t, func(t *testing.T) ports.Sealer[product.CustomerCopy] { t.Helper(); return vault.Customers(open(t)) },
		portstest.CustomerCopies()...)
	portstest.Sealer(t, func(t *testing.T) ports.Sealer[product.PlansCopy] { t.Helper(); return vault.Plans(open(t)) },
		portstest.PlansCopies()...)
}

func TestManyStartersMakeOneKeyring(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "keyring.json")
	vaults := make([]*vault.Vault, 20)
	var all sync.WaitGroup
	for i := range vaults {
		all.Go(func() {
			var err error
			if vaults[i], err = vault.OpenOrCreate(path); err != nil {
				t.Errorf("open or create: %v", err)
			}
		})
	}
	all.Wait()
	sealed, err := vaults[0].Seal(sealing.At("p"), []byte("clear"))
	require.NoError(t, err)
	for _, v := range vaults {
		clear, err := v.Open(sealing.At("p"), sealed)
		require.NoError(t, err)
		require.Equal(t, "clear", string(clear))
		require.Equal(t, vaults[0].Index("p", "x"), v.Index("p", "x"))
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file stays")
	info, err := entries[0].Info()
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
}

func TestABrokenKeyringIsNeitherUsedNorReplacedNorShown(t *testing.T) {
	t.Parallel()
	good, err := vault.New()
	require.NoError(t, err)
	var parts map[string]any
	require.NoError(t, json.Unmarshal(good, &parts))
	with := func(name string, value any) []byte {
		changed := map[string]any{"aead": parts["aead"], "index": parts["index"], name: value}
		raw, err := json.Marshal(changed)
		require.NoError(t, err)
		return raw
	}
	for name, raw := range map[string][]byte{
		"empty": {}, "no JSON": []byte("hush"), "half": good[:len(good)/2],
		"no index key": with("index", ""), "short index key": with("index", "aHVzaA=="),
		"no keys": with("aead", map[string]any{}), "foreign keys": with("aead", map[string]any{"primaryKeyId": 1, "key": []any{}}),
	} {
		path := filepath.Join(t.TempDir(), "keyring.json")
		require.NoError(t, os.WriteFile(path, raw, 0o600))
		_, err := vault.OpenOrCreate(path)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "hush")
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, raw, after, name)
	}
	_, err = vault.OpenOrCreate(filepath.Join(t.TempDir(), "no such folder", "keyring.json"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = vault.Open(t.TempDir())
	require.Error(t, err, "a folder is no keyring")
}

func TestTamperingIsNoticed(t *testing.T) {
	t.Parallel()
	v := open(t)
	sealed, err := v.Seal(sealing.At("p"), []byte("01012345678"))
	require.NoError(t, err)
	require.NotContains(t, string(sealed), "0101234")
	for i := range sealed {
		flipped := bytes.Clone(sealed)
		flipped[i] ^= 1
		_, err := v.Open(sealing.At("p"), flipped)
		require.Errorf(t, err, "byte %d", i)
		_, err = v.Open(sealing.At("p"), sealed[:i])
		require.Errorf(t, err, "cut at %d", i)
	}
	again, err := v.Seal(sealing.At("p"), []byte("01012345678"))
	require.NoError(t, err)
	require.NotEqual(t, sealed, again, "equal values are not seen to be equal")
	require.Equal(t, sealed[:5], again[:5], "the id of the key stands in front")

	stranger := open(t)
	_, err = stranger.Open(sealing.At("p"), sealed)
	require.Error(t, err)
	require.NotEqual(t, v.Index("p", "x"), stranger.Index("p", "x"))
}

func TestStoredFormsAreVersioned(t *testing.T) {
	t.Parallel()
	v := open(t)
	sealed, err := vault.Bills(v).Seal(sealing.At("x"), portstest.BillCopies()[0])
	require.NoError(t, err)
	require.EqualValues(t, 1, sealed[0])
	for _, version := range []byte{0, 2, 255} {
		sealed[0] = version
		_, err = vault.Bills(v).Open(sealing.At("x"), sealed)
		require.ErrorContains(t, err, "unknown version")
	}
	sealed[0] = 1
	_, err = vault.Customers(v).Open(sealing.At("x"), sealed)
	require.Error(t, err, "a bill is no customer")
}

// TestDamagedRowsAreErrors opens ciphertexts that this vault made of rows that no noun has.
func TestDamagedRowsAreErrors(t *testing.T) {
	t.Parallel()
	v := open(t)
	of := func(purpose, row string) []byte {
		sealed, err := v.Seal(sealing.At(purpose), []byte(row))
		require.NoError(t, err)
		return append([]byte{1}, sealed...)
	}
	for _, row := range []string{
		"", "[]", "{}", `{"v":"x","line":"01012345678","month":"2026-03"}`,
		`{"v":"019c0000-0000-7000-8000-000000000001","line":"555","month":"2026-03"}`,
		`{"v":"019c0000-0000-7000-8000-000000000001","line":"01012345678","month":"2026-13"}`,
		`{"v":"019c0000-0000-7000-8000-000000000001","line":"01012345678","month":"2026-03","dueDate":"soon"}`,
		`{"v":"019c0000-0000-7000-8000-000000000001","line":"01012345678","month":"2026-03","contract":{"start":"once"}}`,
	} {
		_, err := vault.Bills(v).Open(sealing.At("x"), of("bill", row))
		require.Error(t, err, row)
	}
	for _, row := range []string{"", "[]", `{"line":"555"}`, `{"line":"01012345678","termEnd":"never"}`} {
		_, err := vault.Customers(v).Open(sealing.At("x"), of("customer", row))
		require.Error(t, err, row)
	}
	_, err := vault.Plans(v).Open(sealing.At("x"), of("plans", "[]"))
	require.Error(t, err)
}

// TestForms: the older form opens anywhere in its column as long as it is not refused, the newer one in its row alone,
// whatever is in force.
func TestForms(t *testing.T) {
	t.Parallel()
	v, ok := open(t).(*vault.Vault)
	require.True(t, ok)
	require.Equal(t, sealing.Row, v.Form())
	var refused []string
	v.Report(func(at sealing.Place, why error) { refused = append(refused, at.String()+": "+why.Error()) })
	here, there := sealing.At("auth.users.name", "hong1234"), sealing.At("auth.users.name", "kim56789")
	v.Obey(sealing.Unknown)
	older, err := v.Seal(here, []byte("홍길동"))
	require.NoError(t, err)
	plain, err := v.Seal(sealing.At("auth.users.name"), []byte("홍길동"))
	require.NoError(t, err)
	require.Equal(t, older[:5], plain[:5], "what release b0e8e26 writes and reads")
	v.Obey(sealing.Row)
	newer, err := v.Seal(here, []byte("홍길동"))
	require.NoError(t, err)
	require.True(t, sealing.Bound(newer))
	require.False(t, sealing.Bound(older))
	for _, form := range []sealing.Form{sealing.Column, sealing.Row, sealing.RowOnly} {
		v.Obey(form)
		clear, err := v.Open(here, newer)
		require.NoError(t, err)
		require.Equal(t, "홍길동", string(clear))
		require.Empty(t, refused)
		_, err = v.Open(there, newer)
		require.Error(t, err)
		require.Len(t, refused, 1)
		refused = nil
		clear, err = v.Open(here, older)
		if form == sealing.RowOnly {
			require.ErrorIs(t, err, vault.ErrOldForm)
			require.Len(t, refused, 1)
			refused = nil
			_, err = v.Open(here.Quietly(), older)
			require.ErrorIs(t, err, vault.ErrOldForm)
			require.Empty(t, refused)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, "홍길동", string(clear))
	}
	keyless, err := v.Seal(sealing.At("auth.user_totp.secret:hong1234"), []byte("s"))
	require.NoError(t, err)
	_, err = v.Open(sealing.At("auth.user_totp.secret:hong1234"), keyless)
	require.NoError(t, err, "what names its row in the column has one form")
	_, err = v.Resealing(sealing.Row).Open(here, older)
	require.NoError(t, err, "the job reads it")
	_, err = v.Resealing(sealing.RowOnly).Open(here, older)
	require.ErrorIs(t, err, vault.ErrOldForm)
}

// TestTheVersionOfAStoredFormIsBound, too: one cannot be passed off as another.
func TestTheVersionOfAStoredFormIsBound(t *testing.T) {
	t.Parallel()
	at := sealing.At("bill.bill_versions", "v", "index", "2026-03")
	v := open(t)
	sealed, err := vault.Bills(v).Seal(at, portstest.BillCopies()[0])
	require.NoError(t, err)
	_, err = v.Open(at.And("bill").And("\x01"), sealed[1:])
	require.NoError(t, err)
	_, err = v.Open(at.And("bill").And("\x02"), sealed[1:])
	require.Error(t, err)
	_, err = vault.Customers(v).Open(at, sealed)
	require.Error(t, err)
}

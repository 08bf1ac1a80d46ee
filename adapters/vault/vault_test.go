package vault_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/vault"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/money"
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
	nothing := bill.Bill{Line: portstest.Line(3), Month: portstest.Month(), Charges: []bill.Item{},
		Contract: &bill.Contract{Months: new(0)}}
	bills := append(portstest.BillCopies(), bill.Copy{Bill: nothing})
	portstest.Sealer(t, func(t *testing.T) ports.Sealer[bill.Copy] { t.Helper(); return vault.Bills(open(t)) }, bills...)
	portstest.Sealer(t,
		func(t *testing.T) ports.Sealer[product.CustomerCopy] { t.Helper(); return vault.Customers(open(t)) },
		portstest.CustomerCopies()...)
	portstest.Sealer(t,
		func(t *testing.T) ports.Sealer[bill.MonthsCopy] { t.Helper(); return vault.BillMonths(open(t)) },
		portstest.MonthsCopies()...)
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
		"no keys": with("aead", map[string]any{}), "foreign keys": with("aead",
			map[string]any{"primaryKeyId": 1, "key": []any{}}),
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

// Rows as the release before wrote them: 0 stands for what KOS had left out as well as for 0 won, and discount texts
// may be torn.
func TestRowsThatDoNotDistinguishMissingFromZero(t *testing.T) {
	t.Parallel()
	v := open(t)
	of := func(purpose, row string) []byte {
		sealed, err := v.Seal(sealing.At(purpose), []byte(row))
		require.NoError(t, err)
		return append([]byte{1}, sealed...)
	}
	won := func(n money.Won) *money.Won { return &n }
	const before = `{"v":"019c0000-0000-7000-8000-000000000001","asOf":"2026-03-02T03:04:05Z","line":"01012345678",
		"month":"2026-02",
		"productCode":"P","productName":"N","contractInfo":"","usage":{"Voice":"","SMS":"","Data":"","VoiceMinutes":null,
		"SMSCount":null,
		"DataMegabytes":null,"VoiceUnlimited":false,"SMSUnlimited":false,"DataUnlimited":false},
		"billingDate":"","dueDate":"","payment":"PAID","method":"",`
	for name, c := range map[string]struct {
		row   string
		want  bill.Bill
		trust bill.Trust
	}{
		"nothing left out": {
			`"contract":{"months":24,"start":"2025-03-01","end":"2027-02-28"},"total":89000,"charges":[{"Name":"월정액",
			"Amount":99000}],
				"discounts":[{"Name":"25% 요금할인","Amount":10000}],"terminationFee":48000,"device":100000}`,
			bill.Bill{
				Contract: &bill.Contract{Months: new(24)}, Total: 89000, Charges: []bill.Item{{Name: "월정액", Amount: won(99000)}},
				Discounts: []bill.Item{{Name: "25% 요금할인", Amount: won(10000)}}, TerminationFee: won(48000),
				DeviceInstallment: won(100000),
			}, bill.Doubtful,
		},
		"zeroes": {
			`"contract":{"months":0,"start":"2025-03-01","end":""},"total":89000,"charges":null,"discounts":null,
			"terminationFee":0,"device":0}`,
			bill.Bill{Contract: &bill.Contract{}, Total: 89000}, bill.Doubtful,
		},
		"total made up from what was left": {
			`"total":15000,"charges":[{"Name":"월정액","Amount":0},{"Name":"단말기 할부금","Amount":25000}],
				"discounts":[{"Name":"가족할인","Amount":10000}],"terminationFee":0,"device":0}`,
			bill.Bill{
				Total: 15000, Charges: []bill.Item{{Name: "월정액"}, {Name: "단말기 할부금", Amount: won(25000)}},
				Discounts: []bill.Item{{Name: "가족할인", Amount: won(10000)}},
			}, bill.MadeUp,
		},
		"total that KOS stated beside a charge without an amount": {
			`"total":74000,"charges":[{"Name":"월정액","Amount":0},{"Name":"단말기 할부금","Amount":25000}],"discounts":[],
			"terminationFee":0,"device":0}`,
			bill.Bill{
				Total: 74000, Charges: []bill.Item{{Name: "월정액"}, {Name: "단말기 할부금", Amount: won(25000)}},
				Discounts: []bill.Item{},
			}, bill.Doubtful,
		},
		"torn discounts beside a stated total": {
			`"total":44000,"charges":[{"Name":"월정액","Amount":59000}],"discounts":[{"Name":"가족할인 10","Amount":0},
				{"Name":"000원(2회선)","Amount":0},{"Name":"복지할인","Amount":5000}],"terminationFee":0,"device":0}`,
			bill.Bill{Total: 44000, Charges: []bill.Item{{Name: "월정액", Amount: won(59000)}},
				Discounts: []bill.Item{{Name: "할인"}}}, bill.Doubtful,
		},
		"total made up from torn discounts": {
			`"total":54000,"charges":[{"Name":"월정액","Amount":59000}],"discounts":[{"Name":"가족할인 10","Amount":0},
				{"Name":"000원(2회선)","Amount":0},{"Name":"복지할인","Amount":5000}],"terminationFee":0,"device":0}`,
			bill.Bill{Total: 54000, Charges: []bill.Item{{Name: "월정액", Amount: won(59000)}},
				Discounts: []bill.Item{{Name: "할인"}}}, bill.MadeUp,
		},
		"total made up from a lost discount": {
			`"total":54000,"charges":[{"Name":"월정액","Amount":59000}],
				"discounts":[{"Name":"가족할인 10000원 복지할인","Amount":5000}],
				"terminationFee":0,"device":0}`,
			bill.Bill{Total: 54000, Charges: []bill.Item{{Name: "월정액", Amount: won(59000)}},
				Discounts: []bill.Item{{Name: "할인"}}}, bill.MadeUp,
		},
	} {
		got, err := vault.Bills(v).Open(sealing.At("x"), of("bill", before+c.row))
		require.NoError(t, err, name)
		require.Equal(t, c.trust, got.Trust, name)
		require.False(t, got.Final(), name)
		c.want.Line, c.want.Month, c.want.ProductCode, c.want.ProductName = got.Bill.Line, got.Bill.Month, "P", "N"
		c.want.Payment.Status = bill.Paid
		if c.want.Contract != nil {
			c.want.Contract.Start, c.want.Contract.End = got.Bill.Contract.Start, got.Bill.Contract.End
			require.Equal(t, "2025-03-01", got.Bill.Contract.Start.String())
		}
		require.Equal(t, c.want, got.Bill, name)
	}

	const customer = `{"asOf":"2026-03-02T03:04:05Z","customerId":"C","line":"01012345678","name":"홍길동","operator":"O",
		"status":"ACTIVE",
		"plan":"P","nextPlan":"Q","nextDate":"","contractDate":"","termEnd":"","fee":`
	for fee, want := range map[string]*money.Won{"0": nil, "48000": won(48000)} {
		got, err := vault.Customers(v).Open(sealing.At("x"), of("customer", customer+fee+"}"))
		require.NoError(t, err)
		require.True(t, got.Doubtful)
		require.Equal(t, want, got.Customer.Contract.EarlyTerminationFee)
		require.Equal(t, freshness.Stale, got.Limits(freshness.Customer).Decide(got.AsOf, time.Time{}, got.AsOf, 0))
	}
	plans, err := vault.Plans(v).Open(sealing.At("x"),
		of("plans", `{"Plans":[{"Code":"P","Name":"N","MonthlyFee":0,"DataAllowance":"","VoiceAllowance":"",
		"SMSAllowance":"","NetworkType":"","Description":"","OnSale":false,"OperatorCode":"O"},{"Code":"Q","MonthlyFee":1,
		"OnSale":true}],
		"AsOf":"2026-03-02T03:04:05Z"}`))
	require.NoError(t, err)
	require.True(t, plans.Doubtful)
	require.Equal(t, []product.Plan{
		{Code: "P", Name: "N", SaleUnknown: true, OperatorCode: "O"}, {Code: "Q", MonthlyFee: won(1), OnSale: true},
	}, plans.Plans)
	require.Equal(t, freshness.Stale, plans.Limits(freshness.PlanList).Decide(plans.AsOf, time.Time{}, plans.AsOf, 0))
}

// What this release writes can be read by the one before, which runs beside it: the types of its rows are below.
func TestTheReleaseBeforeReadsWhatIsWritten(t *testing.T) {
	t.Parallel()
	v := open(t)
	clear := func(purpose string, sealed []byte, err error) []byte {
		require.NoError(t, err)
		require.EqualValues(t, 1, sealed[0], "the version of the sealed form")
		raw, err := v.Open(sealing.At(purpose), sealed[1:])
		require.NoError(t, err)
		return raw
	}
	type term struct {
		Months     int
		Start, End string
	}
	type item struct {
		Name   string
		Amount int64
	}
	for _, c := range portstest.BillCopies() {
		var row struct {
			V, Line, Month, ProductCode, Payment string
			Contract                             *term
			Total, TerminationFee, Device        int64
			Charges, Discounts                   []item
		}
		sealed, err := vault.Bills(v).Seal(sealing.At("x"), c)
		require.NoError(t, json.Unmarshal(clear("bill", sealed, err), &row))
		require.Equal(t, c.Version.String(), row.V)
		require.EqualValues(t, c.Bill.Total, row.Total)
		require.Len(t, row.Charges, len(c.Bill.Charges))
		if row.Contract != nil {
			require.NotEmpty(t, row.Contract.Start, "it would show it as 0000-00-00")
			require.NotEmpty(t, row.Contract.End)
		}
	}
	for _, c := range portstest.CustomerCopies() {
		var row struct {
			Line, Plan, NextPlan string
			Fee                  int64
		}
		sealed, err := vault.Customers(v).Seal(sealing.At("x"), c)
		require.NoError(t, json.Unmarshal(clear("customer", sealed, err), &row))
		require.Equal(t, c.Customer.PlanCode, row.Plan)
	}
	for _, c := range portstest.PlansCopies() {
		var row struct {
			Plans []struct {
				Code, Name string
				MonthlyFee int64
				OnSale     bool
			}
			AsOf time.Time
		}
		sealed, err := vault.Plans(v).Seal(sealing.At("x"), c)
		require.NoError(t, json.Unmarshal(clear("plans", sealed, err), &row))
		require.Len(t, row.Plans, len(c.Plans))
		require.True(t, c.AsOf.Equal(row.AsOf))
	}
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
	v.Obey(sealing.Column)
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
			_, err = v.Open(here.WithoutAlert(), older)
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

// TestNothingIsSealedWhileTheFormIsNotKnown: what is bound to its column alone is lost where that form is refused.
func TestNothingIsSealedWhileTheFormIsNotKnown(t *testing.T) {
	t.Parallel()
	v, ok := open(t).(*vault.Vault)
	require.True(t, ok)
	v.Obey(sealing.Unknown)
	at := sealing.At("bill.inquiries.line", "row")
	_, err := v.Seal(at, []byte("01012345678"))
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	_, err = vault.Bills(v).Seal(sealing.At("bill.bill_versions", "v"), portstest.BillCopies()[0])
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	v.ObeyIn("bill", sealing.RowOnly)
	sealed, err := v.Seal(at, []byte("01012345678"))
	require.NoError(t, err)
	require.True(t, sealing.Bound(sealed))
}

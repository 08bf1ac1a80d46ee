package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/vault"
	"phonebill/core/bill"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/money"
	"phonebill/core/request"
	"phonebill/core/sealing"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// before seals bills as the previous release did: without a version of the row, and with 0 for what KOS had left out.
type before struct {
	ports.Sealer[bill.Copy]
	vault ports.Vault
}

func (b before) Seal(_ sealing.Place, c bill.Copy) ([]byte, error) {
	const row = `{"v":%q,"asOf":%q,"line":%q,"month":%q,"productCode":"P","productName":"N","contractInfo":"","total":%d,
		"charges":[{"Name":"월정액","Amount":0},{"Name":"단말기 할부금","Amount":25000}],"discounts":[{"Name":"가족할인","Amount":10000}],
		"usage":{},"terminationFee":0,"device":0,"billingDate":"","dueDate":"","payment":"PAID","method":""}`
	sealed, err := b.vault.Seal(sealing.At("bill"), fmt.Appendf(nil, row,
		c.Version, c.AsOf.Format(time.RFC3339Nano), c.Bill.Line.Digits(), c.Bill.Month, c.Bill.Total))
	return append([]byte{1}, sealed...), err
}

// TestBillsOfPreviousRelease: they are read, but the AP server gets them labelled as stale, and without a total that
// may be made up.
func TestBillsOfPreviousRelease(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Bill), keyring(t)
	old := postgres.NewBills(db.Pool, keys, before{vault.Bills(keys), keys}, &memory.Epochs{})
	bills, inquiries := postgres.NewBills(db.Pool, keys, vault.Bills(keys), &memory.Epochs{}),
		postgres.NewInquiries(db.Pool, keys)
	for n, c := range []struct {
		total money.Won
		trust bill.Trust
	}{{74_000, bill.Doubtful}, {15_000, bill.MadeUp}} {
		of := portstest.Line(20 + n)
		stored := bill.Copy{
			Version: id.ID{0: 3, 15: byte(n)}, AsOf: noon,
			Bill: bill.Bill{Line: of, Month: portstest.Month().Add(-1), Total: c.total},
		}
		require.NoError(t, old.Put(t.Context(), stored))
		held, err := bills.Latest(t.Context(), of, stored.Bill.Month)
		require.NoError(t, err)
		require.Equal(t, c.trust, held.Trust)
		require.False(t, held.Final())
		require.Nil(t, held.Bill.TerminationFee)
		require.Nil(t, held.Bill.Charges[0].Amount)
		q := inquiry(byte(n))
		q.Line, q.Month = of, stored.Bill.Month
		require.NoError(t, inquiries.Add(t.Context(), q.Complete(stored, freshness.FromCache, noon)))
	}
	batches, err := postgres.NewBillOutbox(db.Pool, keys, vault.Bills(keys)).Claim(t.Context(), noon.Add(time.Hour),
		time.Minute, 10, 10)
	require.NoError(t, err)
	require.Len(t, batches, 2)
	for _, batch := range batches {
		require.Nil(t, batch[0].Unreadable)
		if batch[0].Body.Inquiry.Line == portstest.Line(20) {
			require.Equal(t, freshness.FromStale, batch[0].Body.Inquiry.Source)
			require.Equal(t, money.Won(74_000), batch[0].Body.Bill.Total)
		} else {
			require.Nil(t, batch[0].Body.Bill)
		}
	}
}

// TestOrdersOfPreviousRelease: a fee of 0 won in their plan may be one that KOS had left out.
func TestOrdersOfPreviousRelease(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, migrations.Product), keyring(t)
	orders := postgres.NewOrders(db.Pool, keys)
	for n, c := range []struct {
		row  string
		want *money.Won
	}{
		{`{"code":"P","name":"N","fee":0,"data":"","voice":"","sms":"","network":"","description":"","onSale":true,
			"operator":"O"}`, nil},
		{`{"code":"P","name":"N","fee":39000,"onSale":true}`, new(money.Won(39_000))},
		{`{"form":2,"code":"P","name":"N","fee":0,"onSale":true}`, new(money.Won(0))},
		{`{"form":2,"code":"P","name":"N","onSale":true}`, nil},
	} {
		o := order(byte(n))
		require.NoError(t, orders.Add(t.Context(), o, request.KeyUse{}))
		exec(t, db.Admin, "UPDATE change_orders SET to_plan = $2 WHERE id = $1", o.ID.String(), c.row)
		got, err := orders.Get(t.Context(), o.ID)
		require.NoError(t, err)
		require.Equal(t, c.want, got.Target.MonthlyFee)
		require.Equal(t, "N", got.Target.Name)
	}
}

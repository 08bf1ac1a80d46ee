package valkey_test

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/sealing"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func (c *cache) keyOf(n line.Number) string {
	return c.namespace + ":line:v1:{" + hex.EncodeToString(c.vault.Index(ports.LineIndex, n.Digits())[:16]) + "}"
}

func (c *cache) monthsKeyOf(n line.Number) string {
	return c.namespace + ":months:v1:{" + hex.EncodeToString(c.vault.Index(ports.LineIndex, n.Digits())[:16]) + "}"
}

func (c *cache) move(t *testing.T, from, field, to, as string) {
	t.Helper()
	value, err := c.raw.Do(t.Context(), c.raw.B().Hget().Key(from).Field(field).Build()).ToString()
	require.NoError(t, err)
	require.NoError(t, c.raw.Do(t.Context(), c.raw.B().Hset().Key(to).FieldValue().FieldValue(as, value).Build()).Error())
}

// TestAnEntryThatWasMovedIsAMiss: in every form the value of another line, month or session is never shown, and raises
// an alert.
func TestAnEntryThatWasMovedIsAMiss(t *testing.T) {
	t.Parallel()
	for _, form := range []sealing.Form{sealing.Column, sealing.Row, sealing.RowOnly} {
		t.Run(form.String(), func(t *testing.T) {
			t.Parallel()
			c := open(t)
			keys := c.vault.(*vault.Vault) //nolint:forcetypeassert // open made it
			var refused []string
			keys.Obey(form)
			keys.Report(func(at sealing.Place, _ error) { refused = append(refused, at.Name()) })
			epochs := &memory.Epochs{Vault: c.vault}
			one, two := portstest.BillCopies()[0], portstest.BillCopies()[1]
			before := one
			before.Version, before.Bill.Month = id.ID{9}, one.Bill.Month.Add(-1)
			bills := valkey.NewCachedBills(c.Client, &memory.Bills{Epochs: epochs}, epochs, c.vault, vault.Bills(c.vault), c.log)
			customers := valkey.NewCachedCustomers(c.Client, &memory.Customers{Epochs: epochs}, epochs, c.vault,
				vault.Customers(c.vault), c.log)
			for range 2 { // the first Get learns the epoch, the second finds the entry
				require.NoError(t, bills.Put(t.Context(), one))
				require.NoError(t, bills.Put(t.Context(), two))
				require.NoError(t, bills.Put(t.Context(), before))
				for _, copied := range portstest.CustomerCopies() {
					require.NoError(t, customers.Put(t.Context(), copied))
					_, err := customers.Latest(t.Context(), copied.Customer.Line)
					require.NoError(t, err)
				}
				for _, want := range []asked{{one.Bill.Line, 0}, {two.Bill.Line, 0}, {one.Bill.Line, -1}} {
					_, err := bills.Latest(t.Context(), want.line, one.Bill.Month.Add(want.months))
					require.NoError(t, err)
				}
			}
			field := "b" + one.Bill.Month.Compact()
			c.move(t, c.keyOf(one.Bill.Line), field, c.keyOf(two.Bill.Line), field)
			c.move(t, c.keyOf(one.Bill.Line), "c", c.keyOf(two.Bill.Line), "c")
			got, err := bills.Latest(t.Context(), two.Bill.Line, two.Bill.Month)
			require.NoError(t, err)
			require.Equal(t, two, got, "the store was asked")
			who, err := customers.Latest(t.Context(), two.Bill.Line)
			require.NoError(t, err)
			require.Equal(t, portstest.CustomerCopies()[1], who)
			c.move(t, c.keyOf(one.Bill.Line), "b"+before.Bill.Month.Compact(), c.keyOf(one.Bill.Line), field)
			got, err = bills.Latest(t.Context(), one.Bill.Line, one.Bill.Month)
			require.NoError(t, err)
			require.Equal(t, one, got)
			require.Contains(t, refused, "cache.bill")

			stored, policy := &memory.Sessions{}, auth.DefaultSessions()
			sessions := valkey.NewCachedSessions(c.Client, stored, c.vault, c.log)
			mine, other := id.ID{15: 1}, id.ID{15: 2}
			for sid, user := range map[id.ID]auth.UserID{mine: "hong1234", other: "kim56789"} {
				_, err := sessions.Create(t.Context(), policy.NewSession(sid, user, false, auth.Client{}, start), policy)
				require.NoError(t, err)
				_, err = sessions.Get(t.Context(), sid)
				require.NoError(t, err)
			}
			at := func(sid id.ID) string { return c.namespace + ":session:v1:{" + sid.String() + "}" }
			c.move(t, at(mine), "s", at(other), "s")
			s, err := sessions.Get(t.Context(), other)
			require.NoError(t, err)
			require.Equal(t, auth.UserID("kim56789"), s.UserID)
			require.Contains(t, refused, "cache.session")
		})
	}
}

type asked struct {
	line   line.Number
	months int
}

// TestAnEntryOfTheOlderFormIsMadeAnew without an alert, once that form is refused: it outlives the job by its time to
// live.
func TestAnEntryOfTheOlderFormIsMadeAnew(t *testing.T) {
	t.Parallel()
	c := open(t)
	keys := c.vault.(*vault.Vault) //nolint:forcetypeassert // open made it
	keys.Obey(sealing.Column)
	keys.Report(func(at sealing.Place, why error) { t.Errorf("%s: %v", at, why) })
	plans := valkey.NewCachedPlans(c.Client, &memory.Plans{}, vault.Plans(c.vault), c.log)
	want := portstest.PlansCopies()[0]
	require.NoError(t, plans.Put(t.Context(), want))
	for _, form := range []sealing.Form{sealing.Column, sealing.Row, sealing.RowOnly, sealing.RowOnly, sealing.RowOnly} {
		keys.Obey(form)
		got, err := plans.Latest(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got, form.String())
	}
	require.Equal(t, 1, c.count(t, "plans", "trouble"), "refused once")
	require.Equal(t, 3, c.count(t, "plans", "miss"), "at first, when it was refused, and when it was made anew")
	require.Equal(t, 2, c.count(t, "plans", "hit"))
}

// TestAnEntryCannotPretendToBeNewer than its value: epochs are compared with the time in front of it.
func TestAnEntryCannotPretendToBeNewer(t *testing.T) {
	t.Parallel()
	c := open(t)
	epochs := &memory.Epochs{Vault: c.vault}
	stored := &memory.Customers{Epochs: epochs}
	customers := valkey.NewCachedCustomers(c.Client, stored, epochs, c.vault, vault.Customers(c.vault), c.log)
	raised := valkey.NewCachedEpochs(c.Client, epochs, c.vault, c.log)
	old := portstest.CustomerCopies()[0]
	require.NoError(t, customers.Put(t.Context(), old))
	_, err := customers.Latest(t.Context(), old.Customer.Line)
	require.NoError(t, err)
	key := c.keyOf(old.Customer.Line)
	value, err := c.raw.Do(t.Context(), c.raw.B().Hget().Key(key).Field("c").Build()).ToString()
	require.NoError(t, err)
	require.NoError(t, raised.Raise(t.Context(), old.Customer.Line, old.AsOf.AddDate(0, 0, 1)))
	_, err = customers.Latest(t.Context(), old.Customer.Line) // the cache learns the epoch
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
	require.NoError(t, c.raw.Do(t.Context(), c.raw.B().Hset().Key(key).FieldValue().
		FieldValue("c", "09999999999999999999"+value[20:]).Build()).Error())
	_, err = customers.Latest(t.Context(), old.Customer.Line)
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
}

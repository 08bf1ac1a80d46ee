package kossim_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos/internal/kosgen"
	"phonebill/adapters/kos/kossim"
)

func TestChangeIsScheduledAndTakesEffectOnItsDate(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	c := connect(t, sim)
	first := change(t, c, order("t-1"))
	require.Equal(t, http.StatusOK, first.StatusCode())
	got := first.JSON200.Data
	require.Equal(t, "KOS20261121000001", got.KosOrderNumber)
	require.Equal(t, "5G 스탠다드 플랜", *got.NewProductName)
	require.Equal(t, "20261121", *got.ChangeDate)
	require.Equal(t, "20261201", got.EffectiveDate)
	require.Equal(t, []kossim.LedgerRow{{
		TransactionID: "t-1", LineNumber: "01012345678", From: "LTE-PREMIUM-001", To: "5G-STANDARD-001",
		EffectiveDate: "20261201", AppliedAt: noon,
	}}, sim.Ledger())

	who := customer(t, c, "01012345678")
	require.Equal(t, "LTE-PREMIUM-001", who.CurrentProduct.ProductCode)
	scheduled := kosgen.ScheduledProduct{ProductCode: "5G-STANDARD-001", EffectiveDate: "20261201", TransactionId: "t-1"}
	require.Equal(t, scheduled, *who.ScheduledProduct)

	require.NoError(t, sim.SetClock(time.Date(2026, 11, 30, 14, 59, 59, 0, time.UTC)))
	require.Equal(
		t,
		"LTE-PREMIUM-001",
		customer(t, c, "01012345678").CurrentProduct.ProductCode,
		"one second before midnight in Seoul",
	)
	require.NoError(t, sim.Advance(time.Second))
	who = customer(t, c, "01012345678")
	require.Equal(t, "5G-STANDARD-001", who.CurrentProduct.ProductCode)
	require.Nil(t, who.ScheduledProduct)

	back := order("t-2")
	back.CurrentProductCode, back.NewProductCode, back.EffectiveDate = "5G-STANDARD-001", "LTE-BASIC-001", "20261201"
	require.Equal(t, kossim.OK, code(t, change(t, c, back).Body))
	require.Equal(t, "LTE-BASIC-001", customer(t, c, "01012345678").CurrentProduct.ProductCode, "effective the same day")
}

func TestLaterChangeReplacesTheScheduledOne(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	c := connect(t, sim)
	require.Equal(t, kossim.OK, code(t, change(t, c, order("t-1")).Body))
	second := order("t-2")
	second.NewProductCode = "LTE-BASIC-001"
	require.Equal(t, kossim.OK, code(t, change(t, c, second).Body))
	require.Equal(t, "t-2", customer(t, c, second.LineNumber).ScheduledProduct.TransactionId)
	require.NoError(t, sim.Advance(20*24*time.Hour))
	require.Equal(t, "LTE-BASIC-001", customer(t, c, second.LineNumber).CurrentProduct.ProductCode)
	require.Len(t, sim.Ledger(), 2)
}

func TestPastDateTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	c := connect(t, open(t, options()))
	in := order("t-1")
	in.EffectiveDate = "20261001"
	require.Equal(t, kossim.OK, code(t, change(t, c, in).Body))
	require.Equal(t, "5G-STANDARD-001", customer(t, c, in.LineNumber).CurrentProduct.ProductCode)
}

func TestEveryRefusal(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	c := connect(t, sim)
	old, err := sim.AddCustomers(kossim.Generate{Count: 1, Seed: 3, Scenario: kossim.OldDevice})
	require.NoError(t, err)
	for want, edit := range map[string]func(*kosgen.ProductChangeRequest){
		kossim.UnknownLine:        func(r *kosgen.ProductChangeRequest) { r.LineNumber = "01012340000" },
		kossim.LineNotInUse:       func(r *kosgen.ProductChangeRequest) { r.LineNumber = "01012345682" },
		kossim.InContractTerm:     func(r *kosgen.ProductChangeRequest) { r.LineNumber = "01012345679" },
		kossim.NotCompatible:      func(r *kosgen.ProductChangeRequest) { r.LineNumber = old[0] },
		kossim.UnpaidBalance:      func(r *kosgen.ProductChangeRequest) { r.LineNumber = "01012345683" },
		kossim.PlanNotOnSale:      func(r *kosgen.ProductChangeRequest) { r.NewProductCode = "3G-OLD-001" },
		kossim.OtherOperatorsPlan: func(r *kosgen.ProductChangeRequest) { r.NewProductCode = "OTHER-LTE-001" },
		kossim.NotCurrentPlan:     func(r *kosgen.ProductChangeRequest) { r.CurrentProductCode = "LTE-BASIC-001" },
		kossim.Malformed:          func(r *kosgen.ProductChangeRequest) { r.NewProductCode = r.CurrentProductCode },
	} {
		in := order("t-" + want)
		edit(&in)
		for range 2 { // a repeat gets the first answer again
			res := change(t, c, in)
			require.Equal(t, want, code(t, res.Body))
			require.Contains(t, []int{200, 400}, res.StatusCode())
		}
		state, err := c.GetProductChangeWithResponse(t.Context(), in.TransactionId)
		require.NoError(t, err)
		require.Equal(t, "REFUSED", state.JSON200.Data.State)
		require.Equal(t, want, *state.JSON200.Data.ResultCode)
	}
	unknown := order("t-x")
	unknown.NewProductCode = "NO-SUCH-PLAN"
	require.Equal(t, kossim.PlanNotOnSale, code(t, change(t, c, unknown).Body))
	failing := order("t-failing")
	failing.LineNumber = "01012345680"
	require.Equal(t, kossim.SystemError, code(t, change(t, c, failing).Body))
	lte := order("t-lte")
	lte.LineNumber, lte.NewProductCode = old[0], "LTE-BASIC-001"
	require.Equal(t, kossim.OK, code(t, change(t, c, lte).Body), "an old device can do LTE")
	require.Len(t, sim.Ledger(), 1)
}

func TestTransactionIDIsUsedOnce(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	c := connect(t, sim)
	first := change(t, c, order("t-1")).JSON200.Data
	require.Equal(t, first, change(t, c, order("t-1")).JSON200.Data, "the first answer again")
	other := order("t-1")
	other.NewProductCode = "LTE-BASIC-001"
	res := change(t, c, other)
	require.Equal(t, kossim.TransactionReused, code(t, res.Body))
	require.Equal(t, http.StatusBadRequest, res.StatusCode())
	require.Len(t, sim.Ledger(), 1)
}

func TestStatusQuery(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	c := connect(t, sim)
	ask := func(id string) *kosgen.GetProductChangeResponse {
		res, err := c.GetProductChangeWithResponse(t.Context(), id)
		require.NoError(t, err)
		return res
	}
	require.Equal(t, kossim.OK, ask("never").JSON200.ResultCode)
	require.Nil(t, ask("never").JSON200.Data)
	change(t, c, order("t-1"))
	require.Equal(t, "APPLIED", ask("t-1").JSON200.Data.State)
	require.Equal(t, kossim.OK, *ask("t-1").JSON200.Data.ResultCode)
	sim.SetStatusQuery(false)
	require.Equal(t, http.StatusNotFound, ask("t-1").StatusCode())
}

func TestConcurrentChangesAreAcceptedOncePerTransaction(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.StateDir = t.TempDir()
	sim := open(t, opts)
	c := connect(t, sim)
	var group sync.WaitGroup
	answers := make(chan string, 200)
	for i := range 200 {
		group.Go(func() {
			res, err := c.ChangeProductWithResponse(t.Context(), order(fmt.Sprintf("t-%d", i%10)))
			if err == nil && res.JSON200 != nil && res.JSON200.Data != nil {
				answers <- res.JSON200.Data.TransactionId + res.JSON200.Data.KosOrderNumber
			}
		})
	}
	group.Wait()
	close(answers)
	distinct := map[string]int{}
	for a := range answers {
		distinct[a]++
	}
	require.Len(t, distinct, 10, "one order number per transaction")
	for a, n := range distinct {
		require.Equal(t, 20, n, a)
	}
	require.Len(t, sim.Ledger(), 10)
	require.Len(t, sim.Calls(), 200)
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	for header, want := range map[string]int{
		"": 401, "Bearer wrong": 401, "Bearer ": 401, token: 401, "Bearer " + token: 200, "Bearer next-credential": 200,
	} {
		rec := recordWith(t, sim, header)
		require.Equal(t, want, rec.Code, header)
	}
	_, err := kossim.New(kossim.Options{})
	require.ErrorIs(t, err, kossim.ErrInvalid)
	_, err = kossim.New(kossim.Options{Tokens: []string{""}})
	require.ErrorIs(t, err, kossim.ErrInvalid)
}

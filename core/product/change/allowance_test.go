package change_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/core/product"
	"phonebill/core/quota"
)

// TestParallelOrdersCostKOSNoMoreThanTheAllowance: an account of many lines that orders for all of them at once gets as
// many orders as its allowance pays for, and the others are refused before they are stored.
func TestParallelOrdersCostKOSNoMoreThanTheAllowance(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.allowed = quota.Allowance{{Calls: 10, Per: time.Minute}}
		w.Service = w.service()
		for i := range 50 {
			n := number(t, fmt.Sprintf("010%08d", i))
			w.me.Lines = append(w.me.Lines, n)
			w.kos.AddCustomer(product.Customer{
				Line: n, CustomerID: "C1", PlanCode: "LTE", OperatorCode: "MVNO", LineStatus: product.LineActive,
			}, nil)
		}
		var accepted, refused atomic.Int32
		var all sync.WaitGroup
		for _, n := range w.me.Lines[1:] {
			all.Go(func() {
				c := w.command("5G")
				c.Line = n
				_, err := w.Request(t.Context(), w.me, c)
				if err == nil {
					accepted.Add(1)
					return
				}
				assert.ErrorIs(t, err, fault.New(fault.RateLimitExceeded))
				refused.Add(1)
			})
		}
		all.Wait()
		require.Positive(t, accepted.Load())
		require.LessOrEqual(t, accepted.Load(), int32(5))
		require.EqualValues(t, 50, accepted.Load()+refused.Load())
		require.LessOrEqual(t, w.kos.Calls, 11, "two calls an order, and the plan list")
		_, total, err := w.History(t.Context(), w.me, product.HistoryFilter{Page: 1, Size: 20})
		require.NoError(t, err)
		require.EqualValues(t, accepted.Load(), total)
	})
}

// TestPrepaidCallsThatAreNotMadeAreGivenBack: of a refused order, and of a repeated request.
func TestPrepaidCallsThatAreNotMadeAreGivenBack(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.allowed = quota.Allowance{{Calls: 7, Per: time.Hour}}
		w.Service = w.service()
		other := number(t, "01012345679")
		w.me.Lines = append(w.me.Lines, other)
		w.kos.AddCustomer(product.Customer{
			Line: other, CustomerID: "C1", PlanCode: "LTE", OperatorCode: "MVNO", LineStatus: product.LineActive,
		}, nil)
		for range 2 { // three calls: two customers and one plan list
			_, err := w.Request(t.Context(), w.me, w.command("3G"))
			require.ErrorIs(t, err, fault.New(fault.ValidationFailed))
		}
		w.kos.then(lost)
		first, err := w.Request(t.Context(), w.me, w.command("5G")) // two more
		require.NoError(t, err)
		require.False(t, first.State.Final())
		for range 5 {
			same, err := w.Request(t.Context(), w.me, w.command("5G"))
			require.NoError(t, err)
			require.Equal(t, first.ID, same.ID)
		}
		last := w.command("5G")
		last.Line = other
		_, err = w.Request(t.Context(), w.me, last)
		require.NoError(t, err, "the last two are left")
	})
}

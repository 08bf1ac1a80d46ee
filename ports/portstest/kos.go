package portstest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/audit"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Customers is the suite of ports.Customers, with the epochs it obeys.
func Customers(t *testing.T, open func(t *testing.T) (ports.Customers, ports.Epochs)) {
	t.Helper()
	t.Run("a copy comes back as it was put", func(t *testing.T) {
		t.Parallel()
		customers, _ := open(t)
		for _, want := range CustomerCopies() {
			_, err := customers.Latest(t.Context(), want.Customer.Line)
			requireFault(t, fault.ResourceNotFound, err)
			require.NoError(t, customers.Put(t.Context(), want))
			got, err := customers.Latest(t.Context(), want.Customer.Line)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	})
	t.Run("a newer copy replaces, an older one does not", func(t *testing.T) {
		t.Parallel()
		customers, _ := open(t)
		older := product.CustomerCopy{Customer: Customer(Line(1)), AsOf: start}
		newer := product.CustomerCopy{Customer: Customer(Line(1)), AsOf: after(1)}
		newer.Customer.PlanCode = "LTE_BASIC"
		for _, next := range []product.CustomerCopy{older, newer, older} {
			require.NoError(t, customers.Put(t.Context(), next))
			_, err := customers.Latest(t.Context(), Line(1)) // a copy may be cached now
			require.NoError(t, err)
		}
		got, err := customers.Latest(t.Context(), Line(1))
		require.NoError(t, err)
		require.Equal(t, newer, got)
		got, err = customers.LatestCommitted(t.Context(), Line(1))
		require.NoError(t, err)
		require.Equal(t, newer, got)
	})
	t.Run("nothing from before the line's epoch is shown", func(t *testing.T) {
		t.Parallel()
		customers, epochs := open(t)
		for _, n := range []line.Number{Line(1), Line(2)} {
			require.NoError(t, customers.Put(t.Context(), product.CustomerCopy{Customer: Customer(n), AsOf: after(1)}))
			_, err := customers.Latest(t.Context(), n)
			require.NoError(t, err)
		}
		require.NoError(t, epochs.Raise(t.Context(), Line(1), after(1)))
		_, err := customers.Latest(t.Context(), Line(1))
		require.NoError(t, err, "stated at the epoch, not before")
		require.NoError(t, epochs.Raise(t.Context(), Line(1), after(2)))
		_, err = customers.Latest(t.Context(), Line(1))
		requireFault(t, fault.ResourceNotFound, err)
		_, err = customers.LatestCommitted(t.Context(), Line(1))
		requireFault(t, fault.ResourceNotFound, err)
		_, err = customers.Latest(t.Context(), Line(2))
		require.NoError(t, err, "another line's epoch")
		require.NoError(t, customers.Put(t.Context(), product.CustomerCopy{Customer: Customer(Line(1)), AsOf: after(3)}))
		_, err = customers.Latest(t.Context(), Line(1))
		require.NoError(t, err)
	})
}

// BillMonths is the suite of ports.BillMonths.
func BillMonths(t *testing.T, open func(t *testing.T) ports.BillMonths) {
	t.Helper()
	t.Run("a copy comes back as it was put", func(t *testing.T) {
		t.Parallel()
		months := open(t)
		for _, want := range MonthsCopies() {
			_, err := months.Latest(t.Context(), want.Line)
			requireFault(t, fault.ResourceNotFound, err)
			require.NoError(t, months.Put(t.Context(), want))
			for range 2 { // it may be cached now
				got, err := months.Latest(t.Context(), want.Line)
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
		}
	})
	t.Run("a newer copy replaces, an older one does not", func(t *testing.T) {
		t.Parallel()
		months := open(t)
		older := MonthsCopies()[0]
		newer := older
		newer.AsOf, newer.Months = after(1), older.Months[:1]
		for _, next := range []bill.MonthsCopy{older, newer, older} {
			require.NoError(t, months.Put(t.Context(), next))
			_, err := months.Latest(t.Context(), older.Line)
			require.NoError(t, err)
		}
		got, err := months.Latest(t.Context(), older.Line)
		require.NoError(t, err)
		require.Equal(t, newer, got)
		got, err = months.LatestCommitted(t.Context(), older.Line)
		require.NoError(t, err)
		require.Equal(t, newer, got)
	})
}

// Plans is the suite of ports.Plans.
func Plans(t *testing.T, open func(t *testing.T) ports.Plans) {
	t.Helper()
	t.Run("the newest list comes back as it was put", func(t *testing.T) {
		t.Parallel()
		plans := open(t)
		_, err := plans.Latest(t.Context())
		requireFault(t, fault.ResourceNotFound, err)
		want := PlansCopies()[0]
		require.NoError(t, plans.Put(t.Context(), want))
		got, err := plans.Latest(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)

		newer, older := want, want
		newer.AsOf, newer.Plans = after(2), slices.Clone(want.Plans[:1])
		older.AsOf = after(1)
		require.NoError(t, plans.Put(t.Context(), newer))
		require.NoError(t, plans.Put(t.Context(), older))
		got, err = plans.Latest(t.Context())
		require.NoError(t, err)
		require.Equal(t, newer, got)
		got, err = plans.LatestCommitted(t.Context())
		require.NoError(t, err)
		require.Equal(t, newer, got)
	})
}

// Epochs is the suite of ports.Epochs.
func Epochs(t *testing.T, open func(t *testing.T) ports.Epochs) {
	t.Helper()
	t.Run("an epoch only rises", func(t *testing.T) {
		t.Parallel()
		epochs := open(t)
		for _, step := range []struct{ raise, want time.Time }{{after(2), after(2)}, {after(1), after(2)},
			{after(3), after(3)}} {
			before, err := epochs.Of(t.Context(), Line(2))
			require.NoError(t, err)
			require.True(t, before.IsZero())
			require.NoError(t, epochs.Raise(t.Context(), Line(1), step.raise))
			got, err := epochs.Of(t.Context(), Line(1))
			require.NoError(t, err)
			require.True(t, step.want.Equal(got), got)
		}
	})
	t.Run("of parallel raises the highest stays", func(t *testing.T) {
		t.Parallel()
		epochs := open(t)
		var all sync.WaitGroup
		for n := 1; n <= 30; n++ {
			all.Go(func() { noError(t, epochs.Raise(t.Context(), Line(1), after(n))) })
		}
		all.Wait()
		got, err := epochs.Of(t.Context(), Line(1))
		require.NoError(t, err)
		require.True(t, after(30).Equal(got), got)
	})
}

// Quota is the suite of ports.Quota. open returns one or more instances that share one ledger.
func Quota(t *testing.T, open func(t *testing.T, w quota.Window) []ports.Quota) {
	t.Helper()
	t.Run("of many at once the budget is admitted and the rest get a retry time", func(t *testing.T) {
		t.Parallel()
		window := quota.Window{Budget: 7, Per: time.Hour}
		instances := open(t, window)
		var mu sync.Mutex
		var refused []error
		var all sync.WaitGroup
		for n := range 40 {
			all.Go(func() {
				if err := instances[n%len(instances)].Take(t.Context(), quota.Read); err != nil {
					mu.Lock()
					defer mu.Unlock()
					refused = append(refused, err)
				}
			})
		}
		all.Wait()
		require.Len(t, refused, 40-window.Budget)
		for _, err := range refused {
			requireFault(t, fault.ServiceUnavailable, err)
			require.ErrorIs(t, err, ports.ErrNotAsked)
			wait := fault.From(err).RetryAfter()
			require.True(t, wait > 0 && wait <= window.Per, wait)
		}
	})
	t.Run("no window of time holds more than the budget", func(t *testing.T) {
		t.Parallel()
		window := quota.Window{Budget: 10, Per: 250 * time.Millisecond}
		instances := open(t, window)
		// Each admission happened between asked and received. The k-th admission is not before the k-th asked and not
		// after the k-th received.
		var mu sync.Mutex
		var asked, received []time.Time
		var all sync.WaitGroup
		for n := range 6 {
			all.Go(func() {
				for {
					at := time.Now()
					err := instances[n%len(instances)].Take(t.Context(), quota.Read)
					if err != nil && !errors.Is(err, ports.ErrNotAsked) {
						noError(t, err)
						return
					}
					mu.Lock()
					if err == nil {
						asked, received = append(asked, at), append(received, time.Now())
					}
					enough := len(received) >= 4*window.Budget
					mu.Unlock()
					if enough {
						return
					}
				}
			})
		}
		all.Wait()
		slices.SortFunc(asked, time.Time.Compare)
		slices.SortFunc(received, time.Time.Compare)
		for k := range asked[window.Budget:] {
			apart := received[k+window.Budget].Sub(asked[k])
			require.GreaterOrEqual(t, apart, window.Per-time.Millisecond, "admissions %d and %d", k, k+window.Budget)
		}
	})
}

// QuotaLanes is the suite of how ports.Quota shares between lanes and shrinks.
func QuotaLanes(t *testing.T, open func(t *testing.T, w quota.Window) []ports.Quota) {
	t.Helper()
	fill := func(t *testing.T, instances []ports.Quota, lane quota.Lane) (n int) {
		t.Helper()
		for ; ; n++ {
			err := instances[n%len(instances)].Take(t.Context(), lane)
			if err != nil {
				require.ErrorIs(t, err, ports.ErrNotAsked)
				return n
			}
		}
	}
	t.Run("what is reserved for one lane no other takes, on any instance", func(t *testing.T) {
		t.Parallel()
		instances := open(t, quota.Window{Budget: 20, Per: time.Hour, Reserve: quota.Shares{quota.Change: 5, quota.Read: 7}})
		require.Equal(t, 8, fill(t, instances, quota.Prefetch))
		require.Zero(t, fill(t, instances, quota.Refresh))
		require.Equal(t, 7, fill(t, instances, quota.Read))
		require.Equal(t, 5, fill(t, instances, quota.Change))
	})
	t.Run("after E429 the budget is smaller, on every instance", func(t *testing.T) {
		t.Parallel()
		instances := open(t, quota.Window{Budget: 20, Per: time.Hour})
		require.NoError(t, instances[0].Take(t.Context(), quota.Read))
		require.NoError(t, instances[0].OverSpent(t.Context(), 0))
		require.Equal(t, 14, fill(t, instances, quota.Read), "three quarters")
		require.NoError(t, instances[len(instances)-1].OverSpent(t.Context(), time.Minute))
		require.Zero(t, fill(t, instances, quota.Change))
	})
}

// CallLog is the suite of ports.CallLog. kept returns what is stored of every call where no key is needed to read it:
// id, operation, attempt, breaker, result and HTTP status.
func CallLog(t *testing.T, open func(t *testing.T) (log ports.CallLog, kept func() []audit.Call)) {
	t.Helper()
	t.Run("every call is kept, whatever is missing in it", func(t *testing.T) {
		t.Parallel()
		log, kept := open(t)
		full := audit.Call{
			ID: numbered(1), Operation: "bill.inquiry", Line: Line(1), RequestID: numbered(2), AskedAt: start,
			AnsweredAt: after(1), Attempt: 2, Breaker: "HALF_OPEN", Result: "0000", HTTPStatus: 200,
			Request: []byte(`{"line":"01012345678"}`), Answer: []byte(`{"total":89000}`),
		}
		require.NoError(t, log.Append(t.Context(), full))
		require.NoError(t, log.Append(t.Context(), audit.Call{
			ID: numbered(3), Operation: "plan.list", AskedAt: start, AnsweredAt: start, Attempt: 1, Breaker: "CLOSED",
			Result: "NOT_SENT",
		}))
		require.ElementsMatch(t, []audit.Call{
			{ID: numbered(1), Operation: "bill.inquiry", Attempt: 2, Breaker: "HALF_OPEN", Result: "0000", HTTPStatus: 200},
			{ID: numbered(3), Operation: "plan.list", Attempt: 1, Breaker: "CLOSED", Result: "NOT_SENT"},
		}, kept())
		var all sync.WaitGroup
		for n := range 20 {
			all.Go(func() {
				one := full
				one.ID = numbered(10 + n)
				noError(t, log.Append(t.Context(), one))
			})
		}
		all.Wait()
		require.Len(t, kept(), 22)
		require.NoError(t, log.Append(t.Context(), full), "written again, its answer being lost")
		require.Len(t, kept(), 22)
	})
}

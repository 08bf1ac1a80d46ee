package portstest

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/delivery"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// Publisher is the suite of ports.Publisher in front of a receiver that works. received returns the ids of the events
// that it has got.
func Publisher(t *testing.T, open func(t *testing.T) (p ports.Publisher[ports.ChangeResult], received func() []id.ID)) {
	t.Helper()
	event := func(n int) delivery.Item[ports.ChangeResult] {
		o := done(order(n, Line(n)), after(n))
		return delivery.Item[ports.ChangeResult]{
			ID: numbered(n), Sequence: 1, CreatedAt: o.ProcessedAt, Body: ports.ChangeResult{Order: o},
		}
	}
	t.Run("a working receiver gets everything", func(t *testing.T) {
		t.Parallel()
		p, received := open(t)
		require.Equal(t, 32, p.Ready(32))
		require.Zero(t, p.Ready(0))
		var all sync.WaitGroup
		var want []id.ID
		for n := range 20 {
			want = append(want, numbered(n))
			all.Go(func() {
				if a := p.Publish(t.Context(), event(n)); a.Outcome != delivery.Accepted || !a.Made() {
					t.Errorf("%+v", a)
				}
			})
		}
		all.Wait()
		require.ElementsMatch(t, want, received())
		require.Equal(t, 32, p.Ready(32))
	})
	t.Run("every outcome of an order is delivered", func(t *testing.T) {
		t.Parallel()
		p, received := open(t)
		refused := event(1)
		refused.Body.Order.State, refused.Body.Order.FailureReason = product.Failed, product.RefusedUnpaid.Reason()
		require.Equal(t, delivery.Accepted, p.Publish(t.Context(), refused).Outcome)
		require.Equal(t, []id.ID{refused.ID}, received())
	})
}

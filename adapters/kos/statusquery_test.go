package kos_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

const noQueryIsOver = 10 * time.Minute

// TestAKOSWithoutTheQueryIsNotAskedEachTime: by any caller, in any lane; and it is asked again after a while.
func TestAKOSWithoutTheQueryIsNotAskedEachTime(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	l, sim := simulate(t, func(_ *kos.Config, d *kos.Deps) {
		d.Now = func() time.Time { return noon.Add(time.Duration(later.Load())) }
	})
	o := order(t, "01012345678", premium, standard)
	sim.SetStatusQuery(false)
	for range 3 {
		require.Equal(t, product.AnswerNoQuery, l.AskStatus(t.Context(), change, o).Kind)
		require.Equal(t, product.AnswerNoQuery, l.AskStatus(t.Context(), ports.Call{Lane: quota.Prefetch}, o).Kind)
	}
	require.Len(t, sim.Calls(), 1, "it has said so once")
	require.Equal(t, 1, l.quota.Spent()[quota.Change]+l.quota.Spent()[quota.Prefetch])

	for n := range 7 { // so many failures would open a breaker
		later.Add(int64(noQueryIsOver))
		require.Equal(t, product.AnswerNoQuery, l.AskStatus(t.Context(), change, o).Kind)
		require.Len(t, sim.Calls(), n+2)
	}
	require.Zero(t, l.metric(t, "kos_breaker_state", "product.change.status"), "lacking a capability is no failure")

	sim.SetStatusQuery(true)
	later.Add(int64(noQueryIsOver / 2))
	require.Equal(t, product.AnswerNoQuery, l.AskStatus(t.Context(), change, o).Kind)
	later.Add(int64(noQueryIsOver / 2))
	require.Equal(t, product.AnswerAbsent, l.AskStatus(t.Context(), change, o).Kind)
}

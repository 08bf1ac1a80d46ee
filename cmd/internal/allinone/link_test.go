package allinone_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStaffSeeTheBreakersAndTheBudget of the running system: what the adapters know arrives at the gateway.
func TestStaffSeeTheBreakersAndTheBudget(t *testing.T) {
	t.Parallel()
	needSystem(t)
	token := login(t, running.Operator)
	breakers := call(t, http.MethodGet, "/ops/circuit-breakers", token, nil)
	quota := call(t, http.MethodGet, "/ops/kos-quota", token, nil)
	require.Contains(t, quota.raw, `"ledgerAvailable":true`)
	for _, name := range []string{"bill.inquiry", "bill.months", "customer.get", "products.list", "product.change",
		"product.change.status", "mvnoap"} {
		require.Contains(t, breakers.raw, `"`+name+`"`)
	}
}

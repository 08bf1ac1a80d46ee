package productapi

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	gen "phonebill/adapters/rest/internal/productgen"
	"phonebill/core/product"
	"phonebill/core/product/change"
)

// TestEveryResponseHasTheSameStatus of an order that waits to be sent, for the first time and again.
func TestEveryResponseHasTheSameStatus(t *testing.T) {
	t.Parallel()
	for sends, want := range []gen.ProcessStatus{gen.ProcessStatusPENDING, gen.ProcessStatusPROCESSING} {
		o := product.Order{State: product.Validated, Sends: sends}
		require.Equal(t, want, accepted(change.Result{Order: o}, time.Now()).Body.Data.ProcessStatus)
		require.Equal(t, want, toStatus(o).ProcessStatus)
		require.Equal(t, want, toHistory([]product.Order{o}, 1, 20, 1).Items[0].ProcessStatus)
	}
}

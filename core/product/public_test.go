package product_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/product"
)

// TestASentOrderIsNeverPendingAgain: PENDING is what can be taken back (R-CANCEL), whatever way an order goes.
func TestASentOrderIsNeverPendingAgain(t *testing.T) {
	t.Parallel()
	answered := func(o product.Order, kind product.AnswerKind) product.Order {
		o, err := o.ApplyAnswer(product.Answer{Kind: kind}, now)
		require.NoError(t, err)
		return o
	}
	sent := func(o product.Order) product.Order {
		o, err := o.Send()
		require.NoError(t, err)
		return o
	}
	fresh := product.Order{State: product.Validated, RequestedAt: now}
	unknown := answered(sent(fresh), product.AnswerUnknown)
	absent := answered(unknown, product.AnswerAbsent)
	require.Equal(t, product.Validated, absent.State)
	for name, c := range map[string]struct {
		order product.Order
		want  string
	}{
		"never sent":                {fresh, "PENDING"},
		"being sent":                {sent(fresh), "PROCESSING"},
		"it never left":             {answered(sent(fresh), product.AnswerNotSent), "PENDING"},
		"unknown":                   {unknown, "PROCESSING"},
		"waits to be sent again":    {absent, "PROCESSING"},
		"the next one never left":   {answered(sent(absent), product.AnswerNotSent), "PROCESSING"},
		"refused in the second try": {answered(sent(absent), product.AnswerRefused), "FAILED"},
		"done in the second try":    {answered(sent(absent), product.AnswerAccepted), "COMPLETED"},
	} {
		require.Equal(t, c.want, c.order.Public(), name)
		_, err := c.order.CancelByCustomer(now)
		require.Equal(t, c.want == "PENDING", err == nil, name)
	}
}

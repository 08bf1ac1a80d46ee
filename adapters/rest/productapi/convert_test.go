package productapi

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/contract"
	"phonebill/core/money"
	"phonebill/core/product"
	"phonebill/core/product/catalog"
	"phonebill/openapi"
)

// TestTheExampleOfTheMenuIsWhatIsAnswered: front ends are built from the examples.
func TestTheExampleOfTheMenuIsWhatIsAnswered(t *testing.T) {
	t.Parallel()
	spec, err := contract.Load(openapi.Product)
	require.NoError(t, err)
	example := spec.Paths.Value("/products/menu").Get.Responses.Value("200").Value.Content.Get(
		"application/json",
	).Examples["menu"]
	raw, err := json.Marshal(example.Value.Value)
	require.NoError(t, err)
	var shown struct {
		Data struct{ MenuItems json.RawMessage }
	}
	require.NoError(t, json.Unmarshal(raw, &shown))
	var screen catalog.Screen
	screen.Customer.LineStatus = product.LineActive
	answered, err := json.Marshal(toMenu(screen, nil).MenuItems)
	require.NoError(t, err)
	require.JSONEq(t, string(answered), string(shown.Data.MenuItems))
}

// TestWhatKOSDoesNotTellIsAbsent: neither 0 won, nor a date, nor an empty name takes its place.
func TestWhatKOSDoesNotTellIsAbsent(t *testing.T) {
	t.Parallel()
	shown := func(v any) string {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		return string(raw)
	}
	untold := product.Plan{Code: "P", SaleUnknown: true}
	won := func(n money.Won) *money.Won { return &n }
	require.JSONEq(t, `{"productCode":"P"}`, shown(toPlan(untold, nil)))
	require.JSONEq(t, `{"productCode":"P","monthlyFee":0,"isAvailable":false}`,
		shown(toPlan(product.Plan{Code: "P", MonthlyFee: won(0)}, &untold)))
	require.JSONEq(t, `{"productCode":"P","monthlyFee":5,"isAvailable":true,"priceDifference":5}`,
		shown(toPlan(product.Plan{Code: "P", MonthlyFee: won(5), OnSale: true}, &product.Plan{MonthlyFee: won(0)})))
	next := product.Plan{Code: "Q", Name: "다음", SaleUnknown: true}
	days := product.DefaultPolicy().Days(time.Date(2026, 3, 15, 3, 0, 0, 0, time.UTC))
	screen := catalog.Screen{
		Customer: product.Customer{CustomerID: "C", LineStatus: "?", Scheduled: &product.Scheduled{PlanCode: "Q"}},
		Current:  untold, Scheduled: &next,
	}
	require.JSONEq(t, `{"customerId":"C","lineNumber":"","currentProduct":{"productCode":"P"},"contractInfo":{},
		"effectiveDates":["2026-04-01","2026-03-15"],"source":"",
		"scheduledProduct":{"product":{"productCode":"Q","productName":"다음"}},"asOf":"0001-01-01T00:00:00Z"}`,
		shown(toCustomer(screen, days)))
	require.JSONEq(
		t, `{"productCode":"P"}`, shown(toDone(product.Order{To: "P"}).ChangedProduct), "an order of before plans were kept",
	)
}

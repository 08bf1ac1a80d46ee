package productapi

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/product"
	"phonebill/core/product/catalog"
)

// TestTheExampleOfTheMenuIsWhatIsAnswered: front ends are built from the examples.
func TestTheExampleOfTheMenuIsWhatIsAnswered(t *testing.T) {
	t.Parallel()
	spec, err := Spec()
	require.NoError(t, err)
	example := spec.Paths.Value("/products/menu").Get.Responses.Value("200").Value.Content.Get("application/json").Examples["menu"]
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

package product_test

import (
	"fmt"
	"time"

	"phonebill/core/product"
)

// A change takes effect on the first of next month in Seoul, or today where that is offered (ADR 25).
func ExamplePolicy_Days() {
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	fmt.Println(product.DefaultPolicy().Days(now))
	// Output: [2026-12-01 2026-11-30]
}

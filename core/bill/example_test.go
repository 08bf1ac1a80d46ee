package bill_test

import (
	"fmt"
	"time"

	"phonebill/core/bill"
)

// The months that a customer may choose are the last ones, the current one of Seoul first (UFR-BILL-010).
func ExampleSelectableMonths() {
	fmt.Println(bill.SelectableMonths(time.Date(2026, 1, 31, 16, 0, 0, 0, time.UTC), 3))
	// Output: [2026-02 2026-01 2025-12]
}

package money_test

import (
	"fmt"

	"phonebill/core/money"
)

// Amounts are whole won.
func Example() {
	fmt.Println(money.Won(48_000) + money.Won(950))
	// Output: 48,950원
}

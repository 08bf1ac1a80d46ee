package calendar_test

import (
	"fmt"
	"time"

	"phonebill/core/calendar"
)

// Months and days are those of Seoul: 15:30 UTC on the last of November is December there.
func Example() {
	now := time.Date(2026, 11, 30, 15, 30, 0, 0, time.UTC)
	fmt.Println(calendar.MonthOf(now), calendar.DateOf(now))
	fmt.Println(calendar.MonthOf(now).Add(1).First())
	// Output:
	// 2026-12 2026-12-01
	// 2027-01-01
}

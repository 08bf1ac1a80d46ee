package delivery_test

import (
	"fmt"
	"time"

	"phonebill/core/delivery"
)

// A receiver that fails is tried again; one that refuses gets no second attempt, and the event is parked.
func ExampleAfter() {
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	fmt.Println(delivery.NextState(now, 2, delivery.Attempt{Outcome: delivery.Failed}, now, 0))
	fmt.Println(delivery.NextState(now, 2, delivery.Attempt{Outcome: delivery.Rejected}, now, 0))
	// Output:
	// PENDING 4s
	// PARKED 0s
}

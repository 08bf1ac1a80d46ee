package request_test

import (
	"fmt"
	"time"

	"phonebill/core/request"
)

// An attempt without an answer is made again, with growing waits; the last one parks the request for a person.
func ExampleRequest_After() {
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	retry := request.Retry{Attempts: 3, FirstWait: 2 * time.Second, MaxWait: time.Minute}
	for attempt := 1; attempt <= 3; attempt++ {
		r := request.Request{Status: request.Processing, Attempts: attempt}.After(request.Outcome{}, retry, now, 0)
		fmt.Println(attempt, r.Status)
	}
	// Output:
	// 1 PROCESSING
	// 2 PROCESSING
	// 3 PARKED
}

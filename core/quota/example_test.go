package quota_test

import (
	"fmt"
	"time"

	"phonebill/core/quota"
)

// What stops the 101st call of KOS in a minute: the window admits none while its budget of 95 calls in 62 s is spent,
// and says how long that takes. One lane alone is stopped earlier, at what is reserved for the others.
func ExampleWindow_Admit() {
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	w := quota.Default()
	var spent []quota.Spent
	for _, lane := range quota.Lanes() {
		for {
			ok, wait := w.Admit(spent, lane, now)
			if !ok {
				fmt.Println(len(spent), "calls after those of the lane", lane, "- the next one in", wait)
				break
			}
			spent = append(spent, quota.Spent{At: now, Lane: lane})
		}
	}
	// Output:
	// 50 calls after those of the lane change - the next one in 1m2s
	// 90 calls after those of the lane read - the next one in 1m2s
	// 95 calls after those of the lane refresh - the next one in 1m2s
	// 95 calls after those of the lane prefetch - the next one in 1m2s
}

package ports

import "context"

// Purge looks at no more than n records that are older than that many years, drops those that it may, and answers how many it dropped and
// whether there is more to look at. A store keeps the period prescribed (core/retention) whatever it is asked, and what is still being
// worked on.
type Purge func(ctx context.Context, years, n int) (dropped int, more bool, err error)

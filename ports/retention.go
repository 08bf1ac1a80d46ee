package ports

import "context"

// Purge drops up to n records that are older than that many years and answers how many it dropped; 0 means that none is left. A store keeps
// the period prescribed (core/retention) whatever it is asked, and what is still being worked on.
type Purge func(ctx context.Context, years, n int) (int, error)

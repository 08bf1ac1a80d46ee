package ports

import "context"

// Purge examines up to n records that are older than that many years, deletes those that it may, and returns how many
// it deleted and whether there are more to examine. A store never deletes before the period prescribed (core/retention/purge)
// ends, nor a record that is still being processed.
type Purge func(ctx context.Context, years, n int) (dropped int, more bool, err error)

package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"

	"phonebill/adapters/postgres/internal/requestdb"
)

// start is the first row of a page of history; older ones follow.
type start struct {
	at time.Time
	id uuid.UUID
}

// historyPage counts the requests that match and finds the first one of a page, by the index of history alone. before
// is the end of the range, nil for none. A page behind the last row has no start.
func historyPage(
	ctx context.Context, db requestdb.DBTX, p requestdb.CountHistoryParams, page, size int,
) (total int, from *start, err error) {
	q := requestdb.New(db)
	n, err := q.CountHistory(ctx, p)
	if err != nil {
		return 0, nil, translate("count history", err)
	}
	skipped := skip(page, size)
	if skipped >= n {
		return int(n), nil, nil
	}
	if skipped == 0 {
		return int(n), newestBefore(p.Before), nil
	}
	row, err := q.HistoryStart(ctx, requestdb.HistoryStartParams{
		UserID: p.UserID, Subjects: p.Subjects, Since: p.Since, Before: p.Before, Status: p.Status, Skip: skipped,
	})
	if err != nil {
		return 0, nil, translate("find the page of history", err)
	}
	return int(n), &start{row.RequestedAt, row.ID}, nil
}

var farAhead = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// newestBefore returns the start before the newest request that was made earlier than before: no id is smaller than
// zero.
func newestBefore(before *time.Time) *start {
	if before == nil {
		return &start{at: farAhead}
	}
	return &start{at: *before}
}

package memory

import (
	"cmp"
	"time"

	"phonebill/core/calendar"
	"phonebill/core/id"
)

// within reports whether at lies in the days from..to in Seoul, both included; zero days do not limit.
func within(at time.Time, from, to calendar.Date) bool {
	return (from.IsZero() || !at.Before(from.Start())) && (to.IsZero() || at.Before(to.AddDays(1).Start()))
}

func newestFirst(a, b time.Time, aID, bID id.ID) int {
	if c := b.Compare(a); c != 0 {
		return c
	}
	return cmp.Compare(bID.String(), aID.String())
}

func page[T any](rows []T, number, size int) []T {
	from := min((number-1)*size, len(rows))
	return rows[from:min(from+size, len(rows))]
}

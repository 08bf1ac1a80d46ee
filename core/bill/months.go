package bill

import (
	"slices"
	"time"

	"phonebill/core/calendar"
	"phonebill/core/line"
)

// MonthsCopy are the months of a line that have a bill, as KOS stated them at AsOf.
type MonthsCopy struct {
	Line   line.Number
	Months []calendar.Month // in any order; none for a line that has no bill
	Holder string           // the customer that KOS named for the line at that time
	AsOf   time.Time
}

// Offered returns which of the selectable months are offered, newest first: those of the copy, and those that had not
// begun when KOS stated it, because that copy cannot know of them. So the current month is there from the first of the
// month in Seoul on, until KOS has stated in that month that it has no bill (R-MONTHS).
func (c MonthsCopy) Offered(now time.Time, selectable int) []calendar.Month {
	stated := calendar.MonthOf(c.AsOf)
	return slices.DeleteFunc(SelectableMonths(now, selectable), func(m calendar.Month) bool {
		return !m.After(stated) && !slices.Contains(c.Months, m)
	})
}

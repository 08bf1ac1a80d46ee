package freshness

import (
	"errors"
	"strings"
	"time"

	"phonebill/core/calendar"
)

// Night is when few customers are active, from one time of day in Seoul to another, also across midnight. The zero
// Night never comes.
type Night struct{ From, To time.Duration } // since midnight

// ParseNight reads 「02:00-05:00」, or "off" for the zero Night.
func ParseNight(s string) (Night, error) {
	if s == "off" {
		return Night{}, nil
	}
	from, to, _ := strings.Cut(s, "-")
	begin, err1 := time.Parse("15:04", from)
	end, err2 := time.Parse("15:04", to)
	if err1 != nil || err2 != nil || begin.Equal(end) {
		return Night{}, errors.New(`want times of day in Seoul like "02:00-05:00", or "off"`)
	}
	midnight := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	return Night{begin.Sub(midnight), end.Sub(midnight)}, nil
}

// Open reports whether it is night at now.
func (n Night) Open(now time.Time) bool {
	of := now.Sub(calendar.DateOf(now).Start())
	if n.From <= n.To {
		return n.From <= of && of < n.To
	}
	return n.From <= of || of < n.To
}

// Began returns when the night of now, or the last one before, began.
func (n Night) Began(now time.Time) time.Time {
	today := calendar.DateOf(now)
	if began := today.Start().Add(n.From); !began.After(now) {
		return began
	}
	return today.AddDays(-1).Start().Add(n.From)
}

// Next returns when the first night after now begins.
func (n Night) Next(now time.Time) time.Time {
	return calendar.DateOf(n.Began(now)).AddDays(1).Start().Add(n.From)
}

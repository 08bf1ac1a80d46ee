package bill_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/bill"
	"phonebill/core/calendar"
)

// TestOfferedMonths: KOS's months of those that can be selected; a month that began after KOS stated them, in Seoul, is
// offered until it states otherwise.
func TestOfferedMonths(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ stated, now, months, want string }{
		"as stated": {"2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z", "2026-11 2026-10", "2026-11 2026-10"},
		"in order, each once": {"2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z", "2026-09 2026-11 2026-09",
			"2026-11 2026-09"},
		"only the last three":     {"2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z", "2026-12 2026-11 2026-08", "2026-11"},
		"none":                    {"2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z", "", ""},
		"no bill yet this month":  {"2026-12-01T00:00:00Z", "2026-12-01T01:00:00Z", "2026-11", "2026-11"},
		"a moment before the 1st": {"2026-11-30T14:00:00Z", "2026-11-30T14:59:59Z", "2026-11", "2026-11"},
		"from the 1st in Seoul":   {"2026-11-30T14:59:59Z", "2026-11-30T15:00:00Z", "2026-11", "2026-12 2026-11"},
		"stated on the 1st":       {"2026-11-30T15:00:00Z", "2026-11-30T15:00:01Z", "2026-11", "2026-11"},
		"none, and a month later": {"2026-10-31T00:00:00Z", "2026-11-02T00:00:00Z", "", "2026-11"},
		"two months old":          {"2026-10-31T00:00:00Z", "2026-12-02T00:00:00Z", "2026-10", "2026-12 2026-11 2026-10"},
		"over new year": {"2026-12-31T14:00:00Z", "2026-12-31T15:00:00Z", "2026-12 2026-11",
			"2027-01 2026-12 2026-11"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stated, err := time.Parse(time.RFC3339, c.stated)
			require.NoError(t, err)
			now, err := time.Parse(time.RFC3339, c.now)
			require.NoError(t, err)
			copied := bill.MonthsCopy{AsOf: stated, Months: months(t, c.months)}
			require.Equal(t, months(t, c.want), append([]calendar.Month(nil), copied.Offered(now, 3)...))
		})
	}
}

func months(t *testing.T, list string) (all []calendar.Month) {
	t.Helper()
	for s := range strings.FieldsSeq(list) {
		m, err := calendar.ParseMonth(s)
		require.NoError(t, err)
		all = append(all, m)
	}
	return all
}

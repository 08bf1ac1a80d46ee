package kos_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/calendar"
	"phonebill/core/fault"
)

func TestMonthsOfTheFixedLines(t *testing.T) {
	t.Parallel()
	for lineNumber, want := range map[string]struct {
		months int
		fault  fault.Code
	}{
		"01012345678": {months: 12}, "01012345679": {months: 0}, "01012345684": {months: 2},
		"01012340000": {fault: fault.LineNotFound}, "01012345680": {fault: fault.ServiceUnavailable},
	} {
		t.Run(lineNumber, func(t *testing.T) {
			t.Parallel()
			l, _ := simulate(t)
			months, err := l.Months(t.Context(), read, number(t, lineNumber))
			if want.fault != "" {
				require.ErrorIs(t, err, fault.New(want.fault))
				return
			}
			require.NoError(t, err)
			require.Len(t, months, want.months)
			require.Equal(t, []string{"bill.months 0000"}, l.results(), "the call is in the call log")
		})
	}
}

// TestOddMonths: what is no month is left out and counted; a list without any month that can be read is no answer.
func TestOddMonths(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]struct {
		months     []string
		unreadable float64
		fails      bool
	}{
		`["202611","202610"]`:                          {months: []string{"2026-11", "2026-10"}},
		`["202611",202610,"202611"," 202609 "]`:        {months: []string{"2026-11", "2026-10", "2026-09"}},
		`["202611","202613","2026-10","",null,{},"x"]`: {months: []string{"2026-11"}, unreadable: 6},
		`[]`:             {},
		`["x"]`:          {unreadable: 1, fails: true},
		`null`:           {fails: true},
		`"202611"`:       {fails: true},
		`{"0":"202611"}`: {fails: true},
	} {
		t.Run(list, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(w, `{"resultCode":"0000","data":{"availableMonths":%s}}`, list)
			}))
			t.Cleanup(srv.Close)
			l := connect(t, srv.URL)
			got, err := l.Months(t.Context(), read, number(t, "01012345678"))
			require.InDelta(t, want.unreadable, l.metric(t, "kos_months_unreadable_total"), 0)
			if want.fails {
				require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
				return
			}
			require.NoError(t, err)
			var months []calendar.Month
			for _, s := range want.months {
				months = append(months, month(t, s))
			}
			require.Equal(t, months, got)
		})
	}
}

package rest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest"
	"phonebill/core/fault"
)

func TestParsePage(t *testing.T) {
	t.Parallel()
	r, err := rest.ParsePage(nil, nil, nil, nil, nil)
	require.NoError(t, err)
	require.Equal(t, rest.PageQuery{Page: 1, Size: 20}, r)
	r, err = rest.ParsePage(new("01012345678"), new("2026-01-31"), new("2026-01-31"), new(100), new(100))
	require.NoError(t, err)
	require.Equal(t, "010-1234-5678", r.Lines[0].Hyphenated())
	require.Equal(t, "2026-01-31", r.From.String())
	require.Equal(t, r.From, r.To)
	require.Equal(t, []int{100, 100}, []int{r.Page, r.Size})
}

func TestParsePageNamesTheBadParameter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		number, start, end *string
		page, size         *int
		field              string
	}{
		"line":            {number: new("02-1"), field: "lineNumber"},
		"start":           {start: new("2026-02-30"), field: "startDate"},
		"end":             {end: new("x"), field: "endDate"},
		"start after end": {start: new("2026-02-02"), end: new("2026-02-01"), field: "startDate"},
		"page 0":          {page: new(0), field: "page"},
		"size 0":          {size: new(0), field: "size"},
		"size 101":        {size: new(101), field: "size"},
		"too far":         {page: new(101), size: new(100), field: "page"},
		"far too far":     {page: new(int(^uint(0) >> 1)), size: new(100), field: "page"},
	} {
		_, err := rest.ParsePage(c.number, c.start, c.end, c.page, c.size)
		require.ErrorIs(t, err, fault.New(fault.ValidationError), name)
		require.Equal(t, c.field, fault.From(err).Fields()[0].Name, name)
	}
}

func TestPagination(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		page, size, total, pages int
		next, previous           bool
	}{
		{1, 20, 0, 0, false, false}, {2, 20, 0, 0, false, false}, {1, 20, 1, 1, false, false}, {1, 20, 20, 1, false, false},
		{1, 20, 21, 2, true, false}, {2, 20, 21, 2, false, true}, {2, 20, 60, 3, true, true}, {9, 20, 60, 3, false, true},
	} {
		p := rest.Pagination(c.page, c.size, c.total)
		require.Equal(t, []int{c.page, c.size, c.pages}, []int{p.Page, p.Size, p.TotalPages})
		require.Equal(t, int64(c.total), p.TotalElements)
		require.Equal(t, []bool{c.next, c.previous}, []bool{p.HasNext, p.HasPrevious}, c)
	}
}

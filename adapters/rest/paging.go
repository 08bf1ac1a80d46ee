package rest

import (
	"phonebill/adapters/rest/internal/commongen"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/line"
)

const (
	defaultSize = 20
	maxSize     = 100
	maxRows     = 10_000 // page x size
)

// PageQuery is one page of a history list, as the query parameters ask for it.
type PageQuery struct {
	Lines      []line.Number // none or one
	From, To   calendar.Date
	Page, Size int
}

// ParsePage reads the query parameters that all history lists share; absent ones have their defaults.
// VALIDATION_ERROR names the parameter at fault: a bad line or date, a start after the end, a page beyond the first
// 10,000 rows.
func ParsePage(number, start, end *string, page, size *int) (PageQuery, error) {
	r := PageQuery{Page: 1, Size: defaultSize}
	var err error
	if number != nil {
		n, err := line.Parse(*number)
		if err != nil {
			return r, err
		}
		r.Lines = []line.Number{n}
	}
	if start != nil {
		if r.From, err = calendar.ParseDate("startDate", *start); err != nil {
			return r, err
		}
	}
	if end != nil {
		if r.To, err = calendar.ParseDate("endDate", *end); err != nil {
			return r, err
		}
	}
	if start != nil && end != nil && r.From.After(r.To) {
		return r, fault.InvalidField("startDate", "startDate는 endDate보다 늦을 수 없습니다")
	}
	if page != nil {
		r.Page = *page
	}
	if size != nil {
		r.Size = *size
	}
	if r.Size < 1 || r.Size > maxSize {
		return r, fault.InvalidField("size", "size는 1 이상 100 이하여야 합니다")
	}
	if r.Page < 1 {
		return r, fault.InvalidField("page", "page는 1 이상이어야 합니다")
	}
	if r.Page > maxRows/r.Size {
		return r, fault.InvalidField("page", "page × size는 10,000 이하여야 합니다")
	}
	return r, nil
}

// Pagination returns the pagination object of a list with total items.
func Pagination(page, size, total int) commongen.Pagination {
	pages := (total + size - 1) / size
	return commongen.Pagination{
		Page: page, Size: size, TotalElements: int64(total), TotalPages: pages,
		HasNext: page < pages, HasPrevious: page > 1 && pages > 0,
	}
}

package ports

import (
	"context"

	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/staff"
)

// RequestList is how staff find the requests of one service.
type RequestList interface {
	// List returns one page of the requests that match, the newest first, and how many match (at most
	// staff.MaxCounted). One whose line cannot be read is returned without it.
	List(ctx context.Context, f staff.Filter) ([]staff.Request, int, error)
}

// Requests is what staff see of one service's requests, and how they take one back.
type Requests interface {
	RequestList
	// Cancel cancels a request where its customer could. NOT_FOUND for an unknown request, CONFLICT where the customer
	// could not cancel either.
	Cancel(ctx context.Context, request id.ID) error
}

// SearchBudget limits how often a member of staff searches for exactly one line, over all services.
type SearchBudget interface {
	// Spend counts one search of the person for the line, and returns the keyed hash under which the audit log names
	// the line. RATE_LIMIT_EXCEEDED when none is left for now, SERVICE_UNAVAILABLE when it cannot be counted: then
	// nothing may be shown.
	Spend(ctx context.Context, person string, n line.Number) (index string, err error)
}

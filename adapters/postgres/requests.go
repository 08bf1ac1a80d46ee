package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/adapters/postgres/internal/requestdb"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/staff"
	"phonebill/ports"
)

// RequestList implements ports.RequestList for the requests of one product (sql/request).
type RequestList struct {
	pool  *pgxpool.Pool
	lines lines
	// stored returns the state under which the index of uncompleted requests has a state.
	stored func(state string) string
	// read returns the requests with these ids, in any order, without the parts that cannot be opened.
	read func(ctx context.Context, ids []uuid.UUID) ([]staff.Request, error)
}

var _ ports.RequestList = (*RequestList)(nil)

// NewInquiryList lists the inquiries of the bill database.
func NewInquiryList(pool *pgxpool.Pool, vault ports.Vault) *RequestList {
	rows := newInquiryRows(vault)
	return &RequestList{
		pool, rows.lines, func(state string) string { return string(bill.Status(state).Public()) },
		func(ctx context.Context, ids []uuid.UUID) ([]staff.Request, error) {
			found, err := billdb.New(pool).InquiriesByID(ctx, ids)
			return each(found, func(r billdb.Inquiry) staff.Request {
				q, _ := rows.noun(r)
				return staff.OfInquiry(q)
			}), err
		},
	}
}

// NewOrderList lists the orders of the product database.
func NewOrderList(pool *pgxpool.Pool, vault ports.Vault) *RequestList {
	rows := newOrderRows(vault)
	return &RequestList{
		pool, rows.lines, func(state string) string { return state },
		func(ctx context.Context, ids []uuid.UUID) ([]staff.Request, error) {
			found, err := productdb.New(pool).OrdersByID(ctx, ids)
			return each(found, func(r productdb.ChangeOrder) staff.Request {
				o, _ := rows.noun(r)
				return staff.OfOrder(o)
			}), err
		},
	}
}

// completed is the state that both products store for most of their rows: those are found by the primary key.
const completed = string(bill.Completed)

// List reads the number of matching requests, the ids of the page, and its rows, each by one index.
func (l *RequestList) List(ctx context.Context, f staff.Filter) ([]staff.Request, int, error) {
	total, err := l.count(ctx, f)
	if err != nil {
		return nil, 0, translate("count requests", err)
	}
	ids, err := l.page(ctx, f)
	if err != nil || len(ids) == 0 {
		return nil, int(total), translate("read requests", err)
	}
	found, err := l.read(ctx, ids)
	if err != nil {
		return nil, 0, translate("read requests", err)
	}
	byID := make(map[id.ID]staff.Request, len(found))
	for _, r := range found {
		byID[r.ID] = r
	}
	return each(ids, func(i uuid.UUID) staff.Request { return byID[id.ID(i)] }), int(total), nil
}

func (l *RequestList) count(ctx context.Context, f staff.Filter) (int64, error) {
	q, user := requestdb.New(l.pool), string(f.UserID)
	const most = staff.MaxCounted
	switch {
	case f.TraceID != "":
		return q.CountRequestsOfTrace(ctx, requestdb.CountRequestsOfTraceParams{
			TraceID: f.TraceID, UserID: user, State: f.State, Most: most,
		})
	case !f.Line.IsZero():
		return q.CountRequestsOfSubject(ctx, requestdb.CountRequestsOfSubjectParams{
			SubjectIndex: l.lines.index(f.Line), UserID: user, State: f.State, Most: most,
		})
	case user != "":
		return q.CountRequestsOfUser(ctx, requestdb.CountRequestsOfUserParams{UserID: user, State: f.State, Most: most})
	case f.State != "" && f.State != completed:
		return q.CountRequestsUncompleted(ctx, requestdb.CountRequestsUncompletedParams{
			StoredState: l.stored(f.State), State: f.State, Most: most,
		})
	default:
		return q.CountRequestsNewest(ctx, requestdb.CountRequestsNewestParams{State: f.State, Most: most})
	}
}

func (l *RequestList) page(ctx context.Context, f staff.Filter) ([]uuid.UUID, error) {
	q, user, from, size := requestdb.New(l.pool), string(f.UserID), skip(f.Page, f.Size), int64(f.Size)
	switch {
	case f.TraceID != "":
		return q.RequestsOfTrace(ctx, requestdb.RequestsOfTraceParams{
			TraceID: f.TraceID, UserID: user, State: f.State, Skip: from, Size: size,
		})
	case !f.Line.IsZero():
		return q.RequestsOfSubject(ctx, requestdb.RequestsOfSubjectParams{
			SubjectIndex: l.lines.index(f.Line), UserID: user, State: f.State, Skip: from, Size: size,
		})
	case user != "":
		return q.RequestsOfUser(ctx, requestdb.RequestsOfUserParams{UserID: user, State: f.State, Skip: from, Size: size})
	case f.State != "" && f.State != completed:
		return q.RequestsUncompleted(ctx, requestdb.RequestsUncompletedParams{
			StoredState: l.stored(f.State), State: f.State, Skip: from, Size: size,
		})
	default:
		return q.RequestsNewest(ctx, requestdb.RequestsNewestParams{State: f.State, Skip: from, Size: size})
	}
}

// InquiryRequests implements ports.Requests for inquiries.
type InquiryRequests struct{ *RequestList }

var _ ports.Requests = InquiryRequests{}

// NewInquiryRequests reads the bill database.
func NewInquiryRequests(pool *pgxpool.Pool, vault ports.Vault) InquiryRequests {
	return InquiryRequests{NewInquiryList(pool, vault)}
}

// Cancel refuses: no customer can cancel an inquiry.
func (s InquiryRequests) Cancel(ctx context.Context, request id.ID) error {
	if _, err := billdb.New(s.pool).Inquiry(ctx, uuid.UUID(request)); err != nil {
		return translate("read inquiry", err, fault.ResourceNotFound)
	}
	return fault.New(fault.StateConflict).WithMessage("요금 조회는 취소할 수 없습니다")
}

package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/staff"
	"phonebill/ports"
)

// InquiryRequests implements ports.Requests on the rows of Inquiries.
type InquiryRequests struct {
	pool *pgxpool.Pool
	rows inquiryRows
}

var _ ports.Requests = (*InquiryRequests)(nil)

// NewInquiryRequests reads the bill database.
func NewInquiryRequests(pool *pgxpool.Pool, vault ports.Vault) *InquiryRequests {
	return &InquiryRequests{pool, newInquiryRows(vault)}
}

// List reads a page and its count one after the other, each along one index.
func (s *InquiryRequests) List(ctx context.Context, f staff.Filter) ([]staff.Request, int, error) {
	total, err := s.count(ctx, f)
	if err != nil {
		return nil, 0, translate("count requests", err)
	}
	rows, err := s.page(ctx, f)
	if err != nil {
		return nil, 0, translate("read requests", err)
	}
	return each(rows, func(r billdb.Inquiry) staff.Request {
		q, _ := s.rows.noun(r) // what cannot be opened is left out
		return staff.OfInquiry(q)
	}), int(total), nil
}

func (s *InquiryRequests) count(ctx context.Context, f staff.Filter) (int64, error) {
	q, user := billdb.New(s.pool), string(f.UserID)
	const most = staff.MostCounted
	switch {
	case f.TraceID != "":
		return q.CountInquiriesOfTrace(ctx, billdb.CountInquiriesOfTraceParams{TraceID: f.TraceID, UserID: user, State: f.State, Most: most})
	case !f.Line.IsZero():
		return q.CountInquiriesOfLine(ctx, billdb.CountInquiriesOfLineParams{
			LineIndex: s.rows.lines.index(f.Line), UserID: user, State: f.State, Most: most,
		})
	case user != "":
		return q.CountInquiriesOfUser(ctx, billdb.CountInquiriesOfUserParams{UserID: user, State: f.State, Most: most})
	case f.State != "" && f.State != string(bill.Completed):
		return q.CountInquiriesUncompleted(ctx, billdb.CountInquiriesUncompletedParams{
			StateStored: string(bill.Status(f.State).Public()), State: f.State, Most: most,
		})
	default:
		return q.CountInquiriesNewest(ctx, billdb.CountInquiriesNewestParams{State: f.State, Most: most})
	}
}

func (s *InquiryRequests) page(ctx context.Context, f staff.Filter) ([]billdb.Inquiry, error) {
	q, user, from, size := billdb.New(s.pool), string(f.UserID), skip(f.Page, f.Size), int64(f.Size)
	switch {
	case f.TraceID != "":
		return q.InquiriesOfTrace(ctx, billdb.InquiriesOfTraceParams{
			TraceID: f.TraceID, UserID: user, State: f.State, Skip: from, Size: size,
		})
	case !f.Line.IsZero():
		return q.InquiriesOfLine(ctx, billdb.InquiriesOfLineParams{
			LineIndex: s.rows.lines.index(f.Line), UserID: user, State: f.State, Skip: from, Size: size,
		})
	case user != "":
		return q.InquiriesOfUser(ctx, billdb.InquiriesOfUserParams{UserID: user, State: f.State, Skip: from, Size: size})
	case f.State != "" && f.State != string(bill.Completed):
		return q.InquiriesUncompleted(ctx, billdb.InquiriesUncompletedParams{
			StateStored: string(bill.Status(f.State).Public()), State: f.State, Skip: from, Size: size,
		})
	default:
		return q.InquiriesNewest(ctx, billdb.InquiriesNewestParams{State: f.State, Skip: from, Size: size})
	}
}

// Cancel refuses: no customer can take an inquiry back.
func (s *InquiryRequests) Cancel(ctx context.Context, request id.ID) error {
	if _, err := billdb.New(s.pool).Inquiry(ctx, uuid.UUID(request)); err != nil {
		return translate("read inquiry", err, fault.ResourceNotFound)
	}
	return fault.New(fault.StateConflict).WithMessage("요금 조회는 취소할 수 없습니다")
}

// OrderRequests implements ports.RequestList on the rows of Orders.
type OrderRequests struct {
	pool *pgxpool.Pool
	rows orderRows
}

var _ ports.RequestList = (*OrderRequests)(nil)

// NewOrderRequests reads the product database.
func NewOrderRequests(pool *pgxpool.Pool, vault ports.Vault) *OrderRequests {
	return &OrderRequests{pool, newOrderRows(vault)}
}

// List reads a page and its count one after the other, each along one index.
func (s *OrderRequests) List(ctx context.Context, f staff.Filter) ([]staff.Request, int, error) {
	total, err := s.count(ctx, f)
	if err != nil {
		return nil, 0, translate("count requests", err)
	}
	rows, err := s.page(ctx, f)
	if err != nil {
		return nil, 0, translate("read requests", err)
	}
	return each(rows, func(r productdb.ChangeOrder) staff.Request {
		o, _ := s.rows.noun(r) // what cannot be opened is left out
		return staff.OfOrder(o)
	}), int(total), nil
}

func (s *OrderRequests) count(ctx context.Context, f staff.Filter) (int64, error) {
	q, user := productdb.New(s.pool), string(f.UserID)
	const most = staff.MostCounted
	switch {
	case f.TraceID != "":
		return q.CountOrdersOfTrace(ctx, productdb.CountOrdersOfTraceParams{TraceID: f.TraceID, UserID: user, State: f.State, Most: most})
	case !f.Line.IsZero():
		return q.CountOrdersOfLine(ctx, productdb.CountOrdersOfLineParams{
			LineIndex: s.rows.lines.index(f.Line), UserID: user, State: f.State, Most: most,
		})
	case user != "":
		return q.CountOrdersOfUser(ctx, productdb.CountOrdersOfUserParams{UserID: user, State: f.State, Most: most})
	case f.State == string(product.Rejected), f.State == string(product.Cancelled):
		return q.CountOrdersEnded(ctx, productdb.CountOrdersEndedParams{State: f.State, Most: most})
	case f.State != "" && f.State != string(product.Completed):
		return q.CountOrdersLive(ctx, productdb.CountOrdersLiveParams{State: f.State, Most: most})
	default:
		return q.CountOrdersNewest(ctx, productdb.CountOrdersNewestParams{State: f.State, Most: most})
	}
}

func (s *OrderRequests) page(ctx context.Context, f staff.Filter) ([]productdb.ChangeOrder, error) {
	q, user, from, size := productdb.New(s.pool), string(f.UserID), skip(f.Page, f.Size), int64(f.Size)
	switch {
	case f.TraceID != "":
		return q.OrdersOfTrace(ctx, productdb.OrdersOfTraceParams{TraceID: f.TraceID, UserID: user, State: f.State, Skip: from, Size: size})
	case !f.Line.IsZero():
		return q.OrdersOfLine(ctx, productdb.OrdersOfLineParams{
			LineIndex: s.rows.lines.index(f.Line), UserID: user, State: f.State, Skip: from, Size: size,
		})
	case user != "":
		return q.OrdersOfUser(ctx, productdb.OrdersOfUserParams{UserID: user, State: f.State, Skip: from, Size: size})
	case f.State == string(product.Rejected), f.State == string(product.Cancelled):
		return q.OrdersEnded(ctx, productdb.OrdersEndedParams{State: f.State, Skip: from, Size: size})
	case f.State != "" && f.State != string(product.Completed):
		return q.OrdersLive(ctx, productdb.OrdersLiveParams{State: f.State, Skip: from, Size: size})
	default:
		return q.OrdersNewest(ctx, productdb.OrdersNewestParams{State: f.State, Skip: from, Size: size})
	}
}

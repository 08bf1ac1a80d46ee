// Package catalog is UFR-PROD-010 and UFR-PROD-020: the change menu, the customer screen, the plans on offer, and the
// facts that they and the checks before a change rest on.
package catalog

import (
	"cmp"
	"context"
	"slices"
	"time"

	"phonebill/core/auth"
	"phonebill/core/auth/holder"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/ports"
)

// Messages of UFR-PROD-010 and UFR-PROD-020, verbatim.
const (
	menuFailed   = "상품 변경 요청 메뉴 로딩에 실패하였습니다"
	screenFailed = "상품 변경 화면 접속에 실패하였습니다"
)

// Service returns the screens before a change. It is safe for concurrent use.
type Service struct {
	Facts   *Facts
	Holders *holder.Service // whose the lines are
}

// Screen is a customer with plan names.
type Screen struct {
	Customer  product.Customer
	Current   product.Plan
	Scheduled *product.Plan // nil when no change is scheduled
	Source    freshness.Source
	AsOf      time.Time
}

// Menu returns the screen of the caller's line asked for, or of the first one when asked is zero. It fails with
// FORBIDDEN for another customer's line.
func (s *Service) Menu(ctx context.Context, p auth.Principal, asked line.Number) (Screen, error) {
	n, err := p.PickLine(asked)
	if err != nil {
		return Screen{}, named(err, menuFailed)
	}
	screen, err := s.screen(ctx, p, n)
	return screen, named(err, menuFailed)
}

// Customer returns the screen of a line; FORBIDDEN when it is not the caller's.
func (s *Service) Customer(ctx context.Context, p auth.Principal, n line.Number) (Screen, error) {
	if err := p.Owns(n); err != nil {
		return Screen{}, err
	}
	screen, err := s.screen(ctx, p, n)
	return screen, named(err, screenFailed)
}

func (s *Service) screen(ctx context.Context, p auth.Principal, n line.Number) (Screen, error) {
	known, err := s.Facts.ForScreen(ctx, paidBy(p), n, s.Facts.OfStatus)
	if err != nil {
		return Screen{}, err
	}
	c := known.Customer.Customer
	if err := s.Holders.Check(ctx, account(p), n, c.CustomerID); err != nil {
		return Screen{}, err
	}
	return newScreen(c, known.Plans, known.Source, known.Customer.AsOf), nil
}

// Offer are the plans a caller may change to.
type Offer struct {
	Plans   []product.Plan
	Current *product.Plan // nil when the caller did not state it and names no line
	Source  freshness.Source
	AsOf    time.Time // of the plan list
}

// Query narrows the offer; zero values do not. Without a Line the caller's first line is used, if there is one.
type Query struct {
	Line     line.Number
	Current  string
	Operator string
}

// Available returns the plans that a line may change to: on sale, of its operator, neither in force nor scheduled;
// FORBIDDEN when the line is not the caller's, LINE_NOT_FOUND for a caller without lines. The query's plan and operator
// narrow that further and never widen it. A caller whose line KOS cannot describe, but who did not ask for a line's
// offer, gets what the query names.
func (s *Service) Available(ctx context.Context, p auth.Principal, q Query) (Offer, error) {
	about, err := p.PickLine(q.Line)
	if err != nil {
		return Offer{}, named(err, screenFailed)
	}
	known, err := s.Facts.ForScreen(ctx, paidBy(p), about, s.Facts.OfCustomers)
	if err != nil && (q.ofALine() || known.Plans.AsOf.IsZero()) {
		return Offer{}, named(err, screenFailed)
	}
	own := known.Customer.Customer
	if err == nil {
		if err := s.Holders.Check(ctx, account(p), about, own.CustomerID); err != nil {
			return Offer{}, named(err, screenFailed)
		}
	}
	// the query may mean another line: its operator is the same, its plans are not
	if q.Line.IsZero() && q.Current != "" && len(p.Lines) > 1 {
		own.PlanCode, own.Scheduled = "", nil
	}
	return offer(known.Plans, known.PlansSource, q, own), nil
}

// paidBy returns a call of KOS that is taken from the caller's allowance.
func paidBy(p auth.Principal) ports.Call {
	return ports.Call{Payer: ports.Payer{Customer: p.UserID}}
}

// account returns the account for which a line is read.
func account(p auth.Principal) auth.Holder {
	return auth.Holder{UserID: p.UserID, CustomerID: p.CustomerID}
}

// ofALine reports whether the offer for a line was asked for: for the one that is named, or, when nothing is, for the
// first.
func (q Query) ofALine() bool { return !q.Line.IsZero() || q == Query{} }

// offer is for the line of own, as far as it is known.
func offer(plans product.PlansCopy, source freshness.Source, q Query, own product.Customer) Offer {
	without := []string{q.Current, own.PlanCode}
	if own.Scheduled != nil {
		without = append(without, own.Scheduled.PlanCode)
	}
	o := Offer{Plans: plans.Available(own.OperatorCode, without...), Source: source, AsOf: plans.AsOf}
	if q.Operator != "" {
		o.Plans = slices.DeleteFunc(o.Plans, func(p product.Plan) bool { return p.OperatorCode != q.Operator })
	}
	code := cmp.Or(q.Current, own.PlanCode)
	if current, ok := plans.Find(code); ok || code != "" && code == own.Plan.Code {
		current = current.Or(own.Plan)
		if !ok {
			current = own.Plan
		}
		o.Current = &current
	}
	return o
}

// named puts the story's text on failures and on a line that KOS does not know; our refusals keep their own.
func named(err error, message string) error {
	if f := fault.From(err); f != nil && (f.Kind() == fault.Unavailable || f.Code() == fault.LineNotFound) {
		return f.WithMessage(message)
	}
	return err
}

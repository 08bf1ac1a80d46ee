package catalog_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/holder"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/freshness/copies"
	"phonebill/core/line"
	"phonebill/core/money"
	"phonebill/core/product"
	"phonebill/core/product/catalog"
	"phonebill/core/quota"
	"phonebill/ports"
)

type world struct {
	alerts memory.Alerts
	*catalog.Service
	kos  *memory.KOS
	now  time.Time
	me   auth.Principal
	line line.Number
}

func number(t *testing.T, s string) line.Number {
	t.Helper()
	n, err := line.Parse(s)
	require.NoError(t, err)
	return n
}

func newWorld(t *testing.T) *world {
	t.Helper()
	n := number(t, "01012345678")
	w := &world{
		kos: memory.NewKOS(
			product.Plan{Code: "LTE", Name: "LTE 플랜", MonthlyFee: new(money.Won(59000)), OnSale: true, OperatorCode: "MVNO"},
			product.Plan{Code: "5G", Name: "5G 플랜", MonthlyFee: new(money.Won(89000)), OnSale: true, OperatorCode: "MVNO"},
			product.Plan{Code: "3G", OperatorCode: "MVNO"}, product.Plan{Code: "ELSE", OnSale: true, OperatorCode: "OTHER"},
		),
		now: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC), line: n,
		me: auth.Principal{UserID: "hong", Lines: []line.Number{n, number(t, "01012340000")}},
	}
	w.kos.AddCustomer(product.Customer{Line: n, PlanCode: "LTE", OperatorCode: "MVNO", LineStatus: product.LineActive},
		nil)
	clock, least := func() time.Time { return w.now }, func() float64 { return 0 }
	customers, plans := &memory.Customers{}, &memory.Plans{}
	known := &catalog.Facts{
		KOS: w.kos, Policy: copies.Policy{Lane: quota.Read, Timeout: 3 * time.Second, Attempts: 1, RefreshAhead: true},
		OfCustomers: freshness.Customer, OfStatus: freshness.Status, OfPlans: freshness.PlanList,
		NoteActiveLine: func(line.Number) {}, Customers: customers, Plans: plans, Now: clock,
		CustomerCopies: &copies.Copies[product.CustomerCopy]{Flights: memory.NewFlights(clock), Now: clock, Random: least},
		PlanCopies:     &copies.Copies[product.PlansCopy]{Flights: memory.NewFlights(clock), Now: clock, Random: least},
	}
	w.Service = &catalog.Service{Facts: known, Holders: &holder.Service{
		Stored: customers.Latest, Fresh: freshness.Customer.Soft, Bindings: &memory.Bindings{}, Alerts: &w.alerts,
		Vault: memory.Vault{},
		Now:   clock,
	}}
	return w
}

func codes(plans []product.Plan) (out []string) {
	for _, p := range plans {
		out = append(out, p.Code)
	}
	return out
}

// A line's status on a screen is half an hour old at most; what is on offer for it goes by the customer's other facts
// (S-TTL-STATUS).
func TestTheStatusShownIsHalfAnHourOldAtMost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.Menu(t.Context(), w.me, line.Number{})
	require.NoError(t, err)
	asked := w.kos.Calls
	w.now = w.now.Add(29 * time.Minute)
	_, err = w.Customer(t.Context(), w.me, w.line)
	require.NoError(t, err)
	w.now = w.now.Add(time.Minute)
	_, err = w.Available(t.Context(), w.me, catalog.Query{Line: w.line})
	require.NoError(t, err)
	require.Equal(t, asked, w.kos.Calls)
	s, err := w.Customer(t.Context(), w.me, w.line)
	require.NoError(t, err)
	require.Equal(t, freshness.FromKOS, s.Source)
	require.Equal(t, asked+1, w.kos.Calls)
}

func TestScreens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, err := w.Menu(t.Context(), w.me, line.Number{})
	require.NoError(t, err)
	require.Equal(t, "LTE 플랜", s.Current.Name)
	require.Nil(t, s.Scheduled)
	require.Equal(t, freshness.FromKOS, s.Source)
	require.Equal(t, w.now, s.AsOf)
	s, err = w.Customer(t.Context(), w.me, w.line)
	require.NoError(t, err)
	require.Equal(t, freshness.FromCache, s.Source)
	w.kos.AddCustomer(product.Customer{
		Line: w.line, PlanCode: "UNLISTED", Scheduled: &product.Scheduled{PlanCode: "5G",
			EffectiveDate: calendar.MonthOf(w.now).Add(1).First()},
	}, nil)
	w.now = w.now.Add(5 * time.Hour)
	s, err = w.Customer(t.Context(), w.me, w.line)
	require.NoError(t, err)
	require.Equal(t, product.Plan{Code: "UNLISTED", SaleUnknown: true}, s.Current, "never invented")
	require.Equal(t, "5G 플랜", s.Scheduled.Name)
}

// KOS describes a plan that is no longer sold with the customer; the plan list has forgotten it. A fee that KOS does
// not state is none.
func TestAPlanThatIsNoLongerSold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gone := product.Plan{Code: "GONE", Name: "지난 플랜", MonthlyFee: new(money.Won(45000)), OperatorCode: "MVNO"}
	w.kos.AddCustomer(product.Customer{
		Line: w.line, PlanCode: "GONE", Plan: gone, OperatorCode: "MVNO", LineStatus: product.LineActive,
		Scheduled: &product.Scheduled{
			PlanCode: "NEXT", Plan: product.Plan{Code: "NEXT", Name: "다음 플랜", SaleUnknown: true},
		},
	}, nil)
	for _, ask := range []func() (catalog.Screen, error){
		func() (catalog.Screen, error) { return w.Menu(t.Context(), w.me, line.Number{}) },
		func() (catalog.Screen, error) { return w.Customer(t.Context(), w.me, w.line) },
	} {
		s, err := ask()
		require.NoError(t, err)
		require.Equal(t, gone, s.Current)
		require.Equal(t, product.Plan{Code: "NEXT", Name: "다음 플랜", SaleUnknown: true}, *s.Scheduled)
	}
	offer, err := w.Available(t.Context(), w.me, catalog.Query{Line: w.line})
	require.NoError(t, err)
	require.Equal(t, gone, *offer.Current)
	require.Equal(t, money.Won(59000-45000), *offer.Plans[0].Dearer(*offer.Current))
	offer, err = w.Available(t.Context(), w.me, catalog.Query{Line: w.line, Current: "OTHER"})
	require.NoError(t, err)
	require.Nil(t, offer.Current, "the line's own plan is no other")
	require.Nil(t, product.Plan{Code: "A"}.Dearer(gone))
	require.Nil(t, gone.Dearer(product.Plan{Code: "A"}))
}

func TestScreensFailWithTheStorysTexts(t *testing.T) {
	t.Parallel()
	const menu, screen = "상품 변경 요청 메뉴 로딩에 실패하였습니다", "상품 변경 화면 접속에 실패하였습니다"
	w := newWorld(t)
	_, err := w.Menu(t.Context(), auth.Principal{UserID: "staff"}, line.Number{})
	require.ErrorIs(t, err, fault.New(fault.LineNotFound))
	require.Equal(t, menu, fault.From(err).Message())
	_, err = w.Customer(t.Context(), w.me, number(t, "01055554444"))
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
	require.Equal(t, "서비스 이용 권한이 없습니다", fault.From(err).Message())
	require.Zero(t, w.kos.Calls, "nothing is asked about another customer's line")
	_, err = w.Customer(t.Context(), w.me, number(t, "01012340000"))
	require.ErrorIs(t, err, fault.New(fault.LineNotFound))
	require.Equal(t, screen, fault.From(err).Message())

	w.now = w.now.Add(365 * 24 * time.Hour)
	w.kos.SetDown(fault.New(fault.ServiceUnavailable).RetryIn(time.Minute))
	_, err = w.Menu(t.Context(), w.me, line.Number{})
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	require.Equal(t, menu, fault.From(err).Message())
	require.Equal(t, time.Minute, fault.From(err).RetryAfter())
	_, err = w.Customer(t.Context(), w.me, w.line)
	require.Equal(t, screen, fault.From(err).Message())
	_, err = w.Available(t.Context(), w.me, catalog.Query{})
	require.Equal(t, screen, fault.From(err).Message())
}

func TestAvailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.Available(t.Context(), w.me, catalog.Query{Line: number(t, "01055554444")})
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
	require.Zero(t, w.kos.Calls, "ownership before any call")
	for name, c := range map[string]struct {
		q       catalog.Query
		plans   []string
		current string
	}{
		"first line":        {catalog.Query{}, []string{"5G"}, "LTE"},
		"a line":            {catalog.Query{Line: w.line}, []string{"5G"}, "LTE"},
		"line, own words":   {catalog.Query{Line: w.line, Current: "5G", Operator: "MVNO"}, nil, "5G"},
		"a plan":            {catalog.Query{Current: "5G"}, []string{"LTE"}, "5G"},
		"an operator":       {catalog.Query{Operator: "MVNO"}, []string{"5G"}, "LTE"},
		"another's":         {catalog.Query{Operator: "OTHER"}, nil, "LTE"},
		"a line, another's": {catalog.Query{Line: w.line, Operator: "OTHER"}, nil, "LTE"},
		"an unknown plan":   {catalog.Query{Current: "NO"}, []string{"LTE", "5G"}, ""},
	} {
		offer, err := w.Available(t.Context(), w.me, c.q)
		require.NoError(t, err, name)
		require.Equal(t, c.plans, codes(offer.Plans), name)
		require.NotNil(t, offer.Plans, name)
		require.Equal(t, w.now, offer.AsOf)
		if c.current == "" {
			require.Nil(t, offer.Current, name)
		} else {
			require.Equal(t, c.current, offer.Current.Code, name)
		}
	}
	_, err = w.Available(t.Context(), auth.Principal{UserID: "staff"}, catalog.Query{})
	require.ErrorIs(t, err, fault.New(fault.LineNotFound), "without a line there is nothing to change to")
	_, err = w.Available(t.Context(), w.me, catalog.Query{Line: number(t, "01012340000")})
	require.ErrorIs(t, err, fault.New(fault.LineNotFound))
}

// What the line will have is no plan to change to: the pre-check refuses it (ADR 22). So is what it has, whatever plan
// is named.
func TestNothingIsOfferedThatTheLineHasOrWillHave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kos.AddCustomer(product.Customer{
		Line: w.line, PlanCode: "LTE", OperatorCode: "MVNO", Scheduled: &product.Scheduled{PlanCode: "5G"},
	}, nil)
	for _, q := range []catalog.Query{{}, {Line: w.line}, {Operator: "MVNO"}, {Line: w.line, Current: "NO"}} {
		offer, err := w.Available(t.Context(), w.me, q)
		require.NoError(t, err)
		require.Empty(t, offer.Plans, q)
	}
	w.me.Lines = w.me.Lines[:1]
	offer, err := w.Available(t.Context(), w.me, catalog.Query{Current: "NO"})
	require.NoError(t, err)
	require.Empty(t, offer.Plans, "there is no other line that could be meant")
}

// The line's operator is known from the copy: naming a plan or an operator asks KOS no more than naming nothing does,
// and where the line cannot be described that is no reason to refuse what needs none.
func TestTheLinesOperatorCostsNothingAndMayBeUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.Available(t.Context(), w.me, catalog.Query{})
	require.NoError(t, err)
	asked := w.kos.Calls
	for _, q := range []catalog.Query{{Current: "5G"}, {Operator: "MVNO"}, {Line: w.line, Operator: "OTHER"}} {
		_, err := w.Available(t.Context(), w.me, q)
		require.NoError(t, err)
	}
	require.Equal(t, asked, w.kos.Calls)
	w.kos.SetDown(fault.New(fault.ServiceUnavailable).RetryIn(time.Minute))
	stranger := auth.Principal{UserID: "kim", Lines: []line.Number{number(t, "01077778888")}}
	offer, err := w.Available(t.Context(), stranger, catalog.Query{Operator: "OTHER"})
	require.NoError(t, err)
	require.Equal(t, []string{"ELSE"}, codes(offer.Plans))
	for _, q := range []catalog.Query{{}, {Line: stranger.Lines[0]}} {
		_, err = w.Available(t.Context(), stranger, q)
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	}
}

// slow is a KOS that takes its time for every call.
type slow struct{ *memory.KOS }

func (s slow) Customer(ctx context.Context, call ports.Call, n line.Number) (product.Customer, error) {
	time.Sleep(2 * time.Second)
	return s.KOS.Customer(ctx, call, n)
}

func (s slow) Plans(ctx context.Context, call ports.Call) ([]product.Plan, error) {
	time.Sleep(2 * time.Second)
	return s.KOS.Plans(ctx, call)
}

// Both facts are fetched at the same time: two slow calls still fit into the 3 s that a customer waits.
func TestBothFactsAtTheSameTime(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(*world) error{
		"menu":      func(w *world) error { _, err := w.Menu(context.Background(), w.me, line.Number{}); return err },
		"available": func(w *world) error { _, err := w.Available(context.Background(), w.me, catalog.Query{}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.Facts.KOS = slow{w.kos}
				start := time.Now()
				require.NoError(t, ask(w))
				require.Equal(t, 2*time.Second, time.Since(start))
			})
		})
	}
}

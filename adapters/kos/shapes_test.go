package kos_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos/kossim"
	"phonebill/core/bill"
	"phonebill/core/money"
	"phonebill/core/product"
)

// TestEveryShapeOfAnAnswer walks the shapes that the simulator can give its answers: each is read as what it means,
// whatever the operation, and none counts for a breaker.
func TestEveryShapeOfAnAnswer(t *testing.T) {
	t.Parallel()
	const lineNumber = "01012345678"
	usual, _ := simulate(t)
	bills, f := usual.ask(t.Context(), t, lineNumber)
	require.Nil(t, f)
	who, err := usual.Customer(t.Context(), read, number(t, lineNumber))
	require.NoError(t, err)
	list, err := usual.Plans(t.Context(), read)
	require.NoError(t, err)
	for shape, reshape := range map[kossim.Shape]func(b *bill.Bill, c *product.Customer, plans []product.Plan){
		kossim.Gzip:          func(*bill.Bill, *product.Customer, []product.Plan) {},
		kossim.ByteOrderMark: func(*bill.Bill, *product.Customer, []product.Plan) {},
		kossim.Decimals:      func(*bill.Bill, *product.Customer, []product.Plan) {},
		kossim.TextAmounts:   func(*bill.Bill, *product.Customer, []product.Plan) {},
		kossim.TornDiscounts: func(b *bill.Bill, _ *product.Customer, _ []product.Plan) {
			b.Discounts = []bill.Item{{
				Name: "가족할인", Amount: new(money.Won(10_000)),
			}, {Name: "복지할인", Amount: new(money.Won(5_000))}}
			b.Total, _ = b.Sum()
		},
		kossim.UnknownPlan: func(b *bill.Bill, c *product.Customer, _ []product.Plan) {
			b.ProductCode, b.ProductName = "LTE-WITHDRAWN-001", "LTE 지난 플랜"
			c.PlanCode = b.ProductCode
			c.Plan = product.Plan{
				Code: b.ProductCode, Name: b.ProductName, MonthlyFee: new(money.Won(45_000)), DataAllowance: "10GB",
				NetworkType:  "LTE",
				OperatorCode: c.OperatorCode,
			}
		},
		kossim.OtherCustomer: func(_ *bill.Bill, c *product.Customer, _ []product.Plan) {
			c.CustomerID = "CUST-OTHER-01"
		},
		kossim.MissingFields: func(b *bill.Bill, c *product.Customer, plans []product.Plan) {
			b.Contract = &bill.Contract{Start: b.Contract.Start}
			b.TerminationFee, b.DeviceInstallment, b.DeviceInstallmentMonthly, b.Usage = nil, nil, nil, bill.Usage{}
			b.Payment = bill.Payment{BillingDate: b.Payment.BillingDate, Status: b.Payment.Status}
			b.Charges[0].Amount = nil
			c.Contract = product.Contract{Date: c.Contract.Date}
			c.Plan.SMSAllowance, c.Plan.Description, c.Plan.OnSale, c.Plan.SaleUnknown = "", "", false, true
			for i := range plans {
				plans[i].SMSAllowance, plans[i].Description = "", ""
			}
			plans[0].MonthlyFee, plans[0].DataAllowance = nil, ""
		},
	} {
		t.Run(string(shape), func(t *testing.T) {
			t.Parallel()
			l, sim := simulate(t)
			require.NoError(t, sim.AddAnswer(kossim.Answer{Operation: kossim.AnyOperation, Shape: shape}))
			wantBill, wantCustomer, wantPlans := bills, who, append([]product.Plan{}, list...)
			wantBill.Charges = append([]bill.Item{}, bills.Charges...)
			reshape(&wantBill, &wantCustomer, wantPlans)
			for range 6 {
				b, f := l.ask(t.Context(), t, lineNumber)
				require.Nil(t, f)
				require.Equal(t, wantBill, b)
				require.True(t, b.AddsUp(), "the discounts are whole, or it is not known")
				c, err := l.Customer(t.Context(), read, number(t, lineNumber))
				require.NoError(t, err)
				wantCustomer.Name = c.Name // compared below
				require.Equal(t, wantCustomer, c)
				plans, err := l.Plans(t.Context(), read)
				require.NoError(t, err)
				require.Equal(t, wantPlans, plans)
			}
			c, err := l.Customer(t.Context(), read, number(t, lineNumber))
			require.NoError(t, err)
			switch shape { //nolint:exhaustive // the others leave the name alone
			case kossim.MissingFields:
				require.Empty(t, c.Name.Reveal())
			case kossim.OtherCustomer:
				require.NotEqual(t, who.Name.Reveal(), c.Name.Reveal())
			default:
				require.Equal(t, who.Name.Reveal(), c.Name.Reveal())
			}
			o := order(t, lineNumber, c.PlanCode, "5G-STANDARD-001")
			if shape != kossim.MissingFields {
				require.NotEmpty(t, l.Change(t.Context(), change, o).KOSOrder)
			} else {
				require.Equal(t, product.Answer{Kind: product.AnswerAccepted, Code: "0000"}, l.Change(t.Context(), change, o))
			}
			require.Equal(t, product.AnswerAccepted, l.AskStatus(t.Context(), change, o).Kind)
			require.Empty(t, l.raised())
		})
	}
}

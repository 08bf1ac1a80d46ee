// Package portstest holds one contract suite per port: the comments of package ports as tests. Each suite runs against
// the fake in adapters/memory, against the real adapter and against every decorator, so that what the verbs were tested
// on behaves like what they run on.
//
// A suite calls open for each of its tests; open returns an empty store, which no other test uses, and registers its
// own clean-up.
package portstest

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
	"phonebill/core/personal"
	"phonebill/core/product"
)

// start is when the suites begin: 12:04:05 in Seoul, with the microseconds that stores keep.
var start = time.Date(2026, 3, 2, 3, 4, 5, 123456000, time.UTC)

// after is n seconds after start.
func after(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }

// numbered returns the n-th id: later numbers sort later, like UUIDv7.
func numbered(n int) id.ID {
	var out id.ID
	binary.BigEndian.PutUint32(out[:4], 0x019c0000)
	out[6], out[8] = 0x70, 0x80
	binary.BigEndian.PutUint32(out[12:], uint32(n))
	return out
}

// Line returns the n-th line number of the suites.
func Line(n int) line.Number {
	parsed, err := line.Parse(fmt.Sprintf("010%08d", 10000000+n))
	if err != nil {
		panic(err) // a mistake in the suite
	}
	return parsed
}

// Owner returns the account whose sessions the suites make: stores that know accounts must know it.
func Owner() auth.User {
	return auth.User{
		UserID: "hong1234", PasswordHash: personal.NewSecret("$argon2id$one"),
		Name: personal.NewName("홍길동"), Phone: Line(1),
		Email: personal.NewEmail("hong@example.com"), CustomerID: "C-0001", Lines: []line.Number{Line(1), Line(2)},
		Roles: []auth.Role{auth.Customer},
		Grants: []auth.Grant{
			{Permission: auth.BillInquiry, GrantedAt: start},
			{Permission: auth.ProductChange, ExpiresAt: after(3600), GrantedBy: "admin", GrantedAt: start},
		},
		Tier: auth.TierVIP, Status: auth.Active, CreatedAt: start, Version: 1,
	}
}

// Month returns the billing month of the suites.
func Month() calendar.Month { return calendar.MonthOf(start) }

// Bill returns a bill with every field set.
func Bill(n line.Number) bill.Bill {
	minutes, count, data, monthly := 320, 12, 51200, money.Won(25000)
	return bill.Bill{
		Line: n, Month: Month(), ProductCode: "5GX_PREMIUM", ProductName: "5G 프리미엄 플랜",
		ContractInfo: "24개월 약정 (2025-01-01 ~ 2026-12-31)", Contract: &bill.Contract{Months: new(24),
			Start: Month().Add(-14).First(), End: Month().Add(9).First()},
		Total: 89000, Charges: []bill.Item{{Name: "월정액", Amount: new(money.Won(95000))}},
		Discounts: []bill.Item{{Name: "선택약정할인", Amount: new(money.Won(6000))}},
		Usage: bill.Usage{
			Voice: "320분", SMS: "12건", Data: "50GB", VoiceMinutes: &minutes, SMSCount: &count, DataMegabytes: &data,
			VoiceUnlimited: true, SMSUnlimited: true, DataUnlimited: true,
		},
		TerminationFee: new(money.Won(120000)), DeviceInstallment: new(money.Won(450000)), DeviceInstallmentMonthly: &monthly,
		Payment: bill.Payment{
			BillingDate: Month().First(), DueDate: Month().First().AddDays(24), Status: bill.Unpaid, Method: "자동이체",
		},
	}
}

// BillCopies are copies with everything in them and with nothing that may be missing.
func BillCopies() []bill.Copy {
	bare := bill.Bill{Line: Line(2), Month: Month(), ProductCode: "LTE_BASIC", Total: -500,
		Payment: bill.Payment{Status: bill.Paid}}
	partly := bare
	partly.Line, partly.Contract = Line(4), &bill.Contract{Start: Month().First()}
	partly.Charges, partly.Discounts = []bill.Item{{Name: "월정액"}}, []bill.Item{}
	partly.TerminationFee = new(money.Won(0))
	doubtful, madeUp := bare, bare
	doubtful.Line, madeUp.Line = Line(5), Line(6)
	return []bill.Copy{
		{Version: numbered(1), Bill: Bill(Line(1)), AsOf: start},
		{Version: numbered(2), Bill: bare, AsOf: after(1)},
		{Version: numbered(4), Bill: partly, AsOf: after(2)},
		{Version: numbered(5), Bill: doubtful, AsOf: after(2), Trust: bill.Doubtful},
		{Version: numbered(6), Bill: madeUp, AsOf: after(2), Trust: bill.MadeUp},
	}
}

// Customer returns a customer with every field set.
func Customer(n line.Number) product.Customer {
	return product.Customer{
		CustomerID: "C-0001", Line: n, Name: personal.NewName("홍길동"), OperatorCode: "MVNO1",
		LineStatus: product.LineActive,
		PlanCode:   "5GX_PREMIUM",
		Plan: product.Plan{
			Code: "5GX_PREMIUM", Name: "5G 프리미엄 플랜", MonthlyFee: new(money.Won(0)), DataAllowance: "무제한",
			VoiceAllowance: "무제한",
			SMSAllowance:   "기본 제공", NetworkType: "5G", Description: "최고의 5G", OnSale: true, OperatorCode: "MVNO1",
		},
		Scheduled: &product.Scheduled{
			PlanCode: "LTE_BASIC", Plan: product.Plan{Code: "LTE_BASIC", SaleUnknown: true},
			EffectiveDate: Month().Add(1).First(), TransactionID: numbered(77),
		},
		Contract: product.Contract{Date: Month().First(), TermEnd: Month().Add(24).First(),
			EarlyTerminationFee: new(money.Won(120000))},
	}
}

// MonthsCopies are copies with months, and one of a line without bills.
func MonthsCopies() []bill.MonthsCopy {
	return []bill.MonthsCopy{
		{Line: Line(1), Months: []calendar.Month{Month(), Month().Add(-1)}, Holder: "C-0001", AsOf: start},
		{Line: Line(2), Holder: "C-0002", AsOf: after(1)},
	}
}

// CustomerCopies are copies with everything in them and with nothing that may be missing.
func CustomerCopies() []product.CustomerCopy {
	return []product.CustomerCopy{
		{Customer: Customer(Line(1)), AsOf: start},
		{Customer: product.Customer{Line: Line(2), LineStatus: product.LineTerminated}, AsOf: after(1)},
		{Customer: product.Customer{
			Line: Line(4), Scheduled: &product.Scheduled{PlanCode: "LTE_BASIC"},
			Contract: product.Contract{EarlyTerminationFee: new(money.Won(0))},
		}, AsOf: after(2)},
		{Customer: product.Customer{Line: Line(5)}, AsOf: after(2), Doubtful: true},
	}
}

// PlansCopies returns a full and an empty list.
func PlansCopies() []product.PlansCopy {
	return []product.PlansCopy{
		{
			AsOf: start,
			Plans: []product.Plan{{
				Code: "5GX_PREMIUM", Name: "5G 프리미엄 플랜", MonthlyFee: new(money.Won(89000)), DataAllowance: "무제한",
				VoiceAllowance: "무제한", SMSAllowance: "기본 제공", NetworkType: "5G", Description: "최고의 5G", OnSale: true,
				OperatorCode: "MVNO1",
			}, {Code: "LTE_OLD", SaleUnknown: true}, {Code: "LTE_FREE", MonthlyFee: new(money.Won(0))}},
		},
		{AsOf: after(1)},
		{AsOf: after(1), Doubtful: true},
	}
}

// requireFault requires that err is the fault of that code.
func requireFault(t *testing.T, code fault.Code, err error) {
	t.Helper()
	require.ErrorIs(t, err, fault.New(code))
}

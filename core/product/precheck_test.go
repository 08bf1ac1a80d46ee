package product_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/calendar"
	"phonebill/core/product"
)

// TestPreCheckAllCombinations runs every combination of facts against the three rules stated independently.
func TestPreCheckAllCombinations(t *testing.T) {
	t.Parallel()
	cases := 0
	for _, known := range []bool{true, false} {
		for _, onSale := range []bool{true, false} {
			for _, operator := range []string{"MVNO", "OTHER"} {
				for _, status := range []product.LineStatus{product.LineActive, product.LineSuspended, product.LineTerminated,
					"?"} {
					for _, believed := range []string{"NOW", "WRONG"} {
						for _, target := range []string{"NEW", "NOW"} {
							for k, scheduled := range []string{"", "NEW", "ELSE", ""} {
								cases++
								spent := k == 3
								c := product.Customer{PlanCode: "NOW", OperatorCode: "MVNO", LineStatus: status}
								if scheduled != "" {
									c.Scheduled = &product.Scheduled{PlanCode: scheduled, EffectiveDate: calendar.MonthOf(now).First()}
								}
								var plans product.PlansCopy
								if known {
									plans.Plans = []product.Plan{{Code: "X"}, {Code: target, OnSale: onSale, OperatorCode: operator}}
								}
								v := product.PreCheck(product.Facts{Customer: c, Plans: plans, Spent: spent}, believed, target)
								available := known && onSale && believed == "NOW" && target != "NOW" && target != scheduled && !spent
								match := known && operator == "MVNO"
								inUse := status == product.LineActive
								require.Equal(t, []product.CheckType{product.CheckAvailable, product.CheckOperator, product.CheckLine},
									[]product.CheckType{v.Checks[0].Type, v.Checks[1].Type, v.Checks[2].Type})
								require.Equal(t, []bool{available, match, inUse}, []bool{v.Checks[0].Pass, v.Checks[1].Pass, v.Checks[2].Pass})
								require.Equal(t, available && match && inUse, v.OK())
								require.Equal(t, available && match && !inUse, v.LineNotInUse())
								require.Equal(t, v.OK(), v.FailureReason() == "")
								for _, check := range v.Checks {
									require.NotEmpty(t, check.Message)
									if !check.Pass {
										require.Equal(t, check.Message, v.FailureReason())
										break
									}
								}
							}
						}
					}
				}
			}
		}
	}
	require.Equal(t, 512, cases)
}

// What KOS leaves out is said to be unknown: no date is made up, and neither is a withdrawal or another operator.
func TestPreCheckWithMissingFacts(t *testing.T) {
	t.Parallel()
	reason := func(p product.Plan, s *product.Scheduled) []string {
		c := product.Customer{PlanCode: "NOW", OperatorCode: "MVNO", LineStatus: product.LineActive, Scheduled: s}
		v := product.PreCheck(product.Facts{Customer: c, Plans: product.PlansCopy{Plans: []product.Plan{p}}}, "NOW", "NEW")
		require.False(t, v.OK())
		return []string{v.Checks[0].Message, v.Checks[1].Message}
	}
	require.Equal(t, []string{"상품의 판매 여부를 확인할 수 없습니다", "상품의 사업자를 확인할 수 없습니다"},
		reason(product.Plan{Code: "NEW", SaleUnknown: true}, nil))
	require.Equal(t, "현재 판매 중인 상품이 아닙니다", reason(product.Plan{Code: "NEW", OperatorCode: "MVNO"}, nil)[0])
	require.Equal(t, "이미 변경이 예약된 상품입니다",
		reason(product.Plan{Code: "NEW", OnSale: true, OperatorCode: "MVNO"}, &product.Scheduled{PlanCode: "NEW"})[0])
}

func TestPlans(t *testing.T) {
	t.Parallel()
	c := product.PlansCopy{Plans: []product.Plan{
		{Code: "A", Name: "가", OnSale: true, OperatorCode: "MVNO"}, {Code: "B", OnSale: false, OperatorCode: "MVNO"},
		{Code: "C", OnSale: true, OperatorCode: "OTHER"},
	}}
	codes := func(plans []product.Plan) (out []string) {
		for _, p := range plans {
			out = append(out, p.Code)
		}
		return out
	}
	require.Equal(t, []string{"A", "C"}, codes(c.Available("", "")))
	require.Equal(t, []string{"C"}, codes(c.Available("", "A")))
	require.Equal(t, []string{"A"}, codes(c.Available("MVNO", "C")))
	require.Empty(t, c.Available("", "A", "C"))
	require.NotNil(t, c.Available("NOBODY", ""))
	require.Equal(t, "가", c.Named("A", product.Plan{}).Name)
	require.Equal(t, product.Plan{Code: "Z", SaleUnknown: true}, c.Named("Z", product.Plan{}), "never invented")
	_, ok := c.Find("Z")
	require.False(t, ok)
}

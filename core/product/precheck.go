package product

import "phonebill/core/calendar"

// CheckType names one of the three pre-checks of UFR-PROD-030.
type CheckType string

// The checks, in the order in which they are evaluated and shown.
const (
	CheckAvailable CheckType = "PRODUCT_AVAILABLE"
	CheckOperator  CheckType = "OPERATOR_MATCH"
	CheckLine      CheckType = "LINE_STATUS"
)

// Check is the result of one pre-check.
type Check struct {
	Type    CheckType
	Pass    bool
	Message string
}

// Verdict is the result of all three checks; all are evaluated whatever the first result is (ADR 22).
type Verdict struct{ Checks [3]Check }

// OK reports whether every check passed.
func (v Verdict) OK() bool { return v.firstFailure() == nil }

// FailureReason returns the message of the first failed check, empty when none failed.
func (v Verdict) FailureReason() string {
	if c := v.firstFailure(); c != nil {
		return c.Message
	}
	return ""
}

// LineNotInUse reports whether the line check is the first that failed.
func (v Verdict) LineNotInUse() bool {
	c := v.firstFailure()
	return c != nil && c.Type == CheckLine
}

func (v Verdict) firstFailure() *Check {
	for i := range v.Checks {
		if !v.Checks[i].Pass {
			return &v.Checks[i]
		}
	}
	return nil
}

// Facts are what a pre-check judges, fresh enough for a change (ADR 22).
type Facts struct {
	Customer Customer
	Plans    PlansCopy
	Spent    bool // the line has had the one change of this month that the operator allows
}

// PreCheck judges a change of the customer's line from the plan the caller believes current to target.
func PreCheck(f Facts, current, target string) Verdict {
	plan, known := f.Plans.Find(target)
	return Verdict{[3]Check{
		available(f, plan, known, current, target),
		operator(f.Customer, plan, known),
		lineInUse(f.Customer),
	}}
}

func available(f Facts, plan Plan, known bool, current, target string) Check {
	c := f.Customer
	switch {
	case !known:
		return Check{CheckAvailable, false, "존재하지 않는 상품입니다"}
	case plan.SaleUnknown:
		return Check{CheckAvailable, false, "상품의 판매 여부를 확인할 수 없습니다"}
	case !plan.OnSale:
		return Check{CheckAvailable, false, "현재 판매 중인 상품이 아닙니다"}
	case current != c.PlanCode:
		return Check{CheckAvailable, false, "현재 이용 중인 상품 정보가 일치하지 않습니다"}
	case target == c.PlanCode:
		return Check{CheckAvailable, false, "이미 이용 중인 상품입니다"}
	case c.Scheduled != nil && target == c.Scheduled.PlanCode:
		return Check{CheckAvailable, false, "이미 변경이 예약된 상품입니다" + fromDay(c.Scheduled.EffectiveDate)}
	case f.Spent:
		return Check{CheckAvailable, false, "이번 달에 이미 상품을 변경하셨습니다. 다음 달에 다시 신청해주세요"}
	default:
		return Check{CheckAvailable, true, "판매 중인 상품입니다"}
	}
}

// fromDay returns the text for the day on which a scheduled plan begins, empty when KOS states none.
func fromDay(d calendar.Date) string {
	if d.IsZero() {
		return ""
	}
	return " (" + d.String() + " 적용)"
}

func operator(c Customer, plan Plan, known bool) Check {
	switch {
	case !known || plan.OperatorCode == "" && c.OperatorCode != "":
		return Check{CheckOperator, false, "상품의 사업자를 확인할 수 없습니다"}
	case plan.OperatorCode != c.OperatorCode:
		return Check{CheckOperator, false, "가입하신 사업자의 상품이 아닙니다"}
	default:
		return Check{CheckOperator, true, "가입하신 사업자의 상품입니다"}
	}
}

func lineInUse(c Customer) Check {
	switch c.LineStatus {
	case LineActive:
		return Check{CheckLine, true, "사용 중인 회선입니다"}
	case LineSuspended:
		return Check{CheckLine, false, "정지된 회선입니다"}
	case LineTerminated:
		return Check{CheckLine, false, "해지된 회선입니다"}
	default:
		return Check{CheckLine, false, "회선 상태를 확인할 수 없습니다"}
	}
}

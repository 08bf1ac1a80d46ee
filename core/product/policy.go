package product

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"phonebill/core/calendar"
	"phonebill/core/fault"
)

// EffectiveRule is the rule by which the day of a change is found (ADR 25).
type EffectiveRule string

// The rules. Days are days in Seoul.
const (
	FirstOfNextMonth EffectiveRule = "FIRST_OF_NEXT_MONTH"
	Today            EffectiveRule = "TODAY"
)

// Day returns the day that the rule finds at now.
func (r EffectiveRule) Day(now time.Time) calendar.Date {
	if r == Today {
		return calendar.DateOf(now)
	}
	return calendar.MonthOf(now).Add(1).First()
}

// Policy is what the operator allows, as data.
type Policy struct {
	Offered    []EffectiveRule // the first is the default
	OnceAMonth bool            // a line changes its plan once in a calendar month in Seoul
}

// DefaultPolicy returns the policy of ADR 25: the first of next month, today when asked for, any number of changes a
// month.
func DefaultPolicy() Policy { return Policy{Offered: []EffectiveRule{FirstOfNextMonth, Today}} }

// ParsePolicy reads the rules offered, separated by commas, the default first.
func ParsePolicy(rules string, onceAMonth bool) (Policy, error) {
	p := Policy{OnceAMonth: onceAMonth}
	for _, s := range strings.Split(rules, ",") {
		r := EffectiveRule(strings.TrimSpace(s))
		if r != FirstOfNextMonth && r != Today || slices.Contains(p.Offered, r) {
			return Policy{}, fmt.Errorf("effective date rules %q: want %s and %s, each at most once", rules,
				FirstOfNextMonth, Today)
		}
		p.Offered = append(p.Offered, r)
	}
	return p, nil
}

// Days returns the days that may be chosen now, the default first, each once.
func (p Policy) Days(now time.Time) []calendar.Date {
	var days []calendar.Date
	for _, r := range p.Offered {
		if day := r.Day(now); !slices.Contains(days, day) {
			days = append(days, day)
		}
	}
	return days
}

// Choose returns the rule whose day was asked for, the default when none was; any other day is a VALIDATION_ERROR on
// changeEffectiveDate that names those to choose from.
func (p Policy) Choose(asked calendar.Date, now time.Time) (EffectiveRule, error) {
	if asked.IsZero() {
		return p.Offered[0], nil
	}
	days := make([]string, len(p.Offered))
	for i, r := range p.Offered {
		if days[i] = r.Day(now).String(); r.Day(now) == asked {
			return r, nil
		}
	}
	return "", fault.InvalidField("changeEffectiveDate", strings.Join(days, " 또는 ")+"만 선택할 수 있습니다")
}

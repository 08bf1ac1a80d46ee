// Package money holds the one unit of money in phonebill: the Korean won.
package money

import "strconv"

// Won is an amount in integer won (ADR 18). It may be negative (a discount, a price difference).
type Won int64

// String groups by thousands: 89,000원.
func (w Won) String() string {
	digits := strconv.FormatInt(int64(w), 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	out := make([]byte, 0, len(digits)+len(digits)/3)
	for i := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, digits[i])
	}
	return sign + string(out) + "원"
}

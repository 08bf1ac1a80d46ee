// Package line holds the telephone line number, the key by which KOS and customers name a contract.
package line

import (
	"fmt"
	"strings"

	"phonebill/core/fault"
)

// Number is a Korean mobile line number. It is personal data: every way of printing it (fmt, JSON, slog) masks it;
// Digits and Hyphenated reveal it. The zero value is no number.
type Number struct{ digits string }

// Optional parses a line number that may be left out: nil gives the zero Number.
func Optional(s *string) (Number, error) {
	if s == nil {
		return Number{}, nil
	}
	return Parse(*s)
}

// Parse accepts 01012345678 and 010-1234-5678 (ADR 18); anything else is a VALIDATION_ERROR on lineNumber. It runs
// several times in each request, so it is written by hand instead of using the pattern
// 01[0-9](-[0-9]{3,4}-[0-9]{4}|[0-9]{7,8}).
func Parse(s string) (Number, error) {
	digits := s
	if n := len(s); (n == 12 || n == 13) && s[3] == '-' && s[n-5] == '-' {
		digits = s[:3] + s[4:n-5] + s[n-4:]
	}
	if n := len(digits); n != 10 && n != 11 || digits[:2] != "01" || strings.Trim(digits, "0123456789") != "" {
		return Number{}, fault.InvalidField("lineNumber", "01012345678 또는 010-1234-5678 형식이어야 합니다")
	}
	return Number{digits}, nil
}

// Digits returns the stored form: 01012345678.
func (n Number) Digits() string { return n.digits }

// Hyphenated returns the form of the API: 010-1234-5678.
func (n Number) Hyphenated() string {
	if len(n.digits) < 10 {
		return n.digits
	}
	return n.digits[:3] + "-" + n.digits[3:len(n.digits)-4] + "-" + n.digits[len(n.digits)-4:]
}

// IsZero reports that there is no number.
func (n Number) IsZero() bool { return n.digits == "" }

// String masks the middle: 010-****-5678.
func (n Number) String() string {
	if len(n.digits) < 10 {
		return ""
	}
	return n.digits[:3] + "-" + strings.Repeat("*", len(n.digits)-7) + "-" + n.digits[len(n.digits)-4:]
}

// Format masks under every verb: a Stringer alone would leak under %d and its like.
func (n Number) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(n.String())) }

// MarshalText masks as well: encoding/json and log/slog both print it.
func (n Number) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

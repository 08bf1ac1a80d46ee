// Package line holds the telephone line number, the key by which KOS and customers name a contract.
package line

import (
	"fmt"
	"regexp"
	"strings"

	"phonebill/core/fault"
)

// Number is a Korean mobile line number. It is personal data: every way of printing it (fmt, JSON, slog) masks it;
// Digits and Hyphenated reveal it. The zero value is no number.
type Number struct{ digits string }

var pattern = regexp.MustCompile(`^01[0-9](-[0-9]{3,4}-[0-9]{4}|[0-9]{7,8})$`)

// Parse accepts 01012345678 and 010-1234-5678 (decision 6); anything else is a VALIDATION_ERROR on lineNumber.
func Parse(s string) (Number, error) {
	if !pattern.MatchString(s) {
		return Number{}, fault.InvalidField("lineNumber", "01012345678 또는 010-1234-5678 형식이어야 합니다")
	}
	return Number{strings.ReplaceAll(s, "-", "")}, nil
}

// Digits is the stored form: 01012345678.
func (n Number) Digits() string { return n.digits }

// Hyphenated is the answered form: 010-1234-5678.
func (n Number) Hyphenated() string {
	if len(n.digits) < 10 {
		return n.digits
	}
	return n.digits[:3] + "-" + n.digits[3:len(n.digits)-4] + "-" + n.digits[len(n.digits)-4:]
}

// IsZero tells that there is no number.
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

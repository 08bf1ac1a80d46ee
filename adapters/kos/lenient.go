package kos

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"phonebill/core/calendar"
	"phonebill/core/money"
)

// The types of this file unmarshal what KOS sends in every notation that has one meaning: 74000, 74000.0 and "74000"
// are the same amount. What is missing or has no single meaning is absent; it is never an error, so that one odd field
// does not make the whole answer unusable. convert.go decides whether an answer can do without the field. Requests use
// the generated types.

// maybe is an optional part of an answer; v is nil when it is missing, null or of another type. present is true when
// KOS sent something there, readable or not: a missing part is not the same as an unreadable one.
type maybe[T any] struct {
	v       *T
	present bool
}

// UnmarshalJSON unmarshals the part, or leaves it absent.
func (m *maybe[T]) UnmarshalJSON(raw []byte) error {
	var v T
	m.present = !slices.Contains([]string{"null", "{}", "[]", `""`}, string(raw))
	if string(raw) != "null" && json.Unmarshal(raw, &v) == nil {
		m.v = &v
	}
	return nil
}

// orZero returns the part, or one in which everything is absent.
func (m maybe[T]) orZero() (v T) {
	if m.v != nil {
		v = *m.v
	}
	return v
}

// trimmed is a text without surrounding blanks; empty when there is none.
type trimmed string

// UnmarshalJSON unmarshals a string.
func (w *trimmed) UnmarshalJSON(raw []byte) error {
	if s, ok := quoted(raw); ok {
		*w = trimmed(s)
	}
	return nil
}

// amount is integer won; nil when there is none.
type amount struct{ won *money.Won }

// UnmarshalJSON unmarshals a whole number.
func (a *amount) UnmarshalJSON(raw []byte) error {
	if n, ok := wholeNumber(raw); ok {
		a.won = new(money.Won(n))
	}
	return nil
}

// count is a whole number of things, at least 0; nil when there is none.
type count struct{ n *int }

// UnmarshalJSON unmarshals a whole number.
func (c *count) UnmarshalJSON(raw []byte) error {
	if n, ok := wholeNumber(raw); ok && n >= 0 && n <= math.MaxInt32 {
		c.n = new(int(n))
	}
	return nil
}

// digitsOnly are the digits of a date or month, sent as text or as a number; empty when there are none.
type digitsOnly string

// UnmarshalJSON unmarshals text or a plain number.
func (d *digitsOnly) UnmarshalJSON(raw []byte) error {
	s, ok := quoted(raw)
	if !ok {
		s = string(raw)
	}
	if onlyDigits.MatchString(s) {
		*d = digitsOnly(s)
	}
	return nil
}

// date parses yyyyMMdd; it returns the zero date for anything else.
func (d digitsOnly) date() calendar.Date {
	if len(d) != 8 {
		return calendar.Date{}
	}
	day, err := calendar.ParseDate("date", string(d[:4]+"-"+d[4:6]+"-"+d[6:]))
	if err != nil {
		return calendar.Date{}
	}
	return day
}

// month parses yyyyMM; it returns the zero month for anything else.
func (d digitsOnly) month() calendar.Month {
	if len(d) != 6 {
		return calendar.Month{}
	}
	m, err := calendar.ParseMonth(string(d[:4] + "-" + d[4:]))
	if err != nil {
		return calendar.Month{}
	}
	return m
}

// quoted unmarshals a JSON string without surrounding blanks; ok is false when raw is none.
func quoted(raw []byte) (s string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return strings.TrimSpace(s), true
}

var (
	onlyDigits = regexp.MustCompile(`^[0-9]+$`)
	// plainWhole is a JSON number without an exponent whose fraction, if it has one, is 0.
	plainWhole = regexp.MustCompile(`^(-?[0-9]+)(?:\.0+)?$`)
	// writtenWhole is the same as text, where thousands may be grouped. 10.000 is no number here: it may mean ten or
	// ten thousand.
	writtenWhole = regexp.MustCompile(`^(-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+))(?:\.00?)?$`)
)

// maxExact is the largest number up to which a float64 holds every whole number.
const maxExact = 1 << 53

// wholeNumber parses a JSON number, or one in a string; ok is false for a number with a fraction or past 64 bits.
func wholeNumber(raw []byte) (n int64, ok bool) {
	pattern, s := plainWhole, string(raw)
	if text, is := quoted(raw); is {
		pattern, s = writtenWhole, text
	}
	if found := pattern.FindStringSubmatch(s); found != nil {
		n, err := strconv.ParseInt(strings.ReplaceAll(found[1], ",", ""), 10, 64)
		return n, err == nil
	}
	if pattern == writtenWhole || !strings.ContainsAny(s, "eE") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return int64(f), err == nil && f == math.Trunc(f) && math.Abs(f) <= maxExact
}

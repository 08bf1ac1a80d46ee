package auth

import (
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/personal"
)

// Account is a user as staff see it: with the end of the lock, zero when there is none.
type Account struct {
	User
	LockedUntil time.Time
}

// StatusNow returns the status to show at now.
func (a Account) StatusNow(now time.Time) Status { return a.StatusAt(a.LockedUntil, now) }

// AccountFilter is a search for accounts: every value that is set must match exactly, the id in any case. LOCKED finds
// the accounts that are locked at Now. Pages count from 1.
type AccountFilter struct {
	UserID     UserID
	CustomerID string
	Line       line.Number
	Status     Status
	Now        time.Time
	Page, Size int
}

// MaxCounted is the largest number of rows that a list counts; page x size goes no further (S-PAGE).
const MaxCounted = 10_000

// ParseName accepts a person's name: 1-50 printable characters, counted in NFC, without space at its ends.
func ParseName(s string) (personal.Name, error) {
	const most = 50
	s = personal.NFC(s)
	n := utf8.RuneCountInString(s)
	if n < 1 || n > most || !utf8.ValidString(s) || !allRunes(s, unicode.IsPrint) || strings.TrimSpace(s) != s {
		return personal.Name{}, fault.InvalidField("userName", "1~50자로 입력해야 합니다")
	}
	return personal.NewName(s), nil
}

var emailPattern = regexp.MustCompile(`^[^@\s<>",;\\]{1,64}@[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?$`)

// ParseEmail accepts a mail address, or nothing.
func ParseEmail(s string) (personal.Email, error) {
	if s != "" && (!emailPattern.MatchString(s) || !utf8.ValidString(s) || !allRunes(s, unicode.IsPrint)) {
		return personal.Email{}, fault.InvalidField("email", "올바른 이메일 형식이 아닙니다")
	}
	return personal.NewEmail(s), nil
}

var customerPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

// ParseCustomerID accepts the carrier's name of a customer, or nothing.
func ParseCustomerID(s string) (string, error) {
	if s != "" && !customerPattern.MatchString(s) {
		return "", fault.InvalidField("customerId", "40자 이내의 영문, 숫자, '_', '-'만 사용할 수 있습니다")
	}
	return s, nil
}

// ParsePhone accepts a line number, or nothing.
func ParsePhone(s string) (line.Number, error) {
	if s == "" {
		return line.Number{}, nil
	}
	n, err := line.Parse(s)
	if err != nil {
		return n, fault.InvalidField("phoneNumber", fault.From(err).Fields()[0].Reason)
	}
	return n, nil
}

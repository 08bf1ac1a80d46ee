// Package calendar holds the billing month and the calendar date. "Today" and "current month" are always those of
// Asia/Seoul (R-KST), whatever the zone of the machine.
package calendar

import (
	"fmt"
	"time"

	"phonebill/core/fault"
)

// Seoul is Korea Standard Time. Korea has had no daylight saving since 1988, so a fixed zone needs no tz database.
var Seoul = time.FixedZone("KST", 9*60*60)

// Month is a billing month. The zero value is no month.
type Month struct {
	year int
	m    time.Month
}

// MonthOf returns the month in Seoul at the instant t.
func MonthOf(t time.Time) Month {
	s := t.In(Seoul)
	return Month{s.Year(), s.Month()}
}

// ParseMonth reads YYYY-MM; anything else is a VALIDATION_ERROR on inquiryMonth.
func ParseMonth(s string) (Month, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil {
		return Month{}, fault.InvalidField("inquiryMonth", "YYYY-MM 형식의 올바른 월이어야 합니다")
	}
	return Month{t.Year(), t.Month()}, nil
}

// String is YYYY-MM.
func (m Month) String() string { return fmt.Sprintf("%04d-%02d", m.year, int(m.m)) }

// Compact is yyyyMM, the form KOS speaks (ADR 18).
func (m Month) Compact() string { return fmt.Sprintf("%04d%02d", m.year, int(m.m)) }

// IsZero reports that there is no month.
func (m Month) IsZero() bool { return m == Month{} }

// Add returns the month n months later (earlier when n is negative).
func (m Month) Add(n int) Month {
	t := time.Date(m.year, m.m+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	return Month{t.Year(), t.Month()}
}

// After reports whether m is later than o.
func (m Month) After(o Month) bool { return m.year > o.year || m.year == o.year && m.m > o.m }

// First returns the first day of the month.
func (m Month) First() Date { return Date{m.year, m.m, 1} }

// Date is a calendar day in Seoul. The zero value is no date.
type Date struct {
	year int
	m    time.Month
	day  int
}

// DateOf returns the day in Seoul at the instant t.
func DateOf(t time.Time) Date {
	s := t.In(Seoul)
	return Date{s.Year(), s.Month(), s.Day()}
}

// ParseDate reads YYYY-MM-DD; anything else is a VALIDATION_ERROR on the named field.
func ParseDate(field, s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fault.InvalidField(field, "YYYY-MM-DD 형식의 올바른 날짜여야 합니다")
	}
	return Date{t.Year(), t.Month(), t.Day()}, nil
}

// String is YYYY-MM-DD.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.year, int(d.m), d.day) }

// Compact is yyyyMMdd, the form KOS speaks.
func (d Date) Compact() string { return fmt.Sprintf("%04d%02d%02d", d.year, int(d.m), d.day) }

// IsZero reports that there is no date.
func (d Date) IsZero() bool { return d == Date{} }

// After reports whether d is later than o.
func (d Date) After(o Date) bool { return d.Start().After(o.Start()) }

// Month returns the month the day lies in.
func (d Date) Month() Month { return Month{d.year, d.m} }

// Start returns the instant the day begins in Seoul, in UTC.
func (d Date) Start() time.Time {
	return time.Date(d.year, d.m, d.day, 0, 0, 0, 0, Seoul).UTC()
}

// AddDays returns the date n days later (earlier when n is negative).
func (d Date) AddDays(n int) Date {
	t := time.Date(d.year, d.m, d.day+n, 0, 0, 0, 0, time.UTC)
	return Date{t.Year(), t.Month(), t.Day()}
}

package rest

import (
	"time"

	"phonebill/core/calendar"
)

// Optional returns nil for the zero value, so that an absent field is left out of an answer.
func Optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// OptionalTime returns nil for the zero time.
func OptionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// OptionalDate returns nil for the zero date.
func OptionalDate(d calendar.Date) *string {
	if d.IsZero() {
		return nil
	}
	return Optional(d.String())
}

// Value returns the value of a field, or the zero value when the field was not sent.
func Value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

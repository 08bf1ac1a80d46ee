package postgres

import (
	"time"

	"github.com/google/uuid"

	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/ports"
)

// Rows hold what nouns hold with these differences: a zero time, id or text that means "none" is NULL, times are cut to
// microseconds (PostgreSQL's grain) and in UTC, personal data is sealed.

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func optionalID(i id.ID) *uuid.UUID {
	if i.IsZero() {
		return nil
	}
	u := uuid.UUID(i)
	return &u
}

func someID(u *uuid.UUID) id.ID {
	if u == nil {
		return id.ID{}
	}
	return id.ID(*u)
}

// since and before are the instants between which days from..to lie in Seoul; nil does not limit.
func since(from calendar.Date) *time.Time { return optionalDay(from, 0) }

func before(to calendar.Date) *time.Time { return optionalDay(to, 1) }

func optionalDay(d calendar.Date, more int) *time.Time {
	if d.IsZero() {
		return nil
	}
	return optional(d.AddDays(more).Start())
}

// skip is how many rows lie before the page, which counts from 1.
func skip(page, size int) int64 { return max(0, int64(page-1)) * int64(size) }

// due is the delivery half of a row: nothing to tell before the work is final, and then at once.
func due(final bool, at time.Time) (delivery.State, *time.Time) {
	if !final {
		return delivery.None, nil
	}
	return delivery.Pending, optional(at)
}

// lines are line numbers at rest: sealed for one column, found by their blind index.
type lines struct {
	vault   ports.Vault
	purpose string // database.table.column
}

func (l lines) seal(n line.Number) ([]byte, error) {
	return l.vault.Seal(l.purpose, []byte(n.Digits()))
}

func (l lines) open(sealed []byte) (line.Number, error) {
	clear, err := l.vault.Open(l.purpose, sealed)
	if err != nil || len(clear) == 0 {
		return line.Number{}, err
	}
	return line.Parse(string(clear))
}

func (l lines) index(n line.Number) []byte { return l.vault.Index(ports.LineIndex, n.Digits()) }

func (l lines) indexes(all []line.Number) [][]byte {
	out := make([][]byte, len(all))
	for i, n := range all {
		out[i] = l.index(n)
	}
	return out
}

// sealOptional keeps nothing for nothing.
func sealOptional(v ports.Vault, purpose string, clear []byte) ([]byte, error) {
	if len(clear) == 0 {
		return nil, nil
	}
	return v.Seal(purpose, clear)
}

func openOptional(v ports.Vault, purpose string, sealed []byte) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	return v.Open(purpose, sealed)
}

// conflict is what a late worker gets when no row was his to change.
func conflict(rows int64) error {
	if rows == 0 {
		return fault.New(fault.StateConflict)
	}
	return nil
}

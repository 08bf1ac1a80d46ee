package postgres

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// Rows hold what nouns hold with these differences: a zero time, id or text that means "none" is NULL, times are cut to
// microseconds (PostgreSQL's precision) and in UTC, personal data is sealed.

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

func orZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
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

// since and before limit to the days from..to in Seoul; nil does not limit.
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

// due is the delivery half of a row: there is nothing to deliver before the work is final, and then it is due at once.
func due(final bool, at time.Time) (delivery.State, *time.Time) {
	if !final {
		return delivery.None, nil
	}
	return delivery.Pending, optional(at)
}

// lines are line numbers in the database: sealed for one column, found by their blind index.
type lines struct {
	vault  ports.Vault
	column string // database.table.column
}

// place is where a line is stored: keys are those of its row, besides the line's index.
func (l lines) place(index []byte, keys []string) sealing.Place {
	at := sealing.At(l.column, slices.Concat(keys, []string{string(index)})...)
	if len(keys) > 0 && keys[0] == "" { // of the decoy
		return at.WithoutAlert()
	}
	return at
}

func (l lines) seal(n line.Number, keys ...string) ([]byte, error) {
	return l.vault.Seal(l.place(l.index(n), keys), []byte(n.Digits()))
}

// open returns the line of the row with the index and the keys. A line that opens but has another index is not of that
// row.
func (l lines) open(sealed, index []byte, keys ...string) (line.Number, error) {
	at := l.place(index, keys)
	clear, err := l.vault.Open(at, sealed)
	if err != nil {
		return line.Number{}, err
	}
	var n line.Number
	if len(clear) > 0 {
		if n, err = line.Parse(string(clear)); err != nil {
			return line.Number{}, l.vault.Refuse(at, err)
		}
	}
	if !bytes.Equal(l.index(n), index) {
		return line.Number{}, l.vault.Refuse(at, errMisplaced)
	}
	return n, nil
}

// errMisplaced is why a value that opens is refused: the row is found by another value.
var errMisplaced = errors.New("postgres: a sealed value is not of its row")

func key[T ~[16]byte](of T) string { return string(of[:]) }

func (l lines) index(n line.Number) []byte { return l.vault.Index(ports.LineIndex, n.Digits()) }

func (l lines) indexes(all []line.Number) [][]byte {
	out := make([][]byte, len(all))
	for i, n := range all {
		out[i] = l.index(n)
	}
	return out
}

func sealOptional(v ports.Vault, at sealing.Place, clear []byte) ([]byte, error) {
	if len(clear) == 0 {
		return nil, nil
	}
	return v.Seal(at, clear)
}

func openOptional(v ports.Vault, at sealing.Place, sealed []byte) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	return v.Open(at, sealed)
}

// changed returns the code when a statement changed no row, as that of a late worker, else its error.
func changed(rows int64, err error, none fault.Code) error {
	if err == nil && rows == 0 {
		return fault.New(none)
	}
	return err
}

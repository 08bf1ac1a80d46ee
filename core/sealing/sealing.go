// Package sealing describes the place of a sealed value and how firmly the value is bound to it.
package sealing

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Form is how values are bound to where they stand. Forms only move on: Column, Row, RowOnly.
type Form int

// The forms.
const (
	// Unknown is the form of a database that could not be asked yet. Nothing that has a form is written then: where the
	// older form is refused it could not be read again.
	Unknown Form = 0
	// Column writes values bound to their column alone, as release b0e8e26 does, and reads both kinds.
	Column Form = 1
	// Row writes values bound to their row, and reads both kinds.
	Row Form = 2
	// RowOnly writes values bound to their row, and refuses those that are bound to their column alone.
	RowOnly Form = 3
)

// String returns the name of the form.
func (f Form) String() string {
	switch f {
	case Column:
		return "COLUMN"
	case Row:
		return "ROW"
	case RowOnly:
		return "ROW_ONLY"
	case Unknown:
	}
	return "UNKNOWN"
}

// Older returns whether instances of release b0e8e26 may be running: only a database that said so permits what they
// write and read.
func (f Form) Older() bool { return f == Column }

// Mark is the first byte of a value that is bound to its row. A value that is bound to its column begins with 1, as
// Tink's ciphertexts do.
const Mark byte = 2

// Bound returns whether the value is bound to its row.
func Bound(sealed []byte) bool { return len(sealed) > 0 && sealed[0] == Mark }

// Weakest returns the form to be used by a process whose databases have these forms: it writes what all of them may
// hold, and refuses only what all of them refuse. Without any it is Unknown.
func Weakest(all ...Form) Form {
	if len(all) == 0 {
		return Unknown
	}
	weakest := all[0]
	for _, f := range all[1:] {
		weakest = min(weakest, f)
	}
	return weakest
}

// Place is where a sealed value stands: its column (or the purpose of a cache entry), and the values of the row's
// primary key and of every column by which the row is found. A value that was sealed for one place does not open in
// another. A place without keys has nothing that could be exchanged: its name alone says where it is (such as a name
// that holds the primary key).
type Place struct {
	name    string
	before  string
	keys    []string
	noAlert bool
}

// At returns the place in the column (database.table.column) of the row with these keys.
func At(column string, keys ...string) Place { return Place{name: column, before: column, keys: keys} }

// Cached returns the place of a cache entry. An entry of an older form that is refused there is made anew.
func Cached(purpose string, keys ...string) Place {
	return At("cache."+purpose, keys...).WithoutAlert()
}

// WithoutAlert returns the place where a value of an older form is refused without an alert.
func (p Place) WithoutAlert() Place { p.noAlert = true; return p }

// Formerly returns the place whose values of form Column are bound to the name.
func (p Place) Formerly(name string) Place { p.before = name; return p }

// And returns the place with one more key.
func (p Place) And(key string) Place {
	p.keys = append(append(make([]string, 0, len(p.keys)+1), p.keys...), key)
	return p
}

// String names the place for people. A key that is no text, such as a blind index, is shown by its first bytes, an id
// of 16 bytes whole.
func (p Place) String() string {
	parts := []string{p.name}
	for _, k := range p.keys {
		if strings.ContainsFunc(k, func(r rune) bool { return r < ' ' || r > '~' }) {
			if k = hex.EncodeToString([]byte(k)); len(k) > 32 {
				k = k[:16] + "…"
			}
		}
		parts = append(parts, k)
	}
	return strings.Join(parts, " ")
}

// Name returns the column or the purpose.
func (p Place) Name() string { return p.name }

// AlertsOff reports whether no alert is due when a value of an older form is refused.
func (p Place) AlertsOff() bool { return p.noAlert }

// Keyed reports whether there is something to bind values to besides the column.
func (p Place) Keyed() bool { return len(p.keys) > 0 }

// Column returns the associated data of values of form Column.
func (p Place) Column() []byte { return []byte(p.before) }

// Row returns the associated data of values of form Row: every part with its length in front, so that no two places
// have the same, behind a text with which no associated data of form Column begins.
func (p Place) Row() []byte {
	const head = "phonebill sealed at 1"
	size := len(head) + 1 + 4 + len(p.name)
	for _, k := range p.keys {
		size += 4 + len(k)
	}
	b := append(make([]byte, 0, size), head...)
	b = part(append(b, 0), p.name)
	for _, k := range p.keys {
		b = part(b, k)
	}
	return b
}

func part(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) //nolint:gosec // keys are far shorter than 4 GiB
}

// Batch is the result for some rows that were examined.
type Batch struct {
	Seen     int // rows; 0 at the end of the table
	Resealed int // rows that were of form Column
	// primary keys of rows of which a value does not open, or does not belong there; they stay as they are
	Unreadable []string
	Next       string // where to go on
}

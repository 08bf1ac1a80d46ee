// Package id holds the identifier of everything that phonebill stores: a UUID, made by the application as
// version 7 (ADR 27), so that ids sort by time of birth.
package id

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"
)

// ID is a UUID in its binary form; it converts to and from other [16]byte UUID types for free.
// The zero value is no id.
type ID [16]byte

// ErrMalformed is returned by Parse.
var ErrMalformed = errors.New("id: not a UUID")

// Parse reads the canonical form 018f….
func Parse(s string) (ID, error) {
	var out ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, ErrMalformed
	}
	raw, err := hex.DecodeString(s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:])
	if err != nil {
		return ID{}, ErrMalformed
	}
	copy(out[:], raw)
	return out, nil
}

// At returns the lowest version 7 id of that time (RFC 9562): ids made then or later are not below it. For the zero
// time it is the zero id.
func At(t time.Time) (i ID) {
	if t.IsZero() {
		return ID{}
	}
	binary.BigEndian.PutUint64(i[:8], uint64(max(0, t.UnixMilli()))<<16)
	i[6] = 0x70
	return i
}

// String returns the canonical form.
func (i ID) String() string {
	var b [36]byte
	hex.Encode(b[:8], i[:4])
	b[8] = '-'
	hex.Encode(b[9:13], i[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], i[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], i[8:10])
	b[23] = '-'
	hex.Encode(b[24:], i[10:])
	return string(b[:])
}

// MarshalText returns the canonical form.
func (i ID) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler: it reads what Parse accepts.
func (i *ID) UnmarshalText(text []byte) (err error) {
	*i, err = Parse(string(text))
	return err
}

// IsZero reports that there is no id.
func (i ID) IsZero() bool { return i == ID{} }

// Package idempotency lets a client repeat a request safely, by the Idempotency-Key header of the IETF draft
// (draft-ietf-httpapi-idempotency-key-header): the same key with the same payload is the same request for 24 h.
package idempotency

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
)

// Window is how long a key stands for its request; after it the key is new again (S-KEY-WINDOW).
const Window = 24 * time.Hour

// Header is the name of the header, and of the field in errors.
const Header = "Idempotency-Key"

const maxKey = 255

// Key is a digest of what the client gave, since a client may put anything into a key. At rest the digest is keyed in its turn: what can
// be guessed is found by its plain digest (ports.IdempotencyKeys). The zero value is no key.
type Key [sha256.Size]byte

// ParseKey reads the header: 1 to 255 visible ASCII characters, bare or as the quoted string that the draft asks for; both are the
// same key. A quote that stands at one end alone, and anything else, is a VALIDATION_ERROR on Idempotency-Key.
func ParseKey(header string) (Key, error) {
	const quote = `"`
	s := header
	if opened, closed := strings.HasPrefix(s, quote), strings.HasSuffix(s, quote); opened || closed {
		if !opened || !closed || len(s) < len(quote)*2 {
			return Key{}, fault.InvalidField(Header, "따옴표로 시작하면 따옴표로 끝나야 합니다")
		}
		s = s[1 : len(s)-1]
	}
	visible := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
	if s == "" || len(s) > maxKey || !visible {
		return Key{}, fault.InvalidField(Header, "공백 없는 영문, 숫자, 기호 1~255자여야 합니다")
	}
	return sha256.Sum256([]byte(s)), nil
}

// IsZero tells that there is no key.
func (k Key) IsZero() bool { return k == Key{} }

// Payload is what a request asks for, as a digest of its parsed fields: two ways of writing the same are the same. The fields are few and
// can be guessed (a line number), so at rest it is keyed like the key.
type Payload [sha256.Size]byte

// PayloadOf digests the fields in this order.
func PayloadOf(fields ...string) Payload {
	var all []byte
	for _, f := range fields {
		all = binary.BigEndian.AppendUint64(all, uint64(len(f)))
		all = append(all, f...)
	}
	return sha256.Sum256(all)
}

// Use is one use of a key: whose it is, for what, and the request it stands for. Keys of different users never meet.
type Use struct {
	User    auth.UserID
	Key     Key
	Payload Payload
	Request id.ID
	At      time.Time
}

// SeenBy is the first use as a store tells it to a later one: with the payload if both ask for the same, else without, for what is kept
// of a payload can only be compared.
func (u Use) SeenBy(later Use) Use {
	if u.Payload != later.Payload {
		u.Payload = Payload{}
	}
	return u
}

// Repeats judges a later use of the same key: nil when it asks for the same, else IDEMPOTENCY_KEY_REUSED.
func (u Use) Repeats(first Use) error {
	if u.Payload != first.Payload {
		return fault.New(fault.IdempotencyKeyReused)
	}
	return nil
}

// Optional is ParseKey of a header that may be absent.
func Optional(header *string) (Key, error) {
	if header == nil {
		return Key{}, nil
	}
	return ParseKey(*header)
}

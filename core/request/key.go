package request

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
)

// KeyWindow is how long a key stands for its request; after it the key is new again (S-KEY-WINDOW).
const KeyWindow = 24 * time.Hour

// KeyHeader is the name of the header, and of the field in errors. Its meaning is that of the IETF draft
// draft-ietf-httpapi-idempotency-key-header: the same key with the same payload is the same request.
const KeyHeader = "Idempotency-Key"

const maxKey = 255

// Key is a digest of an idempotency key, because a client may put anything into a key. A store keeps a keyed digest of
// it, so that a key that can be guessed cannot be looked up. The zero value is no key.
type Key [sha256.Size]byte

// ParseKey reads the header: 1 to 255 visible ASCII characters, bare or as the quoted string that the draft asks for;
// both forms are the same key. Anything else, also a quote at one end alone, is VALIDATION_ERROR on Idempotency-Key.
func ParseKey(header string) (Key, error) {
	const quote = `"`
	s := header
	if opened, closed := strings.HasPrefix(s, quote), strings.HasSuffix(s, quote); opened || closed {
		if !opened || !closed || len(s) < len(quote)*2 {
			return Key{}, fault.InvalidField(KeyHeader, "따옴표로 시작하면 따옴표로 끝나야 합니다")
		}
		s = s[1 : len(s)-1]
	}
	visible := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
	if s == "" || len(s) > maxKey || !visible {
		return Key{}, fault.InvalidField(KeyHeader, "공백 없는 영문, 숫자, 기호 1~255자여야 합니다")
	}
	return sha256.Sum256([]byte(s)), nil
}

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return k == Key{} }

// Payload is a digest of the parsed fields of a request, so that two spellings of one request are the same. The fields
// are few and can be guessed (a line number), so a store keeps a keyed digest of it.
type Payload [sha256.Size]byte

// PayloadOf returns the digest of the fields in this order.
func PayloadOf(fields ...string) Payload {
	var all []byte
	for _, f := range fields {
		all = binary.BigEndian.AppendUint64(all, uint64(len(f)))
		all = append(all, f...)
	}
	return sha256.Sum256(all)
}

// KeyUse is one use of a key: by which user, for which payload, and the request that it stands for. Keys of different
// users are different keys.
type KeyUse struct {
	User    auth.UserID
	Key     Key
	Payload Payload
	Request id.ID
	At      time.Time
}

// SeenBy returns the first use of a key as a store returns it to a later use: with the payload if both are for the same
// one, else without, because a keyed digest can only be compared.
func (u KeyUse) SeenBy(later KeyUse) KeyUse {
	if u.Payload != later.Payload {
		u.Payload = Payload{}
	}
	return u
}

// Repeats returns nil if the use repeats the first one, and IDEMPOTENCY_KEY_REUSED if its payload is another one.
func (u KeyUse) Repeats(first KeyUse) error {
	if u.Payload != first.Payload {
		return fault.New(fault.IdempotencyKeyReused)
	}
	return nil
}

// OptionalKey is ParseKey of a header that may be absent.
func OptionalKey(header *string) (Key, error) {
	if header == nil {
		return Key{}, nil
	}
	return ParseKey(*header)
}

package credentials

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"phonebill/core/fault"
	"phonebill/core/personal"
)

// HashParams are the cost of a hash; they are part of the hash.
type HashParams struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// DefaultHashParams is 19 MiB, 2 passes, 1 lane (S-HASH of docs/spec/numbers.md).
func DefaultHashParams() HashParams { return HashParams{MemoryKiB: 19 * 1024, Passes: 2, Lanes: 1} }

const (
	saltSize = 16
	keySize  = 32
	// queue is how long a login waits for its turn before it is asked to come again.
	queue = 3 * time.Second
	// retryAfter is the Retry-After of a full queue.
	retryAfter = 2 * time.Second
)

// slots returns how many hashes run at a time (S-HASH).
func slots() int { return max(1, runtime.NumCPU()/2) }

// Hasher implements ports.PasswordHasher in this process: at most max(1, cores/2) hashes at a time (S-HASH). It is safe
// for concurrent use.
type Hasher struct {
	params HashParams
	turns  chan struct{}
	dummy  personal.Secret
	work   func(job) []byte // the costly part
}

// job is one key to derive.
type job struct {
	HashParams
	Password, Salt []byte
}

func (j job) run() []byte {
	return argon2.IDKey(j.Password, j.Salt, j.Passes, j.MemoryKiB, j.Lanes, keySize)
}

// NewHasher returns a hasher that makes hashes with the given parameters.
func NewHasher(p HashParams) *Hasher {
	h := &Hasher{params: p, turns: make(chan struct{}, slots()), work: job.run}
	h.dummy = h.encode(make([]byte, saltSize), make([]byte, keySize))
	return h
}

// Hash returns $argon2id$v=19$m=…,t=…,p=…$salt$key; SERVICE_UNAVAILABLE when the queue does not move.
func (h *Hasher) Hash(ctx context.Context, password personal.Secret) (personal.Secret, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt)
	key, err := h.derive(ctx, norm.NFC.Bytes([]byte(password.Reveal())), salt, h.params)
	if err != nil {
		return personal.Secret{}, err
	}
	return h.encode(salt, key), nil
}

// Matches compares in constant time; the zero hash never matches and costs the same work. A password that was typed in
// another form than NFC is compared as it was typed as well: the hash may have been made elsewhere, of those bytes. It
// is stale then.
func (h *Hasher) Matches(ctx context.Context, hash, password personal.Secret) (ok, stale bool, err error) {
	known := hash.Reveal() != ""
	if !known {
		hash = h.dummy
	}
	p, salt, want, err := decode(hash.Reveal())
	if err != nil {
		return false, false, err
	}
	for n, spelling := range spellings(password) {
		got, err := h.derive(ctx, spelling, salt, p)
		if err != nil {
			return false, false, err
		}
		if subtle.ConstantTimeCompare(got, want) == 1 && known {
			return true, p != h.params || n > 0, nil
		}
		if p != h.params { // a hash that is cheaper than the current ones must not disclose that the id is known
			if _, err := h.derive(ctx, spelling, salt, h.params); err != nil {
				return false, false, err
			}
		}
	}
	return false, p != h.params, nil
}

// spellings returns the bytes that the password may have been hashed as: its NFC first.
func spellings(password personal.Secret) [][]byte {
	typed := []byte(password.Reveal())
	composed := norm.NFC.Bytes(typed)
	if bytes.Equal(composed, typed) {
		return [][]byte{composed}
	}
	return [][]byte{composed, typed}
}

func (h *Hasher) derive(ctx context.Context, password, salt []byte, p HashParams) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, queue)
	defer cancel()
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-ctx.Done():
		return nil, fault.New(fault.ServiceUnavailable).RetryIn(retryAfter).Because(ctx.Err())
	}
	return h.work(job{HashParams: p, Password: password, Salt: salt}), nil
}

func (h *Hasher) encode(salt, key []byte) personal.Secret {
	b64 := base64.RawStdEncoding.EncodeToString
	return personal.NewSecret(fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, h.params.MemoryKiB, h.params.Passes, h.params.Lanes, b64(salt), b64(key)))
}

// errHash hides the hash itself.
var errHash = errors.New("argon2: stored hash is malformed")

func decode(hash string) (p HashParams, salt, key []byte, err error) {
	parts := strings.Split(strings.TrimPrefix(hash, "$"), "$")
	if len(parts) != 5 || parts[0] != "argon2id" || parts[1] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, nil, errHash
	}
	if _, err := fmt.Sscanf(parts[2], "m=%d,t=%d,p=%d", &p.MemoryKiB, &p.Passes, &p.Lanes); err != nil {
		return p, nil, nil, errHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[3])
	key, err2 := base64.RawStdEncoding.DecodeString(parts[4])
	if err1 != nil || err2 != nil || len(key) != keySize || p.Passes == 0 || p.Lanes == 0 {
		return p, nil, nil, errHash
	}
	return p, salt, key, nil
}

package valkey

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	valkeygo "github.com/valkey-io/valkey-go"

	"phonebill/core/fault"
)

// How an entry is kept, and why nobody is told an old value.
//
// All that is cached of one line (one session, the plan list) is one hash under one key, so that it lives, expires and is evicted
// together, and one command touches one slot:
//
//	e     the epoch: what was told before it is invisible (decision 11)
//	g     a token that every drop makes new
//	…     one field per value: when it was told, then the sealed value
//
// Times are Unix nanoseconds in 20 digits, which compare as text.
//
// A hit needs the epoch beside the value and the value not older than it. On a miss the store is asked, and its answer is put on
// the shelf only if the token is still the one seen before asking: whatever dropped the entry meanwhile came after our question, so
// our answer may be the older one and is thrown away. A store's change is followed by a drop (or, for a copy told by KOS, by a put
// that loses against newer ones); a drop that the cache misses is owed (client.go). Values are only added to a hash that has
// been asked for since, so a late put cannot slip under an epoch that was evicted.
var (
	// KEYS: hash. ARGV: token seen ("" = no hash), field, value ("" = none), ttl in s.
	refillScript = valkeygo.NewLuaScript(`
local g = redis.call('HGET', KEYS[1], 'g')
if (g or '') ~= ARGV[1] then return 0 end
if not g then redis.call('HSET', KEYS[1], 'e', '` + zero + `', 'g', '0') end
if ARGV[3] ~= '' then
  local held = redis.call('HGET', KEYS[1], ARGV[2])
  if not held or string.sub(held, 1, 20) <= string.sub(ARGV[3], 1, 20) then redis.call('HSET', KEYS[1], ARGV[2], ARGV[3]) end
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1`)

	// KEYS: hash. ARGV: field, value, ttl in s.
	putScript = valkeygo.NewLuaScript(`
local e = redis.call('HGET', KEYS[1], 'e')
local told = string.sub(ARGV[2], 1, 20)
if not e or told < e then return 0 end
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and string.sub(held, 1, 20) > told then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1`)

	// KEYS: hash. ARGV: epoch, new token, ttl in s. An epoch never goes back.
	dropScript = valkeygo.NewLuaScript(`
local e = redis.call('HGET', KEYS[1], 'e')
local at = ARGV[1]
if e and e > at then at = e end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'e', at, 'g', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1`)
)

const (
	width = 20
	zero  = "00000000000000000000"
)

// stamp is a time as the cache keeps it; the zero time is before all others.
func stamp(t time.Time) string {
	if t.IsZero() || t.UnixNano() < 0 {
		return zero
	}
	return fmt.Sprintf("%0*d", width, t.UnixNano())
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

func dropArgs(epoch string, ttl time.Duration) []string {
	return []string{epoch, rand.Text(), seconds(ttl)}
}

// shelf keeps values of one kind.
type shelf[T any] struct {
	client *Client
	kind   string // for metrics
	ttl    time.Duration
	told   func(T) time.Time // when the value was told; the zero time where that means nothing
	seal   func(T) ([]byte, error)
	open   func([]byte) (T, error)
	log    *slog.Logger
}

// get answers from the cache, else what load answers, which is then kept.
func (s *shelf[T]) get(ctx context.Context, key, field string, load func() (T, error)) (T, error) {
	if !s.client.trusted(key) {
		s.count("miss")
		return load()
	}
	held, token, ok, err := s.read(ctx, key, field)
	if ok {
		s.count("hit")
		return held, nil
	}
	s.count("miss")
	v, failed := load()
	if err == nil && (failed == nil || errors.Is(failed, fault.New(fault.ResourceNotFound))) {
		s.refill(ctx, key, field, token, v, failed == nil)
	}
	return v, failed
}

// read is one round trip. token is what a refill must find again.
func (s *shelf[T]) read(ctx context.Context, key, field string) (v T, token string, ok bool, err error) {
	var found []valkeygo.ValkeyMessage
	err = s.client.use(ctx, s.log, func(ctx context.Context, conn valkeygo.Client) error {
		var err error
		found, err = conn.Do(ctx, conn.B().Hmget().Key(key).Field("e", "g", field).Build()).ToArray()
		return err
	})
	if err != nil || len(found) != 3 {
		s.count("trouble")
		return v, "", false, errors.Join(err, errShape(len(found)))
	}
	epoch, _ := found[0].ToString() // an absent field is ""
	token, _ = found[1].ToString()
	value, _ := found[2].ToString()
	if epoch == "" || len(value) < width || value[:width] < epoch {
		return v, token, false, nil
	}
	v, err = s.open([]byte(value[width:]))
	if err != nil { // not ours, or of a key that is gone
		s.count("trouble")
		s.drop(ctx, key, time.Time{})
		return v, "", false, err
	}
	return v, token, true, nil
}

func errShape(n int) error {
	if n == 3 {
		return nil
	}
	return errors.New("valkey: no answer of three fields")
}

func (s *shelf[T]) refill(ctx context.Context, key, field, token string, v T, some bool) {
	value := ""
	if some {
		sealed, err := s.sealed(v)
		if err != nil {
			return
		}
		value = sealed
	}
	err := s.client.use(ctx, s.log, func(ctx context.Context, conn valkeygo.Client) error {
		return refillScript.Exec(ctx, conn, []string{key}, []string{token, field, value, seconds(s.ttl)}).Error()
	})
	if err != nil { // at worst the entry is on the shelf, and good
		s.count("trouble")
	}
}

// put keeps a value that the store has just taken. The caller leaving does not leave an older one behind.
func (s *shelf[T]) put(ctx context.Context, key, field string, v T) {
	value, err := s.sealed(v)
	if err == nil {
		err = s.client.use(context.WithoutCancel(ctx), s.log, func(ctx context.Context, conn valkeygo.Client) error {
			return putScript.Exec(ctx, conn, []string{key}, []string{field, value, seconds(s.ttl)}).Error()
		})
	}
	if err != nil {
		s.count("trouble")
		s.client.owe(key, zero, s.ttl)
	}
}

// drop makes everything under the key that was told before the epoch invisible for good, and everything else for once.
func (s *shelf[T]) drop(ctx context.Context, key string, epoch time.Time) {
	err := s.client.use(context.WithoutCancel(ctx), s.log, func(ctx context.Context, conn valkeygo.Client) error {
		return dropScript.Exec(ctx, conn, []string{key}, dropArgs(stamp(epoch), s.ttl)).Error()
	})
	if err != nil {
		s.count("trouble")
		s.client.owe(key, stamp(epoch), s.ttl)
	}
}

func (s *shelf[T]) sealed(v T) (string, error) {
	sealed, err := s.seal(v)
	if err != nil {
		s.log.Error("a value cannot be sealed for the cache", slog.String("kind", s.kind), slog.Any("error", err))
		return "", err
	}
	return stamp(s.told(v)) + string(sealed), nil
}

func (s *shelf[T]) count(result string) { s.client.calls.WithLabelValues(s.kind, result).Inc() }

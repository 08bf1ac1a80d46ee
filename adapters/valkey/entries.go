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
	"phonebill/core/sealing"
)

// How an entry is stored, and why no caller gets an old value.
//
// All that is cached of one line (one session, the plan list) is one hash under one key, so that it lives, expires
// and is evicted together, and one command touches one slot:
//
//	g     a token, new in every new hash and after every drop
//	e     the epoch: what is from before it is hidden (ADR 6); absent while it is not known
//	…     one field per value: when KOS was asked for it, then the sealed value
//
// Times are Unix nanoseconds in 20 digits, which compare as text.
//
// A hit needs the epoch beside the value and the value not older than it. A reader that misses makes sure that there
// is a hash with a token, then reads the value and the epoch from the store, and caches both only if the token is
// still the same: whatever dropped, flushed or evicted the hash meanwhile came after the read began, so what was read
// may be older and is thrown away. A value just put into the store is cached only where the epoch is known; elsewhere
// it makes the token new, so that a reader that has read the store before it does not cache an older one.
//
// A store's change is followed by a drop, or, for a copy of KOS's answer, by a put that loses against newer ones. A
// drop that the cache misses is owed (client.go), and other processes learn of it from the store (raises.go).
var (
	// KEYS: hash. ARGV: token of a new hash, its ttl in s. It returns the token.
	openScript = valkeygo.NewLuaScript(`
if redis.call('HSETNX', KEYS[1], 'g', ARGV[1]) == 1 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return redis.call('HGET', KEYS[1], 'g')`)

	// KEYS: hash. ARGV: token, epoch, field, value ("" = none), ttl in s.
	refillScript = valkeygo.NewLuaScript(`
local found = redis.call('HMGET', KEYS[1], 'g', 'e', ARGV[3])
local g, e, held = found[1], found[2], found[3]
if g ~= ARGV[1] then return 0 end
if not e or e < ARGV[2] then redis.call('HSET', KEYS[1], 'e', ARGV[2]) end
if ARGV[4] ~= '' and not (held and string.sub(held, 1, 20) > string.sub(ARGV[4], 1, 20)) then
  redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
end
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 1`)

	// KEYS: hash. ARGV: field, value, new token, ttl in s.
	putScript = valkeygo.NewLuaScript(`
local found = redis.call('HMGET', KEYS[1], 'g', 'e', ARGV[1])
local g, e, held = found[1], found[2], found[3]
if not e then
  if g then redis.call('HSET', KEYS[1], 'g', ARGV[3]) end
  return 0
end
if held and string.sub(held, 1, 20) > string.sub(ARGV[2], 1, 20) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1`)

	// KEYS: hash. ARGV: epoch, new token, ttl in s, '1' = also when the epoch is known to be that or a newer one. An
	// epoch never goes back, and one that is not known stays so: there may be a newer one than this.
	dropScript = valkeygo.NewLuaScript(`
local e = redis.call('HGET', KEYS[1], 'e')
if e and e >= ARGV[1] and ARGV[4] ~= '1' then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'g', ARGV[2])
if e then
  if e < ARGV[1] then e = ARGV[1] end
  redis.call('HSET', KEYS[1], 'e', e)
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1`)
)

const (
	width   = 20
	zero    = "00000000000000000000"
	opening = time.Minute // a hash lives at least so long after it was opened: no read of the store takes longer
)

// stamp is a time as the cache stores it; the zero time is before all others.
func stamp(t time.Time) string {
	if t.IsZero() || t.UnixNano() < 0 {
		return zero
	}
	return fmt.Sprintf("%0*d", width, t.UnixNano())
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// drop is what a hash must not return any more.
type drop struct {
	epoch string // what is from before it, for good
	all   bool   // everything, once
	ttl   time.Duration
}

func (d drop) and(o drop) drop {
	return drop{epoch: max(d.epoch, o.epoch), all: d.all || o.all, ttl: max(d.ttl, o.ttl)}
}

// drop drops what the cache holds under the key.
func (c *Client) drop(ctx context.Context, log *slog.Logger, key string, d drop) error {
	all := "0"
	if d.all {
		all = "1"
	}
	_, err := use(ctx, c, log, key, func(ctx context.Context, conn valkeygo.Client) (int64, error) {
		return dropScript.Exec(ctx, conn, []string{key}, []string{d.epoch, rand.Text(), seconds(d.ttl), all}).AsInt64()
	})
	return err
}

// entries are the cached values of one kind.
type entries[T any] struct {
	client *Client
	kind   string // for metrics
	ttl    time.Duration
	asOf   func(T) time.Time // when KOS was asked for the value; the zero time where that means nothing
	seal   func(at sealing.Place, v T) ([]byte, error)
	open   func(at sealing.Place, sealed []byte) (T, error)
	log    *slog.Logger
}

// location is where a value lies, and what its sealed form is bound to.
type location[T any] struct {
	key, field string
	at         sealing.Place
	fits       func(T) error // an error when what opened there does not belong there; nil = everything that opens does
}

// errStamp is why an entry is not shown whose stored time is newer than its value.
var errStamp = errors.New("valkey: an entry claims another time than its value has")

// opened returns the value of an entry, which begins with the time that KOS stated it.
func (s *entries[T]) opened(on location[T], entry string) (T, error) {
	v, err := s.open(on.at, []byte(entry[width:]))
	if err == nil && on.fits != nil {
		err = on.fits(v)
	}
	if err == nil && entry[:width] > stamp(s.asOf(v)) {
		err = errStamp
	}
	return v, err
}

// origin reads the store behind the cache on a miss.
type origin[T any] struct {
	value func() (T, error)
	epoch func() (time.Time, error) // nil where there is none
}

// get reads the cache, and on a miss the store, whose value is then cached.
func (s *entries[T]) get(ctx context.Context, on location[T], from origin[T]) (T, error) {
	key := on.key
	if !s.client.trusted(key) {
		s.count("miss")
		return from.value()
	}
	began := time.Now()
	held, err := s.read(ctx, on)
	if err == nil && held.hit {
		s.count("hit")
		return held.value, nil
	}
	s.count("miss")
	left := s.client.cfg.Timeout - time.Since(began) // all calls share it: a slow cache costs its timeout once
	if err == nil && held.token == "" {
		err = spending(ctx, &left, func(ctx context.Context) (err error) {
			held.token, err = s.begin(ctx, key)
			return err
		})
	}
	v, failed := from.value()
	if err != nil || failed != nil && !errors.Is(failed, fault.New(fault.ResourceNotFound)) {
		return v, failed
	}
	var epoch time.Time
	if !held.known && from.epoch != nil {
		if epoch, err = from.epoch(); err != nil {
			return v, failed // the epoch is not known: nothing is cached
		}
	}
	_ = spending(ctx, &left, func(ctx context.Context) error {
		s.refill(ctx, on, held.token, stamp(epoch), v, failed == nil)
		return nil
	})
	return v, failed
}

// spending makes one more cache call, within the rest of the timeout.
func spending(ctx context.Context, left *time.Duration, ask func(context.Context) error) error {
	if *left <= 0 {
		return context.DeadlineExceeded
	}
	ctx, cancel := context.WithTimeout(ctx, *left)
	defer cancel()
	began := time.Now()
	defer func() { *left -= time.Since(began) }()
	return ask(ctx)
}

// entry is what the cache holds of a value.
type entry[T any] struct {
	value T
	hit   bool
	known bool   // the epoch is
	token string // for a refill; "" when there is no hash
}

// read is one round trip.
func (s *entries[T]) read(ctx context.Context, on location[T]) (entry[T], error) {
	found, err := use(ctx, s.client, s.log, on.key,
		func(ctx context.Context, conn valkeygo.Client) ([]valkeygo.ValkeyMessage, error) {
			return conn.Do(ctx, conn.B().Hmget().Key(on.key).Field("g", "e", on.field).Build()).ToArray()
		})
	if err != nil || len(found) != 3 {
		s.count("trouble")
		return entry[T]{}, errors.Join(err, errShape(len(found)))
	}
	token, _ := found[0].ToString() // an absent field is ""
	epoch, _ := found[1].ToString()
	value, _ := found[2].ToString()
	e := entry[T]{token: token, known: epoch != ""}
	if !e.known || len(value) < width || value[:width] < epoch {
		return e, nil
	}
	e.value, err = s.opened(on, value)
	if err != nil { // not ours, or of a deleted key, or of another line
		s.count("trouble")
		s.forget(ctx, on.key)
		return entry[T]{}, err
	}
	e.hit = true
	return e, nil
}

func errShape(n int) error {
	if n == 3 {
		return nil
	}
	return errors.New("valkey: no answer of three fields")
}

// begin returns the token of the hash, which is made if there is none.
func (s *entries[T]) begin(ctx context.Context, key string) (string, error) {
	token, err := use(ctx, s.client, s.log, key, func(ctx context.Context, conn valkeygo.Client) (string, error) {
		return openScript.Exec(ctx, conn, []string{key}, []string{rand.Text(), seconds(opening)}).ToString()
	})
	if err != nil {
		s.count("trouble")
	}
	return token, err
}

func (s *entries[T]) refill(ctx context.Context, on location[T], token, epoch string, v T, some bool) {
	value := ""
	if some {
		sealed, err := s.sealed(on.at, v)
		if err != nil {
			return
		}
		value = sealed
	}
	_, err := use(ctx, s.client, s.log, on.key, func(ctx context.Context, conn valkeygo.Client) (int64, error) {
		return refillScript.Exec(ctx, conn, []string{on.key},
			[]string{token, epoch, on.field, value, seconds(s.ttl)}).AsInt64()
	})
	if err != nil { // at worst the value is cached, and good
		s.count("trouble")
	}
}

// put caches a value that was just stored. When the caller's context ends no older value stays behind.
func (s *entries[T]) put(ctx context.Context, on location[T], v T) {
	value, err := s.sealed(on.at, v)
	if err == nil {
		_, err = use(context.WithoutCancel(ctx), s.client, s.log, on.key,
			func(ctx context.Context, conn valkeygo.Client) (int64, error) {
				return putScript.Exec(ctx, conn, []string{on.key}, []string{on.field, value, rand.Text(), seconds(s.ttl)}).AsInt64()
			})
	}
	if err != nil {
		s.count("trouble")
		s.client.owe(on.key, drop{epoch: zero, all: true, ttl: s.ttl})
	}
}

// forget makes the next reader of anything under the key read the store.
func (s *entries[T]) forget(ctx context.Context, key string) {
	_ = s.drop(ctx, key, drop{epoch: zero, all: true, ttl: s.ttl})
}

// drop deletes what is cached under the key, or owes that and returns why. It continues when the caller's context ends.
func (s *entries[T]) drop(ctx context.Context, key string, d drop) error {
	err := s.client.drop(context.WithoutCancel(ctx), s.log, key, d)
	if err != nil {
		s.count("trouble")
		s.client.owe(key, d)
	}
	return err
}

func (s *entries[T]) sealed(at sealing.Place, v T) (string, error) {
	sealed, err := s.seal(at, v)
	if err != nil {
		s.log.Error("a value cannot be sealed for the cache", slog.String("kind", s.kind), slog.Any("error", err))
		return "", err
	}
	return stamp(s.asOf(v)) + string(sealed), nil
}

func (s *entries[T]) count(result string) { s.client.calls.WithLabelValues(s.kind, result).Inc() }

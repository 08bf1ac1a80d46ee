package valkey

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"

	valkeygo "github.com/valkey-io/valkey-go"

	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/ports"
)

// How a flight is kept: one hash per subject.
//
//	t	the token of who asks; absent when nobody does
//	u	until when he may, or until when the note holds, by the cache's clock
//	r	the note: KOS's refusal; absent for none
//	n	failures in a row
//	a	when KOS said it, by the clock of who asked
//
// A token is random, so a late holder does not have that of his successor. The hash outlives u: who lands late finds his lease unless it was
// given to another, and failures in a row are not forgotten when their rest is over, nor when a lease runs out.
var (
	// KEYS: hash. ARGV: token, lease, how long the hash outlives it; both in ms. It answers whose turn it is, for
	// how long yet in ms, failures in a row, refusal, when KOS said it.
	beginScript = valkeygo.NewLuaScript(clock + `
local h = redis.call('HMGET', KEYS[1], 't', 'u', 'r', 'n', 'a')
local token, left, refusal, failures, at = h[1], tonumber(h[2] or '0') - now, h[3] or '', h[4] or '0', h[5] or ''
local function no(state) return {state, string.format('%.0f', left), failures, refusal, at} end
if left > 0 and token then return no('theirs') end
if left > 0 and refusal ~= '' then return no('refused') end
if left > 0 and failures ~= '0' then return no('resting') end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 't', ARGV[1], 'u', string.format('%.0f', now + ARGV[2]), 'n', failures)
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ARGV[2] + ARGV[3]))
return {'mine', '0', failures, '', ''}`)

	// KEYS: hash. ARGV: token, refusal, failures, when it was said, for how long the note holds, how long the hash outlives it; both in ms.
	landScript = valkeygo.NewLuaScript(clock + `
if redis.call('HGET', KEYS[1], 't') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] == '' and ARGV[3] == '0' then return 1 end
redis.call('HSET', KEYS[1], 'u', string.format('%.0f', now + ARGV[5]), 'r', ARGV[2], 'n', ARGV[3], 'a', ARGV[4])
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ARGV[5] + ARGV[6]))
return 1`)
)

// clock is the cache's, in ms, the same for all instances. A Lua number holds it exactly.
const clock = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)`

// remembered is how long failures in a row are known beyond the rest they caused.
const remembered = time.Minute

type flights struct {
	client *Client
	vault  ports.Vault
	log    *slog.Logger
}

// NewFlights keeps flights in the cache, so that of all instances one asks. While the cache is slow or away its methods err, each within
// 50 ms. A Flight's Until is by this process's clock, its At by that of whoever asked KOS. Metrics count a turn given as a miss, a turn
// refused as a hit.
func NewFlights(c *Client, vault ports.Vault, log *slog.Logger) ports.Flights {
	return &flights{client: c, vault: vault, log: log}
}

// key names a subject by its blind index, never by the number (decision 24).
func (f *flights) key(s freshness.Subject) string {
	tag := plansTag
	if !s.Line.IsZero() {
		tag = lineTag(f.vault.Index(ports.LineIndex, s.Line.Digits()))
	}
	name := []string{f.client.cfg.Namespace, "flight", "v1", tag, string(s.Kind)}
	if !s.Month.IsZero() {
		name = append(name, s.Month.Compact())
	}
	return strings.Join(name, ":")
}

// Begin takes the turn, or tells why not.
func (f *flights) Begin(ctx context.Context, s freshness.Subject, lease time.Duration) (freshness.Flight, error) {
	token, key := rand.Text(), f.key(s)
	held, err := use(ctx, f.client, f.log, key, func(ctx context.Context, conn valkeygo.Client) ([]string, error) {
		return beginScript.Exec(ctx, conn, []string{key}, []string{token, millis(lease), millis(remembered)}).AsStrSlice()
	})
	var flight freshness.Flight
	if err == nil {
		flight, err = read(held, token, time.Now())
	}
	switch {
	case err != nil:
		f.count("trouble")
	case flight.State == freshness.Mine:
		f.count("miss")
	default:
		f.count("hit")
	}
	return flight, err
}

var errFlight = errors.New("valkey: a flight cannot be read")

// read reads what beginScript answers.
func read(held []string, token string, now time.Time) (freshness.Flight, error) {
	const words = 5
	if len(held) != words {
		return freshness.Flight{}, errFlight
	}
	left, err := strconv.ParseInt(held[1], 10, 64)
	failures, err2 := strconv.Atoi(held[2])
	at, until := instant(held[4]), now.Add(time.Duration(left)*time.Millisecond)
	switch {
	case err != nil || err2 != nil:
		return freshness.Flight{}, errFlight
	case held[0] == "mine":
		return freshness.Flight{State: freshness.Mine, Token: token, Failures: failures}, nil
	case held[0] == "theirs":
		return freshness.Flight{State: freshness.Theirs, Until: until}, nil
	case held[0] == "refused":
		return freshness.Flight{State: freshness.Refused, Refusal: fault.Code(held[3]), At: at, Until: until}, nil
	case held[0] == "resting":
		return freshness.Flight{State: freshness.Resting, Failures: failures, At: at, Until: until}, nil
	}
	return freshness.Flight{}, errFlight
}

// instant reads a stamp.
func instant(stamp string) time.Time {
	if at, err := strconv.ParseInt(stamp, 10, 64); err == nil && at != 0 {
		return time.Unix(0, at).UTC()
	}
	return time.Time{}
}

// Land gives the turn back, also for a caller who has gone: others are waiting for it.
func (f *flights) Land(ctx context.Context, s freshness.Subject, token string, l freshness.Landing) error {
	key := f.key(s)
	_, err := use(context.WithoutCancel(ctx), f.client, f.log, key, func(ctx context.Context, conn valkeygo.Client) (int64, error) {
		return landScript.Exec(ctx, conn, []string{key}, []string{
			token, string(l.Refusal), strconv.Itoa(l.Failures), stamp(l.At), millis(l.For), millis(remembered),
		}).AsInt64()
	})
	if err != nil {
		f.count("trouble")
	}
	return err
}

func (f *flights) count(result string) { f.client.calls.WithLabelValues("flight", result).Inc() }

// millis rounds up: a lease of less than a millisecond is one.
func millis(d time.Duration) string {
	return strconv.FormatInt((max(d, 0) + time.Millisecond - 1).Milliseconds(), 10)
}

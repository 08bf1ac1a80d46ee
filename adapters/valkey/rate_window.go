package valkey

import (
	"context"
	"crypto/sha1" //nolint:gosec // the server names scripts by it
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"

	valkeygo "github.com/valkey-io/valkey-go"

	"phonebill/core/ratelimit"
)

// rateLua is ratelimit.Window.Apply in one step. The window is a hash: the number of a slot, and how many requests
// count in it; and for each sender, after an s, the number of its last trip, what it was granted, and in which slot.
// Times are whole microseconds of the cache's own clock, which a Lua number holds exactly.
//
// KEYS: window. ARGV: length of a slot, slots that count before the current one, quota, requests to count anyhow,
// unused units to take back, the slot of these, requests that want to pass, the time (0: the cache's own), the sender,
// the number of its trip (0: none), and in pairs how many slots ago how many requests have passed. It returns how many
// may pass, how many count, the current slot, and when the oldest slot is over (0: none counts).
const rateLua = `
local length, keep, quota, charge = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local back, backSlot, want, now = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local slot = math.floor(now / length)
local sender, number, known = 's' .. ARGV[9], ARGV[10], false
local before, beforeSlot = 0, 0
if number ~= '0' then
  local last = redis.call('HGET', KEYS[1], sender)
  if last then
    local n, g, s = string.match(last, '(%d+):(%d+):(%d+)')
    if n == number then known, before, beforeSlot = true, tonumber(g), tonumber(s) end
  end
end
if known then
  charge, back, want = 0, 0, 0
else
  for i = 11, #ARGV, 2 do
    redis.call('HINCRBY', KEYS[1], string.format('%.0f', slot - tonumber(ARGV[i])), ARGV[i + 1])
  end
end
local all, used, oldest = redis.call('HGETALL', KEYS[1]), 0, slot
for i = 1, #all, 2 do
  local at, n = tonumber(all[i]), tonumber(all[i + 1])
  if at then
    if back > 0 and at == backSlot then
      n = math.max(0, n - back)
      redis.call('HSET', KEYS[1], all[i], n)
    end
    if at < slot - keep or n == 0 then
      redis.call('HDEL', KEYS[1], all[i])
    else
      used = used + n
      if at < oldest then oldest = at end
    end
  end
end
local granted = math.max(0, math.min(want, quota - used - charge))
local added = charge + granted
used = used + added
if added > 0 then redis.call('HINCRBY', KEYS[1], string.format('%.0f', slot), added) end
if known then
  granted, slot = before, beforeSlot
elseif number ~= '0' then
  redis.call('HSET', KEYS[1], sender, string.format('%s:%.0f:%.0f', number, granted, slot))
end
if added > 0 or number ~= '0' or #ARGV > 10 then
  redis.call('PEXPIRE', KEYS[1], math.ceil((keep + 2) * length / 1000))
end
local free = 0
if used > 0 then free = (oldest + keep + 1) * length - now end
return {granted, used, slot, free}`

var (
	rateScript = valkeygo.NewLuaScript(rateLua)
	rateSHA    = func() string {
		sum := sha1.Sum([]byte(rateLua)) //nolint:gosec // see above
		return hex.EncodeToString(sum[:])
	}()
)

// state is what the script returns.
type state ratelimit.State

func rateArguments(p ratelimit.Policy, t ratelimit.Trip, now int64) []string {
	s := p.Slots()
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	all := []string{
		number(s.Length.Microseconds()), number(s.Keep), number(int64(t.Quota)), number(int64(t.Charge)),
		number(int64(t.Back)), number(t.BackSlot), number(int64(t.Want)), number(now), t.Sender, number(t.Number),
	}
	for _, e := range t.Earlier {
		all = append(all, number(e.Slots), number(int64(e.Count)))
	}
	return all
}

func readState(result valkeygo.ValkeyResult) (state, error) {
	n, err := result.AsIntSlice()
	if err != nil {
		return state{}, err
	}
	const values = 4
	if len(n) != values || n[0] < 0 || n[1] < 0 || max(n[0], n[1]) > math.MaxInt32 {
		return state{}, fmt.Errorf("valkey: a rate window returned %v", n)
	}
	return state{
		Granted: int(n[0]), Used: int(n[1]), Slot: n[2], Free: time.Duration(n[3]) * time.Microsecond,
	}, nil
}

// settleBatch is how many trips go to the cache at once: they are behind requests, and the cache has other work.
const settleBatch = 256

// settling is a trip in the background.
type settling struct {
	of     *limited
	policy ratelimit.Policy
	trip   ratelimit.Trip
}

// settle makes the trips that are due. When the cache is in trouble the rest of its part waits for the next time.
func (r *RateLimiter) settle(ctx context.Context) {
	if r.client == nil {
		return
	}
	r.mu.Lock()
	all := r.toSettle
	r.toSettle = nil
	r.mu.Unlock()
	var batches [parts][]settling
	var trouble [parts]bool
	send := func(part int) {
		if len(batches[part]) > 0 {
			trouble[part] = r.settleSome(ctx, batches[part]) != nil
			batches[part] = batches[part][:0]
		}
	}
	later := all[:0]
	for _, l := range all {
		part := r.client.part(l.key)
		listed := true
		if !trouble[part] {
			var s settling
			var due bool
			if s, due, listed = r.due(l); due {
				batches[part] = append(batches[part], s)
			}
		}
		if listed {
			later = append(later, l)
		}
		if len(batches[part]) == settleBatch {
			send(part)
		}
	}
	for part := range batches {
		send(part)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.toSettle = append(later, r.toSettle...)
}

// due begins the entry's trip when one is due and none is under way. listed is false when there is nothing to settle,
// now or later; else the entry stays on the list.
func (r *RateLimiter) due(l *limited) (s settling, due, listed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case l.trip != nil:
		return settling{}, false, true
	case l.bucket.Due(now):
		return settling{l, l.policy, r.begin(l, l.policy, now, 0)}, true, true
	default:
		l.listed = l.bucket.Pending()
		return settling{}, false, l.listed
	}
}

// settleSome makes trips of one part of the cache in one pipeline.
func (r *RateLimiter) settleSome(ctx context.Context, all []settling) error {
	states := make([]state, len(all))
	got, err := use(ctx, r.client, r.log, all[0].of.key, func(ctx context.Context, c valkeygo.Client) ([]state, error) {
		commands := make(valkeygo.Commands, len(all))
		for n, s := range all {
			commands[n] = c.B().Evalsha().Sha1(rateSHA).Numkeys(1).Key(s.of.key).
				Arg(rateArguments(s.policy, s.trip, 0)...).Build()
		}
		made := make([]state, len(all))
		for n, result := range c.DoMulti(ctx, commands...) {
			if refused, ok := valkeygo.IsValkeyErr(result.Error()); ok && refused.IsNoScript() {
				s := all[n]
				result = rateScript.Exec(ctx, c, []string{s.of.key}, rateArguments(s.policy, s.trip, 0))
			}
			var err error
			if made[n], err = readState(result); err != nil {
				return nil, err
			}
		}
		return made, nil
	})
	if err == nil {
		states = got
	}
	for n, s := range all {
		s.of.mu.Lock()
		s.of.end(s.policy, s.trip, states[n], err)
		s.of.mu.Unlock()
		r.counted("background", err)
	}
	return err
}

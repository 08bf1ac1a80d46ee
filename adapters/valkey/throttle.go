package valkey

import (
	"context"
	"encoding/hex"
	"log/slog"
	"strconv"
	"time"

	valkeygo "github.com/valkey-io/valkey-go"

	"phonebill/core/throttle"
	"phonebill/ports"
)

const throttlePurpose = "cache:throttle"

// throttleScript is throttle.Rate.Take in one step. All numbers are whole microseconds, which a Lua number holds
// exactly.
//
// KEYS: bucket. ARGV: now, interval of one call, window of a full bucket. It returns 0, or how long to wait.
var throttleScript = valkeygo.NewLuaScript(`
local now, interval, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = tonumber(redis.call('GET', KEYS[1]) or '0')
if tat < now then tat = now end
tat = tat + interval
local wait = tat - window - now
if wait > 0 then return wait end
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1)
return 0`)

// Throttle implements ports.Throttle: one bucket per caller over all instances. While the cache is slow or not
// available each instance counts in memory, for itself.
type Throttle struct {
	client *Client
	vault  ports.Vault
	own    throttle.Buckets
	log    *slog.Logger
}

var _ ports.Throttle = (*Throttle)(nil)

// NewThrottle keeps its buckets in the cache, under keyed hashes.
func NewThrottle(c *Client, vault ports.Vault, log *slog.Logger) *Throttle {
	return &Throttle{client: c, vault: vault, log: log}
}

// Take takes one call from the caller's bucket; it costs less than 50 ms.
func (t *Throttle) Take(
	ctx context.Context, key string, r throttle.Rate, now time.Time,
) (ok bool, retryIn time.Duration) {
	if r.PerMinute == 0 {
		return true, 0
	}
	hashed := hex.EncodeToString(t.vault.Index(throttlePurpose, key))
	bucket := t.client.cfg.Namespace + ":throttle:v1:{" + hashed + "}"
	wait, err := use(ctx, t.client, t.log, bucket, func(ctx context.Context, conn valkeygo.Client) (int64, error) {
		return throttleScript.Exec(ctx, conn, []string{bucket},
			[]string{micros(time.Duration(now.UnixNano())), micros(r.Interval()), micros(r.Window())}).AsInt64()
	})
	if err != nil {
		t.client.calls.WithLabelValues("throttle", "trouble").Inc()
		return t.own.Take(hashed, r, now)
	}
	return wait == 0, time.Duration(wait) * time.Microsecond
}

func micros(d time.Duration) string { return strconv.FormatInt(d.Microseconds(), 10) }

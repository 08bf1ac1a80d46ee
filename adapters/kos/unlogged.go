package kos

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"phonebill/core/alert"
	"phonebill/core/audit"
)

const (
	maxUnlogged   = 16 << 20  // bytes of requests and answers: some 8,000 calls, more than an hour of all of KOS's
	maxUnloggedOf = time.Hour // what the log has not taken by then it refuses
	logAgain      = 5 * time.Second
)

// unlogged are calls that were made and are not in the call log yet, oldest first: an answer does not wait for a database in trouble. A
// process that is killed loses them, the database away or not. Safe for concurrent use.
type unlogged struct {
	mu    sync.Mutex
	calls []audit.Call
	bytes int
}

// full is the size of the call here; the rest of a call is small.
func full(c audit.Call) int { return 256 + len(c.Request) + len(c.Answer) }

// keep takes the call in, unless there is no room.
func (u *unlogged) keep(c audit.Call) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bytes+full(c) > maxUnlogged {
		return false
	}
	u.calls, u.bytes = append(u.calls, c), u.bytes+full(c)
	return true
}

// first is the call that waits longest. It stays here until it is dropped.
func (u *unlogged) first() (c audit.Call, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.calls) == 0 {
		return c, false
	}
	return u.calls[0], true
}

// drop forgets the first call.
func (u *unlogged) drop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes -= full(u.calls[0])
	if u.calls = u.calls[1:]; len(u.calls) == 0 {
		u.calls = nil
	}
}

// record writes the call log. A call that was made is never undone by a log that is not writable, least of all a change; where others wait
// for the log already, this one waits behind them instead of holding its answer up.
func (c *Client) record(ctx context.Context, entry audit.Call) {
	var err error
	if _, waiting := c.unlogged.first(); !waiting {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxLogging)
		defer cancel()
		if err = c.deps.Log.Append(ctx, entry); err == nil {
			return
		}
		c.deps.Logger.WarnContext(ctx, "the call log cannot be written: the call is kept and written later",
			slog.String("operation", entry.Operation), slog.String("result", entry.Result), slog.Any("error", err))
	}
	if !c.unlogged.keep(entry) {
		c.lost(ctx, entry, "there is no room to keep it")
	}
}

// lost says aloud that a call is not in the log and will not be.
func (c *Client) lost(ctx context.Context, entry audit.Call, why string) {
	c.metrics.unlogged.Inc()
	c.deps.Logger.ErrorContext(ctx, "a call that was made is not in the call log", slog.String("operation", entry.Operation),
		slog.String("result", entry.Result), slog.String("why", why))
	c.alert(ctx, alert.CallUnlogged, entry.Operation, "a call that was made is not in the call log: "+entry.Result)
}

// LogKept writes calls that the log did not take when they were made, and answers how many it took now; what it does not take ends it, for
// that is the database's trouble, not the call's. A call is kept for an hour. One worker calls it over and over, and the process once more
// when that worker has ended.
func (c *Client) LogKept(ctx context.Context) (logged int, err error) {
	ctx, cancel := context.WithTimeout(ctx, logAgain)
	defer cancel()
	for {
		entry, ok := c.unlogged.first()
		if !ok {
			return logged, nil
		}
		err := c.deps.Log.Append(ctx, entry)
		switch {
		case err == nil:
			logged++
		case c.deps.Now().Sub(entry.AskedAt) > maxUnloggedOf:
			c.lost(ctx, entry, "the log has not taken it for an hour")
		default:
			return logged, err
		}
		c.unlogged.drop()
	}
}

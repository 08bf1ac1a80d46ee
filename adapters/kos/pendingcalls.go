package kos

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"phonebill/core/audit"
	"phonebill/core/operations"
)

const (
	maxPendingBytes = 16 << 20  // of requests and answers: some 8,000 calls, more than an hour of all calls to KOS
	maxPendingAge   = time.Hour // a call that the log has not taken by then is given up
	rewriteTimeout  = 5 * time.Second
)

// pendingCalls are calls that were made and are not in the call log yet, oldest first: an answer does not wait for a
// database that fails. A process that is killed loses them. It is safe for concurrent use.
type pendingCalls struct {
	mu    sync.Mutex
	calls []audit.Call
	bytes int
}

// sizeOf returns about how much memory the call takes.
func sizeOf(c audit.Call) int { return 256 + len(c.Request) + len(c.Answer) }

// add appends the call and returns true, or returns false when there is no room.
func (p *pendingCalls) add(c audit.Call) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bytes+sizeOf(c) > maxPendingBytes {
		return false
	}
	p.calls, p.bytes = append(p.calls, c), p.bytes+sizeOf(c)
	return true
}

// oldest returns the oldest call without removing it; ok is false when there is none.
func (p *pendingCalls) oldest() (c audit.Call, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.calls) == 0 {
		return c, false
	}
	return p.calls[0], true
}

// removeOldest removes the oldest call.
func (p *pendingCalls) removeOldest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes -= sizeOf(p.calls[0])
	if p.calls = p.calls[1:]; len(p.calls) == 0 {
		p.calls = nil
	}
}

// record writes the call log. A call that was made is never undone because the log cannot be written, least of all a
// change: the entry is kept and written later. When other calls are pending already, this one is appended to them at
// once instead of delaying its answer.
func (c *Client) record(ctx context.Context, entry audit.Call) {
	var err error
	if _, waiting := c.pending.oldest(); !waiting {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logTimeout)
		defer cancel()
		if err = c.deps.Log.Append(ctx, entry); err == nil {
			return
		}
		c.deps.Logger.WarnContext(ctx, "the call log cannot be written: the call is kept and written later",
			slog.String("operation", entry.Operation), slog.String("result", entry.Result), slog.Any("error", err))
	}
	if !c.pending.add(entry) {
		c.reportUnlogged(ctx, entry, "there is no room to keep it")
	}
}

// reportUnlogged counts, logs and alerts that a call is not in the log and will not be.
func (c *Client) reportUnlogged(ctx context.Context, entry audit.Call, why string) {
	c.metrics.unlogged.Inc()
	c.deps.Logger.ErrorContext(ctx, "a call that was made is not in the call log",
		slog.String("operation", entry.Operation), slog.String("result", entry.Result), slog.String("why", why))
	c.alert(ctx, operations.CallUnlogged, entry.Operation, "a call that was made is not in the call log: "+entry.Result)
}

// WritePendingCalls writes calls that the log did not take when they were made, oldest first, and returns how many it
// wrote. It stops with the log's error at the first call that the log does not take; after an hour such a call is given
// up and reported. One worker calls it over and over, and the process once more when that worker has ended.
func (c *Client) WritePendingCalls(ctx context.Context) (written int, err error) {
	ctx, cancel := context.WithTimeout(ctx, rewriteTimeout)
	defer cancel()
	for {
		entry, ok := c.pending.oldest()
		if !ok {
			return written, nil
		}
		err := c.deps.Log.Append(ctx, entry)
		switch {
		case err == nil:
			written++
		case c.deps.Now().Sub(entry.AskedAt) > maxPendingAge:
			c.reportUnlogged(ctx, entry, "the log has not taken it for an hour")
		default:
			return written, err
		}
		c.pending.removeOldest()
	}
}

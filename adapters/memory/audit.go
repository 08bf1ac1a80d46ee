package memory

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"sync"

	"phonebill/core/audit"
	"phonebill/core/fault"
	"phonebill/core/id"
)

// AuditTrail implements ports.AuditTrail; Log returns logs that write into it.
type AuditTrail struct {
	mu          sync.Mutex
	rows        []audit.Row
	checkpoints []audit.Checkpoint
}

// AuditLog implements ports.AuditLog: one writer's chain in a trail.
type AuditLog struct {
	writer id.ID
	trail  *AuditTrail
	end    audit.Chain
}

// Log begins the chain of a writer, whose rows are keyed.
func (t *AuditTrail) Log(writer id.ID) *AuditLog {
	return &AuditLog{writer: writer, trail: t, end: audit.Chain{}.WithKey(AuditKeys(writer))}
}

// OldLog begins the chain of a writer as release b0e8e26 writes it, without a key.
func (t *AuditTrail) OldLog(writer id.ID) *AuditLog { return &AuditLog{writer: writer, trail: t} }

// AuditKeys returns the keys of writers.
func AuditKeys(writer id.ID) []byte {
	sum := sha256.Sum256(append([]byte("memory audit key "), writer[:]...))
	return sum[:]
}

// Put adds a row as it is.
func (t *AuditTrail) Put(r audit.Row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, r)
}

// Append adds the entry to the chain.
func (l *AuditLog) Append(_ context.Context, e audit.Entry) error {
	l.trail.mu.Lock()
	defer l.trail.mu.Unlock()
	row := l.end.Next(l.writer, e)
	l.trail.rows = append(l.trail.rows, row)
	return l.end.Follow(row)
}

// Entries returns a copy of everything appended, oldest first.
func (t *AuditTrail) Entries() []audit.Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]audit.Entry, len(t.rows))
	for i, r := range t.rows {
		all[i] = r.Entry
	}
	return all
}

// Rows yields every row, writer by writer.
func (t *AuditTrail) Rows(_ context.Context, yield func(audit.Row) error) error {
	t.mu.Lock()
	rows := slices.Clone(t.rows)
	t.mu.Unlock()
	slices.SortStableFunc(rows, func(a, b audit.Row) int { return bytes.Compare(a.Writer[:], b.Writer[:]) })
	for _, r := range rows {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

// RowsOf yields the rows of one chain.
func (t *AuditTrail) RowsOf(ctx context.Context, writer id.ID, after int, yield func(audit.Row) error) error {
	return t.Rows(ctx, func(r audit.Row) error {
		if r.Writer != writer || r.Seq <= after {
			return nil
		}
		return yield(r)
	})
}

// Heads returns the last row of every chain.
func (t *AuditTrail) Heads(ctx context.Context) ([]audit.Head, error) {
	var heads []audit.Head
	err := t.Rows(ctx, func(r audit.Row) error {
		if n := len(heads); n > 0 && heads[n-1].Writer == r.Writer {
			heads = heads[:n-1]
		}
		heads = append(heads, audit.Head{Writer: r.Writer, Seq: r.Seq, Hash: r.Hash})
		return nil
	})
	return heads, err
}

// Checkpoints returns those above after.
func (t *AuditTrail) Checkpoints(_ context.Context, after int) ([]audit.Checkpoint, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(t.checkpoints), func(c audit.Checkpoint) bool { return c.Seq <= after }), nil
}

// AddCheckpoint stores it unless its number is taken.
func (t *AuditTrail) AddCheckpoint(_ context.Context, c audit.Checkpoint) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.ContainsFunc(t.checkpoints, func(have audit.Checkpoint) bool { return have.Seq == c.Seq }) {
		return fault.New(fault.StateConflict)
	}
	t.checkpoints = append(t.checkpoints, c)
	return nil
}

// Signer implements ports.Signer with a keyed hash; its zero value has the key of the name "".
type Signer struct{ KeyID string }

// Sign signs.
func (s Signer) Sign(_ context.Context, statement []byte) (string, []byte, error) {
	return s.KeyID, s.mac(statement), nil
}

// Signed knows its own signatures.
func (s Signer) Signed(_ context.Context, keyID string, statement, signature []byte) (bool, error) {
	return keyID == s.KeyID && hmac.Equal(signature, s.mac(statement)), nil
}

func (s Signer) mac(statement []byte) []byte {
	mac := hmac.New(sha256.New, []byte("memory "+s.KeyID))
	mac.Write(statement)
	return mac.Sum(nil)
}

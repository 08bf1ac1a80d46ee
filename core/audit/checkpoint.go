package audit

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"phonebill/core/id"
)

// Checkpoint is a signed statement: these chains ended with these rows. It names the heads that moved since the checkpoint before, and
// that one's hash, so that all checkpoints together tell the head of every chain, whatever the number of writers.
type Checkpoint struct {
	Seq            int // counts from 1
	At             time.Time
	Heads          []Head // by writer
	Previous, Hash []byte
	KeyID          string
	Signature      []byte // over Statement
}

// Ledger is what a sequence of checkpoints says; its zero value is the beginning. It is not safe for concurrent use.
type Ledger struct {
	seq   int
	hash  []byte
	known map[id.ID]int
}

// Seq is the number of the last checkpoint.
func (l *Ledger) Seq() int { return l.seq }

// Next is the unsigned checkpoint that states the heads; false when no head moved.
func (l *Ledger) Next(heads []Head, at time.Time) (Checkpoint, bool) {
	moved := slices.DeleteFunc(slices.Clone(heads), func(h Head) bool { return h.Seq <= l.known[h.Writer] })
	sortHeads(moved)
	c := Checkpoint{Seq: l.seq + 1, At: at.UTC().Truncate(time.Microsecond), Heads: moved, Previous: bytes.Clone(l.previous())}
	c.Hash = c.digest()
	return c, len(moved) > 0
}

// Follow moves on to the checkpoint. A TamperedError tells that it is not one that can come next. Its signature is not looked at.
func (l *Ledger) Follow(c Checkpoint) error {
	switch {
	case c.Seq != l.seq+1:
		return TamperedError{l.seq + 1, fmt.Sprintf("checkpoint %d stands where it must", c.Seq)}
	case !bytes.Equal(c.Previous, l.previous()):
		return TamperedError{c.Seq, "it does not name the checkpoint before"}
	case !bytes.Equal(c.Hash, c.digest()):
		return TamperedError{c.Seq, "its content is not what was written"}
	}
	if l.known == nil {
		l.known = map[id.ID]int{}
	}
	for _, h := range c.Heads {
		if h.Seq <= l.known[h.Writer] {
			return TamperedError{c.Seq, "it names a head that had moved on already"}
		}
		l.known[h.Writer] = h.Seq
	}
	l.seq, l.hash = c.Seq, c.Hash
	return nil
}

func (l *Ledger) previous() []byte {
	if l.seq == 0 {
		return origin()
	}
	return l.hash
}

// TamperedError names the first checkpoint that is not as it was written.
type TamperedError struct {
	Seq int
	Why string
}

// Error says which checkpoint and why.
func (t TamperedError) Error() string { return fmt.Sprintf("audit: checkpoint %d: %s", t.Seq, t.Why) }

func (c Checkpoint) digest() []byte {
	fields := [][]byte{[]byte("phonebill audit checkpoint 1"), c.Previous, number(c.Seq), number(int(c.At.UnixMicro()))}
	for _, h := range c.Heads {
		fields = append(fields, h.Writer[:], number(h.Seq), h.Hash)
	}
	return digest(fields...)
}

// Statement is what is signed. It begins with a text that no token begins with, so that a signature of one is none of the other.
func (c Checkpoint) Statement() []byte {
	return encode([]byte("phonebill audit checkpoint signature 1"), number(c.Seq), c.Hash)
}

// VerifyCheckpoints follows the checkpoints, oldest first, and asks of each whether its signature is good; the first that is wrong is a
// TamperedError.
func VerifyCheckpoints(all []Checkpoint, signed func(Checkpoint) bool) error {
	var l Ledger
	for _, c := range all {
		if err := l.Follow(c); err != nil {
			return err
		}
		if !signed(c) {
			return TamperedError{c.Seq, "its signature is wrong or of an unknown key"}
		}
	}
	return nil
}

package audit

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"phonebill/core/id"
)

// Checkpoint is a signed statement that these chains ended with these rows. It names the heads that moved since the
// checkpoint before, and that one's hash, so that all checkpoints together give the head of every chain, whatever the
// number of writers.
type Checkpoint struct {
	Seq   int // counts from 1
	At    time.Time
	Heads []Head // by writer
	// no row without a key may come after it; the heads of all checkpoints up to it are the last that may have none
	Closes         bool
	Previous, Hash []byte
	KeyID          string
	Signature      []byte // over Statement
}

// Ledger is the state after a sequence of checkpoints; its zero value is the beginning. It is not safe for concurrent
// use.
type Ledger struct {
	seq    int
	hash   []byte
	known  map[id.ID]Head
	closed bool
}

// Seq returns the number of the last checkpoint.
func (l *Ledger) Seq() int { return l.seq }

// Hash is that of the last checkpoint; nil before the first.
func (l *Ledger) Hash() []byte { return bytes.Clone(l.hash) }

// Closed returns whether no row without a key may come any more.
func (l *Ledger) Closed() bool { return l.closed }

// Known returns the head of the writer's chain as it was stated last; its Seq is 0 when it never was.
func (l *Ledger) Known(writer id.ID) Head {
	h := l.known[writer]
	h.Writer = writer
	return h
}

// Next returns the unsigned checkpoint that states the heads; false when no head moved and there is nothing to close.
// closing asks for the checkpoint after which no row without a key may come; there is one.
func (l *Ledger) Next(heads []Head, at time.Time, closing bool) (Checkpoint, bool) {
	moved := slices.DeleteFunc(slices.Clone(heads), func(h Head) bool { return h.Seq <= l.known[h.Writer].Seq })
	sortHeads(moved)
	c := Checkpoint{
		Seq: l.seq + 1, At: at.UTC().Truncate(time.Microsecond), Heads: moved, Closes: closing && !l.closed,
		Previous: bytes.Clone(l.previous()),
	}
	c.Hash = c.digest()
	return c, len(moved) > 0 || c.Closes
}

// Follow moves on to the checkpoint. It returns a TamperedError when the checkpoint is not one that can come next. Its
// signature is not checked here.
func (l *Ledger) Follow(c Checkpoint) error {
	switch {
	case c.Seq != l.seq+1:
		return TamperedError{l.seq + 1, fmt.Sprintf("checkpoint %d stands where it must", c.Seq)}
	case !bytes.Equal(c.Previous, l.previous()):
		return TamperedError{c.Seq, "it does not name the checkpoint before"}
	case !bytes.Equal(c.Hash, c.digest()):
		return TamperedError{c.Seq, "its content is not what was written"}
	}
	if c.Closes && l.closed {
		return TamperedError{c.Seq, "it closes what was closed before"}
	}
	if l.known == nil {
		l.known = map[id.ID]Head{}
	}
	for _, h := range c.Heads {
		if h.Seq <= l.known[h.Writer].Seq {
			return TamperedError{c.Seq, "it names a head that had moved on already"}
		}
		l.known[h.Writer] = h
	}
	l.seq, l.hash, l.closed = c.Seq, c.Hash, l.closed || c.Closes
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

// Error names the checkpoint and the reason.
func (t TamperedError) Error() string { return fmt.Sprintf("audit: checkpoint %d: %s", t.Seq, t.Why) }

func (c Checkpoint) digest() []byte {
	version := "phonebill audit checkpoint 1"
	if c.Closes {
		version = "phonebill audit checkpoint 2, closing"
	}
	fields := [][]byte{[]byte(version), c.Previous, number(c.Seq), number(int(c.At.UnixMicro()))}
	for _, h := range c.Heads {
		fields = append(fields, h.Writer[:], number(h.Seq), h.Hash)
	}
	return digest(fields...)
}

// Statement returns what is signed. It begins with a text that no token begins with, so that a signature of one is
// never valid for the other.
func (c Checkpoint) Statement() []byte {
	return encode([]byte("phonebill audit checkpoint signature 1"), number(c.Seq), c.Hash)
}

// Anchor is what is known of the log from elsewhere: a file, another machine's log. Without one, a log that was emptied
// and begun anew looks like a young one.
type Anchor struct {
	Checkpoints []Mark
	Rows        []Head
}

// Mark is the hash of a checkpoint.
type Mark struct {
	Seq  int
	Hash []byte
}

// holds returns a TamperedError when the checkpoints are not those that the anchor knows.
func (a Anchor) holds(all []Checkpoint) error {
	for _, m := range a.Checkpoints {
		switch {
		case m.Seq < 1 || m.Seq > len(all):
			return TamperedError{m.Seq, fmt.Sprintf("it is gone: the anchor knows it, and there are %d", len(all))}
		case !bytes.Equal(all[m.Seq-1].Hash, m.Hash):
			return TamperedError{m.Seq, "the anchor says it was another"}
		}
	}
	return nil
}

// VerifyCheckpoints follows the checkpoints, oldest first, verifies each signature with signed, and compares them with
// the anchor; the first wrong one is a TamperedError.
func VerifyCheckpoints(all []Checkpoint, signed func(Checkpoint) bool, anchor Anchor) error {
	var l Ledger
	for _, c := range all {
		if err := l.Follow(c); err != nil {
			return err
		}
		if !signed(c) {
			return TamperedError{c.Seq, "its signature is wrong or of an unknown key"}
		}
	}
	return anchor.holds(all)
}

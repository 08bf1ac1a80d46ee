package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"phonebill/core/id"
)

// Entry is what one member of staff (or a command) did or tried to do: the actor, the action, its subject, the reason
// and the outcome. It holds no personal data. Writer and Seq are set by the log that stores it.
type Entry struct {
	Writer  id.ID // one per process start
	Seq     int   // counts from 1 per writer
	At      time.Time
	Actor   string // user id, or cli:<account of the operating system>
	Action  string
	Subject string // user id, or empty when no one user is meant
	Reason  string
	Outcome Outcome
	Detail  string // JSON, facts about the call
	IP      string
}

// Outcome is what came of a call: Intended, Done, or the public error code of its refusal.
type Outcome string

// The outcomes that are no error codes. A change has two rows: Intended is durable before anything is changed, the
// second row records the outcome. So a change without a row is impossible, and a row without a change (a crash between
// the two) is recognisable.
const (
	Intended Outcome = "INTENDED"
	Done     Outcome = "DONE"
)

// Row is an entry in its chain. Hash is over the hash of the row before and the entry: HMAC-SHA256 with the writer's
// key when the row is keyed, so that it cannot be made without the key; else SHA-256, as release b0e8e26 writes it.
type Row struct {
	Entry
	Keyed          bool
	Previous, Hash []byte
}

// Overlap is how long after the first keyed row instances may still write rows without a key: one that has not read yet
// that all write keyed ones, one whose clock is behind.
const Overlap = 2 * time.Minute

// Late returns whether the row has no key although keyed ones, of which first is the oldest, had begun long before it.
// first is empty when there is none.
func (r Row) Late(first Row) bool {
	return !r.Keyed && first.Seq > 0 && r.At.After(first.At.Add(Overlap))
}

// Older returns the older of two keyed rows; a row without a key, and the empty row, is none.
func (r Row) Older(other Row) Row {
	if other.Keyed && (!r.Keyed || other.At.Before(r.At)) {
		return other
	}
	return r
}

// Keys returns the key of a writer; nil when keyed rows cannot be checked.
type Keys func(writer id.ID) []byte

// origin returns the hash before the first row of a chain.
func origin() []byte { return make([]byte, sha256.Size) }

// Chain is the end of one writer's chain; its zero value is the beginning. It is not safe for concurrent use.
type Chain struct {
	seq   int
	hash  []byte
	key   []byte // of the writer; nil = none
	keyed bool   // the last row is: no row after it may be without a key
}

// ChainAt returns a chain that ends with the head.
func ChainAt(h Head) Chain { return Chain{seq: h.Seq, hash: bytes.Clone(h.Hash)} }

// ChainBefore returns a chain behind which the row is to be followed: so that what comes after knows whether it was
// keyed.
func ChainBefore(r Row) Chain { return Chain{seq: r.Seq - 1, hash: bytes.Clone(r.Previous)} }

// WithKey returns the chain that writes, and can check, keyed rows.
func (c Chain) WithKey(key []byte) Chain { c.key = key; return c }

// Next returns the row that the entry becomes behind the chain. Its time is cut to microseconds, the grain of the
// store.
func (c Chain) Next(writer id.ID, e Entry) Row {
	e.Writer, e.Seq, e.At = writer, c.seq+1, e.At.UTC().Truncate(time.Microsecond)
	previous := c.hash
	if c.seq == 0 {
		previous = origin()
	}
	return Row{Entry: e, Keyed: c.key != nil, Previous: bytes.Clone(previous), Hash: e.hash(previous, c.key)}
}

// Follow moves the end of the chain on to the row. It returns a BrokenError when the row is not the one that must come
// next.
func (c *Chain) Follow(r Row) error {
	with := *c
	if !r.Keyed {
		with.key = nil
	}
	want := with.Next(r.Writer, r.Entry)
	switch {
	case r.Seq != want.Seq:
		return BrokenError{r.Writer, want.Seq, fmt.Sprintf("row %d stands where it must", r.Seq)}
	case r.Keyed && c.key == nil:
		return BrokenError{r.Writer, r.Seq, "it is keyed, and there is no key to check it with"}
	case !r.Keyed && c.keyed:
		return BrokenError{r.Writer, r.Seq, "it has no key, and the row before has one"}
	case !bytes.Equal(r.Previous, want.Previous):
		return BrokenError{r.Writer, r.Seq, "it does not name the row before"}
	case !bytes.Equal(r.Hash, want.Hash):
		return BrokenError{r.Writer, r.Seq, "its content is not what was written"}
	}
	c.seq, c.hash, c.keyed = r.Seq, r.Hash, r.Keyed
	return nil
}

// Head returns the end of the chain.
func (c Chain) Head(writer id.ID) Head { return Head{writer, c.seq, c.hash} }

// BrokenError names the first row at which a chain is not as it was written.
type BrokenError struct {
	Writer id.ID
	Seq    int
	Why    string
}

// Error names the row and the reason.
func (b BrokenError) Error() string {
	return fmt.Sprintf("audit: row %d of writer %s: %s", b.Seq, b.Writer, b.Why)
}

// Head is the last row of one writer's chain at a moment.
type Head struct {
	Writer id.ID
	Seq    int
	Hash   []byte
}

// hash covers the hash before and the canonical encoding: each field with its length in front, so that no two entries
// have the same encoding. The first field is the version of the encoding.
func (e Entry) hash(previous, key []byte) []byte {
	version := "phonebill audit entry 1"
	if key != nil {
		version = "phonebill audit entry 2"
	}
	encoded := encode([]byte(version), previous, e.Writer[:], number(e.Seq), number(int(e.At.UnixMicro())),
		[]byte(e.Actor),
		[]byte(e.Action), []byte(e.Subject), []byte(e.Reason), []byte(e.Outcome), []byte(e.Detail), []byte(e.IP))
	if key == nil {
		sum := sha256.Sum256(encoded)
		return sum[:]
	}
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write(encoded)
	return mac.Sum(nil)
}

func digest(fields ...[]byte) []byte {
	sum := sha256.Sum256(encode(fields...))
	return sum[:]
}

func encode(fields ...[]byte) []byte {
	var b []byte
	for _, f := range fields {
		b = append(append(b, number(len(f))...), f...)
	}
	return b
}

func number(n int) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(n)) //nolint:gosec // any bijection will do
}

// Verify follows chains through their rows, which come writer by writer in order, and returns the heads; the first
// broken row is a BrokenError. Rows without a key are believed.
func Verify(rows []Row, keys Keys) ([]Head, error) {
	v := NewVerifier(nil, keys)
	for _, r := range rows {
		if err := v.Row(r); err != nil {
			return nil, err
		}
	}
	return v.heads(), v.End()
}

// Verifier checks any number of rows in little memory, against signed checkpoints and anchors. It is not safe for
// concurrent use.
type Verifier struct {
	keys   Keys
	marks  map[id.ID][]mark
	chains map[id.ID]Chain
	closed map[id.ID]int // by writer, the last row that may be without a key; nil = all may
	last   Row           // the youngest without a key
	report Count
}

// Count is what a Verifier has seen.
type Count struct {
	Rows, Writers, Unkeyed int
	FirstKeyed             Row // the oldest; its Seq is 0 when there is none
}

// mark is the statement of a checkpoint or an anchor: row seq had this hash.
type mark struct {
	Head
	source string
}

// NewVerifier returns one that holds rows against the checkpoints, oldest first, which must have been checked by
// VerifyCheckpoints, and against rows that are known from elsewhere.
func NewVerifier(checkpoints []Checkpoint, keys Keys, known ...Head) *Verifier {
	v := &Verifier{keys: keys, marks: map[id.ID][]mark{}, chains: map[id.ID]Chain{}}
	attested := map[id.ID]int{}
	for _, c := range checkpoints {
		for _, h := range c.Heads {
			v.marks[h.Writer] = append(v.marks[h.Writer], mark{h, fmt.Sprintf("checkpoint %d", c.Seq)})
			attested[h.Writer] = h.Seq
		}
		if c.Closes {
			v.closed = maps.Clone(attested)
		}
	}
	for _, h := range known {
		v.marks[h.Writer] = append(v.marks[h.Writer], mark{h, "the anchor"})
	}
	for _, m := range v.marks {
		slices.SortStableFunc(m, func(a, b mark) int { return a.Seq - b.Seq })
	}
	return v
}

// Row checks the next row; those of one writer must come in order. The first that is wrong is a BrokenError.
func (v *Verifier) Row(r Row) error {
	c, begun := v.chains[r.Writer]
	if !begun && v.keys != nil {
		c = c.WithKey(v.keys(r.Writer))
	}
	if err := c.Follow(r); err != nil {
		return err
	}
	if !r.Keyed && v.closed != nil && r.Seq > v.closed[r.Writer] {
		return BrokenError{r.Writer, r.Seq, "it has no key, and no such row may come after the checkpoint that closed them"}
	}
	v.chains[r.Writer] = c
	v.count(r)
	for m := v.marks[r.Writer]; len(m) > 0 && m[0].Seq == r.Seq; m = v.marks[r.Writer] {
		if !bytes.Equal(m[0].Hash, r.Hash) {
			return BrokenError{r.Writer, r.Seq, m[0].source + " says it was another"}
		}
		v.marks[r.Writer] = m[1:]
	}
	return nil
}

func (v *Verifier) count(r Row) {
	v.report.Rows++
	v.report.FirstKeyed = v.report.FirstKeyed.Older(r)
	if !r.Keyed {
		v.report.Unkeyed++
		if v.last.Seq == 0 || r.At.After(v.last.At) {
			v.last = r
		}
	}
}

// End must be called after the last row: a BrokenError names the first row of a chain that was cut off, or the last one
// that has no key although keyed ones had begun long before.
func (v *Verifier) End() error {
	var missing []BrokenError
	for writer, m := range v.marks {
		if len(m) > 0 {
			missing = append(missing, BrokenError{writer, v.chains[writer].seq + 1,
				fmt.Sprintf("it is gone: %s says there were %d rows", m[0].source, m[0].Seq)})
		}
	}
	switch {
	case len(missing) > 0:
	case v.last.Late(v.report.FirstKeyed):
		return BrokenError{v.last.Writer, v.last.Seq, "it has no key, and keyed rows had begun before it"}
	default:
		return nil
	}
	return slices.MinFunc(missing, func(a, b BrokenError) int { return bytes.Compare(a.Writer[:], b.Writer[:]) })
}

// Count returns what was seen.
func (v *Verifier) Count() Count {
	c := v.report
	c.Writers = len(v.chains)
	return c
}

func (v *Verifier) heads() []Head {
	heads := make([]Head, 0, len(v.chains))
	for writer, c := range v.chains {
		heads = append(heads, c.Head(writer))
	}
	sortHeads(heads)
	return heads
}

func sortHeads(heads []Head) {
	slices.SortFunc(heads, func(a, b Head) int { return bytes.Compare(a.Writer[:], b.Writer[:]) })
}

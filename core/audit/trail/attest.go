package trail

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"sync"

	"phonebill/core/audit"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// Attester makes and checks checkpoints. Trail, Signer and Now are required; it is safe for concurrent use.
type Attester struct {
	Trail  ports.AuditTrail
	Signer ports.Signer
	Now    ports.Clock
	Keys   audit.Keys // of the writers
	// Close reports whether no release that writes rows without a key is left; nil means that it is not known.
	Close func(context.Context) (bool, error)
	// Head is called by each Step with the last checkpoint, to be written down elsewhere; nil = it is not.
	Head func(ctx context.Context, last audit.Mark)
	// Forged is called with each row that is not attested; nil = nothing is.
	Forged func(ctx context.Context, broken audit.BrokenError)

	// Progress is called by Verify for each row that was read, with how many that makes and how many there were at the
	// beginning; nil = it is not.
	Progress func(done, all int)

	mu     sync.Mutex
	ledger audit.Ledger
}

// Step states the heads of all chains in a checkpoint if any has moved. Rows since the last checkpoint are checked
// first: a chain with a row that its writer did not write is not attested, and the error names it. When several
// instances do so at once one checkpoint is stored; the others find it at their next step. Step always returns 0, so
// that the worker waits its usual interval before the next one.
func (s *Attester) Step(ctx context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.catchUp(ctx); err != nil {
		return 0, err
	}
	closing := false
	if s.Close != nil && !s.ledger.Closed() {
		var err error
		if closing, err = s.Close(ctx); err != nil {
			return 0, err
		}
	}
	var first audit.Row
	if closing {
		var err error
		if first, err = s.firstKeyed(ctx); err != nil {
			return 0, err
		}
	}
	heads, forged, err := s.heads(ctx, first)
	if err != nil {
		return 0, err
	}
	next, moved := s.ledger.Next(heads, s.Now(), closing)
	if moved {
		err = s.add(ctx, next)
	}
	if s.Head != nil && s.ledger.Seq() > 0 {
		s.Head(ctx, audit.Mark{Seq: s.ledger.Seq(), Hash: s.ledger.Hash()})
	}
	return 0, errors.Join(forged, err)
}

func (s *Attester) catchUp(ctx context.Context) error {
	newer, err := s.Trail.Checkpoints(ctx, s.ledger.Seq())
	if err != nil {
		return err
	}
	for _, c := range newer {
		if err := s.ledger.Follow(c); err != nil {
			return err
		}
	}
	return nil
}

func (s *Attester) add(ctx context.Context, next audit.Checkpoint) (err error) {
	if next.KeyID, next.Signature, err = s.Signer.Sign(ctx, next.Statement()); err != nil {
		return err
	}
	if err = s.Trail.AddCheckpoint(ctx, next); errors.Is(err, fault.New(fault.StateConflict)) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.ledger.Follow(next)
}

// heads returns those of the chains whose new rows are as their writers wrote them; forged names the others. first is
// the oldest keyed row when those without a key are about to be closed.
func (s *Attester) heads(ctx context.Context, first audit.Row) (heads []audit.Head, forged, err error) {
	all, err := s.Trail.Heads(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, h := range all {
		known := s.ledger.Known(h.Writer)
		if h.Seq <= known.Seq {
			continue
		}
		checked, err := s.follow(ctx, h, known, first)
		var broken audit.BrokenError
		switch {
		case errors.As(err, &broken):
			forged = errors.Join(forged, broken)
			if s.Forged != nil {
				s.Forged(ctx, broken)
			}
		case err != nil:
			return nil, nil, err
		default:
			heads = append(heads, checked)
		}
	}
	return heads, forged, nil
}

// follow checks the rows of a chain from one head, which a checkpoint states, to another, and returns that.
func (s *Attester) follow(ctx context.Context, to, from audit.Head, first audit.Row) (audit.Head, error) {
	key := s.key(to.Writer)
	chain := audit.Chain{}.WithKey(key)
	err := s.Trail.RowsOf(ctx, to.Writer, max(0, from.Seq-1), func(r audit.Row) error {
		if r.Seq > to.Seq { // younger than what was asked for
			return nil
		}
		if r.Seq == from.Seq { // whether it is keyed decides what may come after it
			if !bytes.Equal(r.Hash, from.Hash) {
				return audit.BrokenError{Writer: r.Writer, Seq: r.Seq, Why: "the checkpoint that states it says it was another"}
			}
			chain = audit.ChainBefore(r).WithKey(key)
			return chain.Follow(r)
		}
		if why := s.findForged(r, first); why != "" {
			return audit.BrokenError{Writer: r.Writer, Seq: r.Seq, Why: why}
		}
		return chain.Follow(r)
	})
	if err != nil {
		return audit.Head{}, err
	}
	head := chain.Head(to.Writer)
	if head.Seq != to.Seq || !bytes.Equal(head.Hash, to.Hash) {
		return head, audit.BrokenError{Writer: to.Writer, Seq: head.Seq + 1, Why: "the rows up to the last one are not there"}
	}
	return head, nil
}

// findForged returns why a row that no checkpoint states is not to be attested, whatever its hash; empty when it may
// be.
func (s *Attester) findForged(r, first audit.Row) string {
	switch {
	case r.Keyed:
		return ""
	case s.ledger.Closed():
		return "it has no key, and such rows were closed"
	case r.Late(first):
		return "it has no key, and keyed rows had begun before it"
	case first.Seq > 0 && s.ledger.Seq() == 0: // while rows without a key were written there was a checkpoint each minute
		return "it has no key, and the checkpoints from the time of such rows are gone"
	}
	return ""
}

// firstKeyed returns the oldest keyed row; empty when there is none.
func (s *Attester) firstKeyed(ctx context.Context) (first audit.Row, err error) {
	err = s.Trail.Rows(ctx, func(r audit.Row) error {
		first = first.Older(r)
		return nil
	})
	return first, err
}

func (s *Attester) key(writer id.ID) []byte {
	if s.Keys == nil {
		return nil
	}
	return s.Keys(writer)
}

// Report is the result of a verification.
type Report struct {
	audit.Count
	Checkpoints int
	Last        audit.Mark // the last checkpoint: the anchor for the next time
	ClosedBy    int        // the checkpoint after which no row without a key is believed; 0 = there is none yet
}

// ErrEmpty means that there is neither a row nor a checkpoint. That is so before a service ran for the first time, and
// after everything was removed.
var ErrEmpty = errors.New("the audit log is empty: no service has written to this database yet, " +
	"or everything was removed")

// ErrUnclosed means that rows without a key stand beside keyed ones, that no older release is left to write such rows,
// and that no checkpoint states which of them were there before.
var ErrUnclosed = errors.New("the checkpoint that closed the rows without a key is gone " +
	"(or not made yet: the auth service makes it " +
	"within two minutes after phonebillctl reseal)")

// Verify checks every checkpoint, its signature, and every row of every chain against both and against the anchor. The
// first thing that is not as it was written is an audit.TamperedError (a checkpoint) or an audit.BrokenError (a row).
// What was cut off behind the last checkpoint, and a log that was emptied and began anew, are found by the anchor
// alone.
func (s *Attester) Verify(ctx context.Context, anchor audit.Anchor) (Report, error) {
	checkpoints, err := s.Trail.Checkpoints(ctx, 0) // before the rows, which go on growing
	if err != nil {
		return Report{}, err
	}
	var trouble error
	err = audit.VerifyCheckpoints(checkpoints, func(c audit.Checkpoint) bool {
		ok, err := s.Signer.Signed(ctx, c.KeyID, c.Statement(), c.Signature)
		trouble = errors.Join(trouble, err)
		return ok
	}, anchor)
	if trouble != nil {
		return Report{}, trouble
	}
	if err != nil {
		return Report{}, err
	}
	v := audit.NewVerifier(checkpoints, s.Keys, anchor.Rows...)
	row, err := s.counted(ctx, v.Row)
	if err != nil {
		return Report{}, err
	}
	if err := s.Trail.Rows(ctx, row); err != nil {
		return Report{}, err
	}
	if err := v.End(); err != nil {
		return Report{}, err
	}
	r := Report{Count: v.Count(), Checkpoints: len(checkpoints)}
	if r.Rows == 0 && r.Checkpoints == 0 {
		return r, ErrEmpty
	}
	for _, c := range checkpoints {
		r.Last = audit.Mark{Seq: c.Seq, Hash: c.Hash}
		if c.Closes {
			r.ClosedBy = c.Seq
		}
	}
	if r.ClosedBy == 0 && r.Unkeyed > 0 && r.FirstKeyed.Seq > 0 && s.Close != nil {
		if due, err := s.Close(ctx); due || err != nil {
			return r, cmp.Or(err, ErrUnclosed)
		}
	}
	return r, nil
}

// counted runs check and reports the progress. Rows of a chain are numbered without gaps, so the heads give their
// number.
func (s *Attester) counted(ctx context.Context, check func(audit.Row) error) (func(audit.Row) error, error) {
	if s.Progress == nil {
		return check, nil
	}
	heads, err := s.Trail.Heads(ctx)
	if err != nil {
		return nil, err
	}
	done, all := 0, 0
	for _, h := range heads {
		all += h.Seq
	}
	return func(r audit.Row) error {
		done++
		s.Progress(done, all)
		return check(r)
	}, nil
}

// Package attest ties the chains of the audit log together with signed checkpoints, and verifies the whole (decision 18, bar R11).
package attest

import (
	"context"
	"errors"
	"sync"

	"phonebill/core/audit"
	"phonebill/core/fault"
	"phonebill/ports"
)

// Service makes and checks checkpoints. All fields are required; it is safe for concurrent use.
type Service struct {
	Trail  ports.AuditTrail
	Signer ports.Signer
	Now    ports.Clock
	mu     sync.Mutex
	ledger audit.Ledger
}

// Step states the heads of all chains in a checkpoint if any has moved. Of several instances that do so at once one is stored; the
// others find out next time. It answers 0, so that a worker looks again at its own pace.
func (s *Service) Step(ctx context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	newer, err := s.Trail.Checkpoints(ctx, s.ledger.Seq())
	if err != nil {
		return 0, err
	}
	for _, c := range newer {
		if err := s.ledger.Follow(c); err != nil {
			return 0, err
		}
	}
	heads, err := s.Trail.Heads(ctx)
	if err != nil {
		return 0, err
	}
	next, moved := s.ledger.Next(heads, s.Now())
	if !moved {
		return 0, nil
	}
	if next.KeyID, next.Signature, err = s.Signer.Sign(ctx, next.Statement()); err != nil {
		return 0, err
	}
	if err = s.Trail.AddCheckpoint(ctx, next); errors.Is(err, fault.New(fault.StateConflict)) {
		return 0, nil
	}
	return 0, err
}

// Report is what a verification went through.
type Report struct{ Rows, Writers, Checkpoints int }

// Verify checks every checkpoint, its signature, and every row of every chain against both. The first thing that is not as it was
// written is an audit.TamperedError (a checkpoint) or an audit.BrokenError (a row). What was cut off behind the last checkpoint cannot be
// told from what never was: that is at most a minute, and the hashes of its rows are in the log.
func (s *Service) Verify(ctx context.Context) (Report, error) {
	checkpoints, err := s.Trail.Checkpoints(ctx, 0) // before the rows, which go on growing
	if err != nil {
		return Report{}, err
	}
	var trouble error
	err = audit.VerifyCheckpoints(checkpoints, func(c audit.Checkpoint) bool {
		ok, err := s.Signer.Signed(ctx, c.KeyID, c.Statement(), c.Signature)
		trouble = errors.Join(trouble, err)
		return ok
	})
	if trouble != nil {
		return Report{}, trouble
	}
	if err != nil {
		return Report{}, err
	}
	v := audit.NewVerifier(checkpoints)
	if err := s.Trail.Rows(ctx, v.Row); err != nil {
		return Report{}, err
	}
	if err := v.End(); err != nil {
		return Report{}, err
	}
	rows, writers := v.Count()
	return Report{Rows: rows, Writers: writers, Checkpoints: len(checkpoints)}, nil
}

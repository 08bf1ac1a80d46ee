package attest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/audit"
	"phonebill/core/audit/attest"
	"phonebill/core/id"
)

var errStore = errors.New("store is in trouble")

// trail breaks where it is told to and can lie about rows.
type trail struct {
	memory.AuditTrail
	broken string
	lie    func(*audit.Row) bool // false leaves the row out
}

func (t *trail) Rows(ctx context.Context, yield func(audit.Row) error) error {
	if t.broken == "rows" {
		return errStore
	}
	return t.AuditTrail.Rows(ctx, func(r audit.Row) error {
		if t.lie != nil && !t.lie(&r) {
			return nil
		}
		return yield(r)
	})
}

func (t *trail) Heads(ctx context.Context) ([]audit.Head, error) {
	if t.broken == "heads" {
		return nil, errStore
	}
	return t.AuditTrail.Heads(ctx)
}

func (t *trail) Checkpoints(ctx context.Context, after int) ([]audit.Checkpoint, error) {
	if t.broken == "checkpoints" {
		return nil, errStore
	}
	return t.AuditTrail.Checkpoints(ctx, after)
}

func (t *trail) AddCheckpoint(ctx context.Context, c audit.Checkpoint) error {
	if t.broken == "add" {
		return errStore
	}
	return t.AuditTrail.AddCheckpoint(ctx, c)
}

type signer struct {
	memory.Signer
	broken bool
}

func (s *signer) Sign(ctx context.Context, statement []byte) (string, []byte, error) {
	if s.broken {
		return "", nil, errStore
	}
	return s.Signer.Sign(ctx, statement)
}

func (s *signer) Signed(ctx context.Context, keyID string, statement, signature []byte) (bool, error) {
	if s.broken {
		return false, errStore
	}
	return s.Signer.Signed(ctx, keyID, statement, signature)
}

func newService() (*attest.Service, *trail, *signer) {
	book, key := &trail{}, &signer{}
	return &attest.Service{Trail: book, Signer: key, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }}, book, key
}

func write(t *testing.T, book *trail, writers ...byte) {
	t.Helper()
	for _, w := range writers {
		require.NoError(t, book.Log(id.ID{w}).Append(t.Context(), audit.Entry{Actor: "admin"}))
	}
}

func TestACheckpointIsMadeWhenThereIsSomethingNew(t *testing.T) {
	t.Parallel()
	s, book, _ := newService()
	step := func() int {
		n, err := s.Step(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		all, err := book.Checkpoints(t.Context(), 0)
		require.NoError(t, err)
		return len(all)
	}
	require.Zero(t, step())
	write(t, book, 1, 2)
	require.Equal(t, 1, step())
	require.Equal(t, 1, step(), "nothing new")
	write(t, book, 3)
	require.Equal(t, 2, step())
	report, err := s.Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, attest.Report{Rows: 3, Writers: 3, Checkpoints: 2}, report)
}

func TestSeveralInstancesMakeOneSequence(t *testing.T) {
	t.Parallel()
	s, book, _ := newService()
	instances := []*attest.Service{s, {Trail: book, Signer: s.Signer, Now: s.Now}, {Trail: book, Signer: s.Signer, Now: s.Now}}
	for round := range 5 {
		write(t, book, byte(round+1))
		var all sync.WaitGroup
		for _, i := range instances {
			all.Go(func() {
				if _, err := i.Step(t.Context()); err != nil {
					t.Errorf("unexpected error: %v", err)
				}
			})
		}
		all.Wait()
	}
	report, err := s.Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, attest.Report{Rows: 5, Writers: 5, Checkpoints: 5}, report)
}

func TestVerifyFindsWhatWasChangedOrCutOff(t *testing.T) {
	t.Parallel()
	s, book, key := newService()
	write(t, book, 1, 2)
	_, err := s.Step(t.Context())
	require.NoError(t, err)
	book.lie = func(r *audit.Row) bool { r.Actor = "nobody"; return true }
	_, err = s.Verify(t.Context())
	require.ErrorAs(t, err, new(audit.BrokenError))
	book.lie = func(r *audit.Row) bool { return r.Writer != id.ID{2} }
	_, err = s.Verify(t.Context())
	var broken audit.BrokenError
	require.ErrorAs(t, err, &broken)
	require.Equal(t, id.ID{2}, broken.Writer)
	book.lie = nil
	key.KeyID = "other"
	_, err = s.Verify(t.Context())
	require.ErrorAs(t, err, new(audit.TamperedError))
}

func TestTroubleIsAnswered(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"checkpoints", "heads", "add", "sign"} {
		s, book, key := newService()
		write(t, book, 1)
		book.broken, key.broken = where, where == "sign"
		_, err := s.Step(t.Context())
		require.ErrorIs(t, err, errStore, where)
	}
	for _, where := range []string{"checkpoints", "rows", "sign"} {
		s, book, key := newService()
		write(t, book, 1)
		_, err := s.Step(t.Context())
		require.NoError(t, err)
		book.broken, key.broken = where, where == "sign"
		_, err = s.Verify(t.Context())
		require.ErrorIs(t, err, errStore, where)
	}
	s, book, _ := newService()
	require.NoError(t, book.AddCheckpoint(t.Context(), audit.Checkpoint{Seq: 7}))
	_, err := s.Step(t.Context())
	require.ErrorAs(t, err, new(audit.TamperedError), "nothing is attested behind a broken sequence")
}

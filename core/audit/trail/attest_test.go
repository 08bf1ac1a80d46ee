package trail_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/audit"
	"phonebill/core/audit/trail"
	"phonebill/core/id"
)

var errStore = errors.New("store is in trouble")

// faultyTrail fails where configured and can return changed rows.
type faultyTrail struct {
	memory.AuditTrail
	broken string
	lie    func(*audit.Row) bool // false leaves the row out
}

func (t *faultyTrail) Rows(ctx context.Context, yield func(audit.Row) error) error {
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

func (t *faultyTrail) Heads(ctx context.Context) ([]audit.Head, error) {
	if t.broken == "heads" {
		return nil, errStore
	}
	return t.AuditTrail.Heads(ctx)
}

func (t *faultyTrail) Checkpoints(ctx context.Context, after int) ([]audit.Checkpoint, error) {
	if t.broken == "checkpoints" {
		return nil, errStore
	}
	return t.AuditTrail.Checkpoints(ctx, after)
}

func (t *faultyTrail) AddCheckpoint(ctx context.Context, c audit.Checkpoint) error {
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

func newService() (*trail.Attester, *faultyTrail, *signer) {
	auditTrail, key := &faultyTrail{}, &signer{}
	return &trail.Attester{
		Trail: auditTrail, Signer: key, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }, Keys: memory.AuditKeys,
	}, auditTrail, key
}

func write(t *testing.T, auditTrail *faultyTrail, writers ...byte) {
	t.Helper()
	for _, w := range writers {
		require.NoError(t, auditTrail.Log(id.ID{w}).Append(t.Context(), audit.Entry{Actor: "admin"}))
	}
}

func TestACheckpointIsMadeWhenThereIsSomethingNew(t *testing.T) {
	t.Parallel()
	s, auditTrail, _ := newService()
	step := func() int {
		n, err := s.Step(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		all, err := auditTrail.Checkpoints(t.Context(), 0)
		require.NoError(t, err)
		return len(all)
	}
	require.Zero(t, step())
	write(t, auditTrail, 1, 2)
	require.Equal(t, 1, step())
	require.Equal(t, 1, step(), "nothing new")
	write(t, auditTrail, 3)
	require.Equal(t, 2, step())
	report, err := s.Verify(t.Context(), audit.Anchor{})
	require.NoError(t, err)
	require.Equal(t, []int{3, 3, 2, 2}, []int{report.Rows, report.Writers, report.Checkpoints, report.Last.Seq})
}

func TestSeveralInstancesMakeOneSequence(t *testing.T) {
	t.Parallel()
	s, auditTrail, _ := newService()
	another := func() *trail.Attester {
		return &trail.Attester{Trail: auditTrail, Signer: s.Signer, Now: s.Now, Keys: s.Keys}
	}
	instances := []*trail.Attester{s, another(), another()}
	for round := range 5 {
		write(t, auditTrail, byte(round+1))
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
	report, err := s.Verify(t.Context(), audit.Anchor{})
	require.NoError(t, err)
	require.Equal(t, []int{5, 5, 5}, []int{report.Rows, report.Writers, report.Checkpoints})
}

func TestVerifyFindsWhatWasChangedOrCutOff(t *testing.T) {
	t.Parallel()
	s, auditTrail, key := newService()
	write(t, auditTrail, 1, 2)
	_, err := s.Step(t.Context())
	require.NoError(t, err)
	auditTrail.lie = func(r *audit.Row) bool { r.Actor = "unknown1"; return true }
	_, err = s.Verify(t.Context(), audit.Anchor{})
	require.ErrorAs(t, err, new(audit.BrokenError))
	auditTrail.lie = func(r *audit.Row) bool { return r.Writer != id.ID{2} }
	_, err = s.Verify(t.Context(), audit.Anchor{})
	var broken audit.BrokenError
	require.ErrorAs(t, err, &broken)
	require.Equal(t, id.ID{2}, broken.Writer)
	auditTrail.lie = nil
	key.KeyID = "other"
	_, err = s.Verify(t.Context(), audit.Anchor{})
	require.ErrorAs(t, err, new(audit.TamperedError))
}

func TestFailuresAreReturned(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"checkpoints", "heads", "add", "sign"} {
		s, auditTrail, key := newService()
		write(t, auditTrail, 1)
		auditTrail.broken, key.broken = where, where == "sign"
		_, err := s.Step(t.Context())
		require.ErrorIs(t, err, errStore, where)
	}
	for _, where := range []string{"checkpoints", "rows", "sign"} {
		s, auditTrail, key := newService()
		write(t, auditTrail, 1)
		_, err := s.Step(t.Context())
		require.NoError(t, err)
		auditTrail.broken, key.broken = where, where == "sign"
		_, err = s.Verify(t.Context(), audit.Anchor{})
		require.ErrorIs(t, err, errStore, where)
	}
	s, auditTrail, _ := newService()
	require.NoError(t, auditTrail.AddCheckpoint(t.Context(), audit.Checkpoint{Seq: 7}))
	_, err := s.Step(t.Context())
	require.ErrorAs(t, err, new(audit.TamperedError), "nothing is attested behind a broken sequence")
}

// TestARowWithASelfMadeHashIsNotAttested: SHA-256 needs no key, the writer's chain does.
func TestARowWithASelfMadeHashIsNotAttested(t *testing.T) {
	t.Parallel()
	s, auditTrail, _ := newService()
	s.Close = func(context.Context) (bool, error) { return true, nil }
	var forged []audit.BrokenError
	s.Forged = func(_ context.Context, b audit.BrokenError) { forged = append(forged, b) }
	write(t, auditTrail, 1)
	_, err := s.Step(t.Context())
	require.NoError(t, err)
	heads, err := auditTrail.Heads(t.Context())
	require.NoError(t, err)
	auditTrail.Put(audit.ChainAt(heads[0]).Next(id.ID{1}, audit.Entry{Actor: "admin", Action: "USER_CREATED"}))
	var alone audit.Chain
	auditTrail.Put(alone.Next(id.ID{2}, audit.Entry{Actor: "admin", Action: "USER_CREATED"}))
	write(t, auditTrail, 3)
	_, err = s.Step(t.Context())
	require.ErrorAs(t, err, new(audit.BrokenError))
	require.Len(t, forged, 2)
	all, err := auditTrail.Checkpoints(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, []audit.Head{{Writer: id.ID{3}, Seq: 1, Hash: all[1].Heads[0].Hash}}, all[1].Heads,
		"the others are attested")
	_, err = s.Verify(t.Context(), audit.Anchor{})
	require.ErrorAs(t, err, new(audit.BrokenError))
}

// TestRowsOfTheReleaseBeforeAreAcceptedUntilClosed, by the first checkpoint after no instance of it is left.
func TestRowsOfTheReleaseBeforeAreAcceptedUntilClosed(t *testing.T) {
	t.Parallel()
	s, auditTrail, _ := newService()
	oldReleaseLeft := true
	s.Close = func(context.Context) (bool, error) { return !oldReleaseLeft, nil }
	require.NoError(t, auditTrail.OldLog(id.ID{1}).Append(t.Context(), audit.Entry{Actor: "admin"}))
	write(t, auditTrail, 2)
	_, err := s.Step(t.Context())
	require.NoError(t, err)
	r, err := s.Verify(t.Context(), audit.Anchor{})
	require.NoError(t, err)
	require.Equal(t, []int{1, 0}, []int{r.Unkeyed, r.ClosedBy})
	oldReleaseLeft = false
	for range 2 {
		_, err = s.Step(t.Context())
		require.NoError(t, err)
	}
	r, err = s.Verify(t.Context(), audit.Anchor{})
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 2}, []int{r.Unkeyed, r.ClosedBy, r.Checkpoints}, "also when nothing else was to be said")
	require.Equal(t, id.ID{2}, r.FirstKeyed.Writer)
	require.NoError(t, auditTrail.OldLog(id.ID{3}).Append(t.Context(), audit.Entry{Actor: "admin"}))
	_, err = s.Verify(t.Context(), audit.Anchor{})
	require.ErrorAs(t, err, new(audit.BrokenError))
	s.Close = func(context.Context) (bool, error) { return false, errStore }
	_, err = (&trail.Attester{Trail: &faultyTrail{}, Signer: s.Signer, Now: s.Now, Close: s.Close}).Step(t.Context())
	require.ErrorIs(t, err, errStore)
}

// TestAnEmptiedLogIsFound: by itself while it is empty, and by the anchor when it began anew.
func TestAnEmptiedLogIsFound(t *testing.T) {
	t.Parallel()
	s, auditTrail, _ := newService()
	var written []audit.Mark
	s.Head = func(_ context.Context, m audit.Mark) { written = append(written, m) }
	write(t, auditTrail, 1, 2)
	for range 2 {
		_, err := s.Step(t.Context())
		require.NoError(t, err)
	}
	r, err := s.Verify(t.Context(), audit.Anchor{})
	require.NoError(t, err)
	require.Equal(t, []audit.Mark{r.Last, r.Last}, written, "each time, whether there is something new or not")
	anchor := audit.Anchor{Checkpoints: written[:1]}
	_, err = s.Verify(t.Context(), anchor)
	require.NoError(t, err)

	emptied := &faultyTrail{}
	young := &trail.Attester{Trail: emptied, Signer: s.Signer, Now: s.Now, Keys: s.Keys}
	_, err = young.Verify(t.Context(), audit.Anchor{})
	require.ErrorIs(t, err, trail.ErrEmpty)
	write(t, emptied, 4)
	_, err = young.Step(t.Context())
	require.NoError(t, err)
	_, err = young.Verify(t.Context(), audit.Anchor{})
	require.NoError(t, err, "nothing inside shows it")
	_, err = young.Verify(t.Context(), anchor)
	require.ErrorAs(t, err, new(audit.TamperedError))
}

// TestVerifyReportsProgress: with each row, of how many.
func TestVerifyReportsProgress(t *testing.T) {
	t.Parallel()
	auditTrail := &faultyTrail{}
	log := auditTrail.Log(id.ID{1})
	for range 3 {
		require.NoError(t, log.Append(t.Context(), audit.Entry{Action: "X", Detail: "{}"}))
	}
	var seen [][2]int
	s := &trail.Attester{
		Trail: auditTrail, Keys: memory.AuditKeys, Progress: func(done, all int) { seen = append(seen, [2]int{done, all}) },
	}
	_, err := s.Verify(t.Context(), audit.Anchor{})
	require.NoError(t, err)
	require.Equal(t, [][2]int{{1, 3}, {2, 3}, {3, 3}}, seen)
	auditTrail.broken = "heads"
	_, err = s.Verify(t.Context(), audit.Anchor{})
	require.ErrorIs(t, err, errStore)
}

// TestNoRowWithoutAKeyIsAttestedBehindAKeyedOne: also when a checkpoint lies between the two.
func TestNoRowWithoutAKeyIsAttestedBehindAKeyedOne(t *testing.T) {
	t.Parallel()
	s, auditTrail, _ := newService()
	write(t, auditTrail, 1)
	_, err := s.Step(t.Context())
	require.NoError(t, err)
	heads, err := auditTrail.Heads(t.Context())
	require.NoError(t, err)
	auditTrail.Put(audit.ChainAt(heads[0]).Next(id.ID{1}, audit.Entry{Actor: "admin", Action: "USER_CREATED"}))
	_, err = s.Step(t.Context())
	var broken audit.BrokenError
	require.ErrorAs(t, err, &broken)
	require.Equal(t, 2, broken.Seq)
	all, err := auditTrail.Checkpoints(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, all, 1)
}

// TestAChainContinuesFromItsCheckpoint: keyed rows behind those of the release before, and behind their own.
func TestAChainContinuesFromItsCheckpoint(t *testing.T) {
	t.Parallel()
	s, auditTrail, _ := newService()
	var chain audit.Chain
	for n := range 4 {
		if n > 1 {
			chain = chain.WithKey(memory.AuditKeys(id.ID{1}))
		}
		r := chain.Next(id.ID{1}, audit.Entry{Actor: "admin"})
		require.NoError(t, chain.Follow(r))
		auditTrail.Put(r)
		_, err := s.Step(t.Context())
		require.NoError(t, err)
	}
	r, err := s.Verify(t.Context(), audit.Anchor{})
	require.NoError(t, err)
	require.Equal(t, []int{4, 2, 4}, []int{r.Rows, r.Unkeyed, r.Checkpoints})
}

// TestASelfMadeRowIsNotClosed: an attacker that removes the checkpoint that closed the rows without a key, and writes
// such a row, gets no new one that states it, whatever time the row names and whether older checkpoints are left.
func TestASelfMadeRowIsNotClosed(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		at             time.Time
		oldReleaseLeft bool // a checkpoint from before keyed rows began
	}{
		"young": {began.Add(time.Hour), false}, "dated back": {began.Add(-time.Hour), false},
		"young, some are left": {began.Add(time.Hour), true},
	} {
		s, auditTrail, _ := newService()
		if c.oldReleaseLeft {
			require.NoError(t, auditTrail.OldLog(id.ID{1}).Append(t.Context(),
				audit.Entry{At: began.Add(-2 * time.Hour), Actor: "admin"}))
			_, err := s.Step(t.Context())
			require.NoError(t, err)
		}
		require.NoError(t, auditTrail.Log(id.ID{2}).Append(t.Context(), audit.Entry{At: began, Actor: "admin"}))
		var alone audit.Chain
		auditTrail.Put(alone.Next(id.ID{3}, audit.Entry{At: c.at, Actor: "admin", Action: "USER_CREATED"}))
		s.Close = func(context.Context) (bool, error) { return true, nil }
		_, err := s.Verify(t.Context(), audit.Anchor{})
		require.Error(t, err, name)
		var forged []audit.BrokenError
		s.Forged = func(_ context.Context, b audit.BrokenError) { forged = append(forged, b) }
		_, err = s.Step(t.Context())
		require.ErrorAs(t, err, new(audit.BrokenError), name)
		require.Len(t, forged, 1, name)
		require.Equal(t, id.ID{3}, forged[0].Writer, name)
		all, err := auditTrail.Checkpoints(t.Context(), 0)
		require.NoError(t, err)
		last := all[len(all)-1]
		require.True(t, last.Closes, name)
		require.Len(t, last.Heads, 1, name)
		require.Equal(t, id.ID{2}, last.Heads[0].Writer, name)
		_, err = s.Verify(t.Context(), audit.Anchor{})
		require.ErrorAs(t, err, new(audit.BrokenError), "%s: it stays one", name)
	}
}

// TestRowsWithoutAKeyNeedTheCheckpointThatClosedThem as soon as no older release is left.
func TestRowsWithoutAKeyNeedTheCheckpointThatClosedThem(t *testing.T) {
	t.Parallel()
	s, auditTrail, _ := newService()
	require.NoError(t, auditTrail.OldLog(id.ID{1}).Append(t.Context(), audit.Entry{Actor: "admin"}))
	write(t, auditTrail, 2)
	s.Close = func(context.Context) (bool, error) { return false, nil }
	_, err := s.Verify(t.Context(), audit.Anchor{})
	require.NoError(t, err, "an older release may write them")
	s.Close = func(context.Context) (bool, error) { return true, nil }
	_, err = s.Verify(t.Context(), audit.Anchor{})
	require.ErrorIs(t, err, trail.ErrUnclosed)
	s.Close = func(context.Context) (bool, error) { return false, errStore }
	_, err = s.Verify(t.Context(), audit.Anchor{})
	require.ErrorIs(t, err, errStore)
	auditTrail.broken = "rows"
	s.Close = func(context.Context) (bool, error) { return true, nil }
	_, err = s.Step(t.Context())
	require.ErrorIs(t, err, errStore)
}

// TestASignedRowWithoutAKeyIsStillLate: also when an older release of the service has attested it.
func TestASignedRowWithoutAKeyIsStillLate(t *testing.T) {
	t.Parallel()
	s, auditTrail, _ := newService()
	began := time.Unix(1_800_000_000, 0)
	require.NoError(t, auditTrail.Log(id.ID{2}).Append(t.Context(), audit.Entry{At: began, Actor: "admin"}))
	log := auditTrail.OldLog(id.ID{3})
	require.NoError(t, log.Append(t.Context(), audit.Entry{At: began.Add(time.Minute), Actor: "admin"}))
	_, err := s.Step(t.Context())
	require.NoError(t, err)
	_, err = s.Verify(t.Context(), audit.Anchor{})
	require.NoError(t, err, "an instance may not have read yet that keyed rows have begun")
	require.NoError(t, log.Append(t.Context(), audit.Entry{At: began.Add(time.Hour), Actor: "admin"}))
	_, err = s.Step(t.Context())
	require.NoError(t, err)
	_, err = s.Verify(t.Context(), audit.Anchor{})
	var broken audit.BrokenError
	require.ErrorAs(t, err, &broken)
	require.Equal(t, 2, broken.Seq)
}

package portstest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/audit"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// AuditFixture is a trail and logs that write into it.
type AuditFixture struct {
	Trail ports.AuditTrail
	Keys  audit.Keys
	Log   func(writer id.ID) ports.AuditLog
}

func auditEntry(n int) audit.Entry {
	return audit.Entry{
		At: after(n), Actor: "admin", Action: "USER_CHANGED", Subject: fmt.Sprint("user", n), Reason: "고객 요청",
		Outcome: audit.Done,
		Detail:  `{"n":1}`, IP: "203.0.113.9",
	}
}

func rowsOf(t *testing.T, trail ports.AuditTrail) []audit.Row {
	t.Helper()
	var rows []audit.Row
	require.NoError(t, trail.Rows(t.Context(), func(r audit.Row) error { rows = append(rows, r); return nil }))
	return rows
}

// Audit is the suite of ports.AuditLog and ports.AuditTrail.
func Audit(t *testing.T, open func(t *testing.T) AuditFixture) {
	t.Helper()
	t.Run("entries come back as they were put, in whole chains", func(t *testing.T) {
		t.Parallel()
		fixture := open(t)
		for w := 1; w <= 2; w++ {
			log := fixture.Log(numbered(w))
			for n := range 3 {
				require.NoError(t, log.Append(t.Context(), auditEntry(n)))
			}
		}
		rows := rowsOf(t, fixture.Trail)
		require.Len(t, rows, 6)
		for i, r := range rows {
			want := auditEntry(i % 3)
			want.Writer, want.Seq = numbered(1+i/3), 1+i%3
			require.Equal(t, want, r.Entry)
		}
		heads, err := audit.Verify(rows, fixture.Keys)
		require.NoError(t, err)
		stored, err := fixture.Trail.Heads(t.Context())
		require.NoError(t, err)
		require.Equal(t, heads, stored)
		_, err = audit.Verify(rows, nil)
		require.ErrorAs(t, err, new(audit.BrokenError), "they cannot be checked without the keys")
		for _, after := range []int{0, 2, 3} {
			var of []audit.Row
			require.NoError(t, fixture.Trail.RowsOf(t.Context(), numbered(2), after,
				func(r audit.Row) error { of = append(of, r); return nil }))
			require.Equal(t, rows[3+after:], append([]audit.Row{}, of...))
		}
		enough := errors.New("enough")
		require.ErrorIs(t, fixture.Trail.RowsOf(t.Context(), numbered(2), 0, func(audit.Row) error { return enough }), enough)
	})
	t.Run("many at once stand in one chain without gaps", func(t *testing.T) {
		t.Parallel()
		fixture := open(t)
		log := fixture.Log(numbered(1))
		var all sync.WaitGroup
		for n := range 40 {
			all.Go(func() { noError(t, log.Append(t.Context(), auditEntry(n))) })
		}
		all.Wait()
		heads, err := audit.Verify(rowsOf(t, fixture.Trail), fixture.Keys)
		require.NoError(t, err)
		require.Len(t, heads, 1)
		require.Equal(t, 40, heads[0].Seq)
	})
	t.Run("reading may stop", func(t *testing.T) {
		t.Parallel()
		fixture, enough, seen := open(t), errors.New("enough"), 0
		heads, err := fixture.Trail.Heads(t.Context())
		require.NoError(t, err)
		require.Empty(t, heads)
		log := fixture.Log(numbered(1))
		for n := range 3 {
			require.NoError(t, log.Append(t.Context(), auditEntry(n)))
		}
		require.ErrorIs(t, fixture.Trail.Rows(t.Context(), func(audit.Row) error {
			if seen++; seen == 2 {
				return enough
			}
			return nil
		}), enough)
		require.Equal(t, 2, seen)
	})
	t.Run("a checkpoint has its number alone", func(t *testing.T) {
		t.Parallel()
		fixture := open(t)
		none, err := fixture.Trail.Checkpoints(t.Context(), 0)
		require.NoError(t, err)
		require.Empty(t, none)
		var ledger audit.Ledger
		var want []audit.Checkpoint
		for n := 1; n <= 3; n++ {
			heads := []audit.Head{{Writer: numbered(2), Seq: n, Hash: []byte{2, byte(n)}},
				{Writer: numbered(1), Seq: 1, Hash: []byte{1}}}
			c, moved := ledger.Next(heads, after(n), n == 2)
			require.True(t, moved)
			c.KeyID, c.Signature = "key", []byte("signed")
			require.NoError(t, fixture.Trail.AddCheckpoint(t.Context(), c))
			requireFault(t, fault.StateConflict, fixture.Trail.AddCheckpoint(t.Context(), c))
			require.NoError(t, ledger.Follow(c))
			want = append(want, c)
		}
		got, err := fixture.Trail.Checkpoints(t.Context(), 0)
		require.NoError(t, err)
		require.Equal(t, want, got)
		got, err = fixture.Trail.Checkpoints(t.Context(), 2)
		require.NoError(t, err)
		require.Equal(t, want[2:], got)
	})
}

// Signer is the suite of ports.Signer; other is one with other keys.
func Signer(t *testing.T, open func(t *testing.T) (signer, other ports.Signer)) {
	t.Helper()
	t.Run("it knows its own signatures and no other's", func(t *testing.T) {
		t.Parallel()
		signer, other := open(t)
		keyID, signature, err := signer.Sign(t.Context(), []byte("statement"))
		require.NoError(t, err)
		signed := func(by ports.Signer, keyID, statement string, signature []byte) bool {
			ok, err := by.Signed(t.Context(), keyID, []byte(statement), signature)
			require.NoError(t, err)
			return ok
		}
		require.True(t, signed(signer, keyID, "statement", signature))
		require.False(t, signed(signer, keyID, "Statement", signature))
		require.False(t, signed(signer, "unknown", "statement", signature))
		require.False(t, signed(signer, keyID, "statement", nil))
		require.False(t, signed(other, keyID, "statement", signature))
		signature[0] ^= 1
		require.False(t, signed(signer, keyID, "statement", signature))
	})
}

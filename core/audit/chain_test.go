package audit_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/audit"
	"phonebill/core/id"
)

var now = time.Date(2026, 11, 21, 3, 0, 0, 123456789, time.UTC)

// keys returns the key of a writer.
func keys(writer id.ID) []byte { return append([]byte("key of "), writer[:]...) }

func text(t *rapid.T, label string) string { return rapid.StringN(0, 8, 24).Draw(t, label) }

// chains draws some chains, writer by writer.
func chains(t *rapid.T) []audit.Row {
	var rows []audit.Row
	for w := range rapid.IntRange(1, 3).Draw(t, "writers") {
		var c audit.Chain
		keyed := rapid.IntRange(0, 6).Draw(t, "keyed from")
		for n := range rapid.IntRange(1, 6).Draw(t, "rows") {
			if n >= keyed {
				c = c.WithKey(keys(id.ID{byte(w + 1)}))
			}
			r := c.Next(id.ID{byte(w + 1)}, audit.Entry{
				At: now.Add(time.Duration(n) * time.Second), Actor: text(t, "actor"), Action: text(t, "action"),
				Subject: text(t, "subject"), Reason: text(t, "reason"), Outcome: audit.Outcome(text(t, "outcome")),
				Detail: text(t, "detail"), IP: text(t, "ip"),
			})
			require.NoError(t, c.Follow(r))
			rows = append(rows, r)
		}
	}
	return rows
}

// TestOneChangedByteIsFoundAndNamed is bar R11: whatever byte of whatever row changes, the verifier names that row.
func TestOneChangedByteIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := chains(t)
		_, err := audit.Verify(rows, keys)
		require.NoError(t, err)
		i := rapid.IntRange(0, len(rows)-1).Draw(t, "row")
		r, bit := &rows[i], byte(1)<<rapid.IntRange(0, 7).Draw(t, "bit")
		was := *r
		flip := func(s string, at int) string { b := []byte(s); b[at%len(b)] ^= bit; return string(b) }
		at := rapid.IntRange(0, 1000).Draw(t, "byte")
		fields := []*string{&r.Actor, &r.Action, &r.Subject, &r.Reason, (*string)(&r.Outcome), &r.Detail, &r.IP}
		switch f := rapid.IntRange(0, len(fields)+5).Draw(t, "field"); {
		case f < len(fields) && *fields[f] == "":
			*fields[f] = string(rune(bit))
		case f < len(fields):
			*fields[f] = flip(*fields[f], at)
		case f == len(fields):
			r.Previous = []byte(flip(string(r.Previous), at))
		case f == len(fields)+1:
			r.Hash = []byte(flip(string(r.Hash), at))
		case f == len(fields)+2:
			r.At = r.At.Add(time.Duration(bit) * time.Microsecond)
		case f == len(fields)+3:
			r.Seq ^= int(bit)
		case f == len(fields)+4:
			r.Keyed = !r.Keyed
		default:
			r.Writer[at%16] ^= bit
		}
		_, err = audit.Verify(rows, keys)
		var broken audit.BrokenError
		require.ErrorAs(t, err, &broken)
		if r.Writer == was.Writer {
			require.Equal(t, was.Writer, broken.Writer)
			require.Equal(t, was.Seq, broken.Seq)
		}
		require.NotEmpty(t, broken.Error())
	})
}

// TestFieldsCannotTradeBytes: moving a byte from one field to the next is a change too.
func TestFieldsCannotTradeBytes(t *testing.T) {
	t.Parallel()
	var c audit.Chain
	one := c.Next(id.ID{1}, audit.Entry{At: now, Actor: "ab", Action: "c"})
	two := c.Next(id.ID{1}, audit.Entry{At: now, Actor: "a", Action: "bc"})
	require.NotEqual(t, one.Hash, two.Hash)
}

func TestARowCannotBeTakenOutOrTwoSwapped(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := chains(t)
		if len(rows) < 2 || rows[0].Writer != rows[1].Writer {
			return
		}
		_, err := audit.Verify(slices.Delete(slices.Clone(rows), 0, 1), keys)
		require.ErrorAs(t, err, new(audit.BrokenError))
		rows[0], rows[1] = rows[1], rows[0]
		_, err = audit.Verify(rows, keys)
		require.ErrorAs(t, err, new(audit.BrokenError))
	})
}

func TestAChainContinuesFromItsHead(t *testing.T) {
	t.Parallel()
	var c audit.Chain
	first := c.Next(id.ID{1}, audit.Entry{At: now, Actor: "a"})
	require.NoError(t, c.Follow(first))
	second := audit.ChainAt(c.Head(id.ID{1})).Next(id.ID{1}, audit.Entry{At: now, Actor: "b"})
	heads, err := audit.Verify([]audit.Row{first, second}, keys)
	require.NoError(t, err)
	require.Equal(t, []audit.Head{{Writer: id.ID{1}, Seq: 2, Hash: second.Hash}}, heads)
	require.Equal(t, now.Truncate(time.Microsecond), first.At)
}

// ledger makes checkpoints after each of the chains' rows have come.
func ledger(t require.TestingT, rows []audit.Row) []audit.Checkpoint {
	var l audit.Ledger
	var all []audit.Checkpoint
	for n := range rows {
		heads, err := audit.Verify(rows[:n+1], keys)
		require.NoError(t, err)
		c, moved := l.Next(heads, now, false)
		require.True(t, moved)
		require.Len(t, c.Heads, 1, "what has not moved is not said again")
		require.NoError(t, l.Follow(c))
		_, moved = l.Next(heads, now, false)
		require.False(t, moved)
		all = append(all, c)
	}
	return all
}

func always(audit.Checkpoint) bool { return true }

// TestACutChainIsFoundByItsCheckpoint: a chain without its last rows is a whole chain; only a checkpoint knows better.
func TestACutChainIsFoundByItsCheckpoint(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := chains(t)
		checkpoints := ledger(t, rows)
		verify := func(rows []audit.Row) error {
			v := audit.NewVerifier(checkpoints, keys)
			for _, r := range rows {
				if err := v.Row(r); err != nil {
					return err
				}
			}
			return v.End()
		}
		require.NoError(t, audit.VerifyCheckpoints(checkpoints, always, audit.Anchor{}))
		require.NoError(t, verify(rows))
		keep := rapid.IntRange(0, len(rows)-1).Draw(t, "kept")
		err := verify(rows[:keep])
		var broken audit.BrokenError
		require.ErrorAs(t, err, &broken)
		require.Equal(t, rows[keep].Writer, broken.Writer)
		require.Equal(t, rows[keep].Seq, broken.Seq)
		// Rewritten from some row on, with all hashes made anew with the keys: whole, but not what was
		// attested.
		var c audit.Chain
		forged := slices.Clone(rows)
		for i := range forged {
			if i > 0 && forged[i].Writer != forged[i-1].Writer {
				c = audit.Chain{}
			}
			if forged[i].Keyed {
				c = c.WithKey(keys(forged[i].Writer))
			}
			e := forged[i].Entry
			if i >= keep {
				e.Actor += "x"
			}
			forged[i] = c.Next(e.Writer, e)
			require.NoError(t, c.Follow(forged[i]))
		}
		_, err = audit.Verify(forged, keys)
		require.NoError(t, err)
		require.ErrorAs(t, verify(forged), &broken)
		require.Equal(t, rows[keep].Seq, broken.Seq)
	})
}

func TestCheckpointsCannotBeChanged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := ledger(t, chains(t))
		i := rapid.IntRange(0, len(all)-1).Draw(t, "checkpoint")
		c := &all[i]
		switch rapid.IntRange(0, 7).Draw(t, "what") {
		case 0:
			c.Seq++
		case 1:
			c.At = c.At.Add(time.Microsecond)
		case 2:
			c.Heads = nil
		case 3:
			c.Heads = slices.Clone(c.Heads)
			c.Heads[0].Seq--
		case 4:
			c.Heads = slices.Clone(c.Heads)
			c.Heads[0].Hash = []byte{1}
		case 5:
			c.Previous = []byte{1}
		case 6:
			c.Hash = []byte{1}
		default:
			all = slices.Delete(all, i, i+1)
			if i == len(all) {
				return // the last one: nothing says that it was there
			}
		}
		err := audit.VerifyCheckpoints(all, always, audit.Anchor{})
		var tampered audit.TamperedError
		require.ErrorAs(t, err, &tampered)
		require.Equal(t, i+1, tampered.Seq)
		require.NotEmpty(t, tampered.Error())
	})
}

func TestACheckpointNeedsItsSignatureAndMayNotGoBack(t *testing.T) {
	t.Parallel()
	var c audit.Chain
	r := c.Next(id.ID{1}, audit.Entry{At: now})
	require.NoError(t, c.Follow(r))
	all := ledger(t, []audit.Row{r})
	err := audit.VerifyCheckpoints(all, func(audit.Checkpoint) bool { return false }, audit.Anchor{})
	require.True(t, errors.As(err, new(audit.TamperedError)))
	require.NotEqual(t, all[0].Statement(), all[0].Hash)
	var l, empty audit.Ledger
	require.NoError(t, l.Follow(all[0]))
	require.Equal(t, 1, l.Seq())
	again, _ := empty.Next(all[0].Heads, now, false)
	again.Seq, again.Previous = 2, all[0].Hash
	require.Error(t, l.Follow(again))
}

// chain returns a writer's chain of n rows, keyed from the row of that number on.
func chain(writer byte, n, keyed int) []audit.Row {
	var c audit.Chain
	var rows []audit.Row
	for seq := 1; seq <= n; seq++ {
		if seq >= keyed {
			c = c.WithKey(keys(id.ID{writer}))
		}
		r := c.Next(id.ID{writer}, audit.Entry{At: now.Add(time.Duration(seq) * time.Second), Actor: "admin"})
		rows = append(rows, r)
		_ = c.Follow(r)
	}
	return rows
}

// TestARowForgedWithoutTheKeyIsFound: its own hash is right, because SHA-256 needs no key.
func TestARowForgedWithoutTheKeyIsFound(t *testing.T) {
	t.Parallel()
	rows := chain(1, 3, 1)
	end := audit.ChainAt(audit.Head{Writer: id.ID{1}, Seq: 3, Hash: rows[2].Hash})
	forged := end.Next(id.ID{1}, audit.Entry{At: now, Actor: "unknown1", Action: "KEYS_REPLACED"})
	broken := audit.BrokenError{}
	_, err := audit.Verify(append(slices.Clone(rows), forged), keys)
	require.ErrorAs(t, err, &broken)
	require.Equal(t, 4, broken.Seq)
	forged.Keyed = true
	_, err = audit.Verify(append(slices.Clone(rows), forged), keys)
	require.ErrorAs(t, err, &broken)
	require.Equal(t, 4, broken.Seq)
	guessed := end.WithKey([]byte("a key")).Next(id.ID{1}, audit.Entry{At: now, Actor: "unknown1"})
	_, err = audit.Verify(append(slices.Clone(rows), guessed), keys)
	require.ErrorAs(t, err, &broken)
	require.Equal(t, 4, broken.Seq)
	other := end.WithKey(keys(id.ID{2})).Next(id.ID{1}, audit.Entry{At: now, Actor: "unknown1"})
	_, err = audit.Verify(append(slices.Clone(rows), other), keys)
	require.ErrorAs(t, err, &broken, "a key is good for its own writer")
}

// TestRowsOfTheReleaseBeforeAreClosed by a checkpoint: those that it and its predecessors name stay believed, later
// ones are not.
func TestRowsOfTheReleaseBeforeAreClosed(t *testing.T) {
	t.Parallel()
	older, both := chain(1, 3, 9), chain(2, 4, 3)
	var l audit.Ledger
	first, moved := l.Next([]audit.Head{{Writer: id.ID{1}, Seq: 3, Hash: older[2].Hash}}, now, false)
	require.True(t, moved)
	require.False(t, first.Closes)
	require.NoError(t, l.Follow(first))
	closing, moved := l.Next([]audit.Head{{Writer: id.ID{2}, Seq: 4, Hash: both[3].Hash}}, now, true)
	require.True(t, moved)
	require.True(t, closing.Closes)
	require.NoError(t, l.Follow(closing))
	require.True(t, l.Closed())
	_, moved = l.Next(nil, now, true)
	require.False(t, moved, "once")
	checkpoints := []audit.Checkpoint{first, closing}
	verify := func(rows ...audit.Row) (audit.Count, error) {
		v := audit.NewVerifier(checkpoints, keys)
		for _, r := range rows {
			if err := v.Row(r); err != nil {
				return audit.Count{}, err
			}
		}
		return v.Count(), v.End()
	}
	all := slices.Concat(older, both)
	seen, err := verify(all...)
	require.NoError(t, err)
	require.Equal(t, []int{7, 2, 5}, []int{seen.Rows, seen.Writers, seen.Unkeyed})
	require.Equal(t, []any{id.ID{2}, 3}, []any{seen.FirstKeyed.Writer, seen.FirstKeyed.Seq})
	broken := audit.BrokenError{}
	end := audit.ChainAt(audit.Head{Writer: id.ID{1}, Seq: 3, Hash: older[2].Hash})
	_, err = verify(slices.Concat(older, []audit.Row{end.Next(id.ID{1}, audit.Entry{At: now})}, both)...)
	require.ErrorAs(t, err, &broken)
	require.Equal(t, 4, broken.Seq)
	_, err = verify(slices.Concat(all, chain(3, 1, 9))...)
	require.ErrorAs(t, err, &broken, "no new writer appears")
	_, err = verify(slices.Concat(all, chain(3, 1, 1))...)
	require.NoError(t, err)

	again := closing
	again.Seq, again.Previous = 3, closing.Hash
	require.Error(t, l.Follow(again))
	open := closing
	open.Closes = false
	require.ErrorAs(t, audit.VerifyCheckpoints([]audit.Checkpoint{first, open}, always, audit.Anchor{}),
		new(audit.TamperedError))
}

// TestAnAnchorKnowsWhatWasThere: nothing inside a log that began anew shows that there was another.
func TestAnAnchorKnowsWhatWasThere(t *testing.T) {
	t.Parallel()
	rows := chain(1, 3, 1)
	all := ledger(t, rows)
	anchor := audit.Anchor{Checkpoints: []audit.Mark{{Seq: 2, Hash: all[1].Hash}}}
	require.NoError(t, audit.VerifyCheckpoints(all, always, anchor))
	tampered := audit.TamperedError{}
	for _, now := range [][]audit.Checkpoint{nil, all[:1], ledger(t, chain(2, 3, 1))} {
		require.ErrorAs(t, audit.VerifyCheckpoints(now, always, anchor), &tampered)
		require.Equal(t, 2, tampered.Seq)
	}
	v := audit.NewVerifier(nil, keys, audit.Head{Writer: id.ID{1}, Seq: 3, Hash: rows[2].Hash})
	require.NoError(t, v.Row(rows[0]))
	require.NoError(t, v.Row(rows[1]))
	broken := audit.BrokenError{}
	require.ErrorAs(t, v.End(), &broken)
	require.Equal(t, 3, broken.Seq)
	require.NoError(t, v.Row(rows[2]))
	require.NoError(t, v.End())
}

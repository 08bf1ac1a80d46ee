package kossim_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos/kossim"
)

func TestStateSurvivesReopening(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.StateDir, opts.QuotaPerMinute = filepath.Join(t.TempDir(), "state"), 8
	sim := open(t, opts)
	made, err := sim.AddCustomers(kossim.Generate{Count: 3, Seed: 5})
	require.NoError(t, err)
	require.NoError(t, sim.Advance(24*time.Hour))
	c := connect(t, sim)
	first := change(t, c, order("t-1")).JSON200.Data
	second := order("t-2")
	second.LineNumber = made[2]
	change(t, c, second)
	refused := order("t-3")
	refused.LineNumber = "01012345679"
	change(t, c, refused)
	ledger, calls := sim.Ledger(), sim.Calls()
	require.Len(t, ledger, 2)
	require.Len(t, calls, 3)
	require.NoError(t, sim.Close())

	again := open(t, opts)
	require.Equal(t, ledger, again.Ledger())
	require.Equal(t, calls, again.Calls())
	require.Equal(t, noon.Add(24*time.Hour), again.Now())
	c = connect(t, again)
	require.Equal(t, first, change(t, c, order("t-1")).JSON200.Data, "the first answer again, also after a restart")
	require.Equal(t, kossim.InContractTerm, code(t, change(t, c, refused).Body))
	require.Equal(t, "t-2", customer(t, c, made[2]).ScheduledProduct.TransactionId)
	require.Equal(t, 200, recordWith(t, again, "Bearer "+token).Code)
	require.Equal(t, 200, recordWith(t, again, "Bearer "+token).Code)
	require.Equal(t, 429, recordWith(t, again, "Bearer "+token).Code, "the calls before the restart count")
	require.NoError(t, again.Reset())
	require.NoError(t, again.Close())

	empty := open(t, opts)
	require.Empty(t, empty.Ledger())
	require.Empty(t, empty.Calls())
	require.Equal(t, noon, empty.Now())
}

// A crash may cut the last record off at any byte: what was acknowledged before it must be there.
func TestTornLastRecord(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.StateDir = t.TempDir()
	sim := open(t, opts)
	c := connect(t, sim)
	change(t, c, order("t-1"))
	second := order("t-2")
	second.NewProductCode = "LTE-BASIC-001"
	change(t, c, second)
	require.NoError(t, sim.Close())
	file := filepath.Join(opts.StateDir, "kos.journal")
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	require.Len(t, lines, 7, "call, change and answer, twice; and nothing after the last line's end")
	upToSecondCall := len(bytes.Join(lines[:4], nil))
	for cutAt := upToSecondCall; cutAt < upToSecondCall+len(lines[4]); cutAt += 9 {
		require.NoError(t, os.WriteFile(file, whole[:cutAt], 0o600))
		sim, err := kossim.New(opts)
		require.NoError(t, err)
		require.Len(t, sim.Ledger(), 1, cutAt)
		require.Len(t, sim.Calls(), 2, cutAt)
		c := connect(t, sim)
		require.Equal(t, kossim.OK, code(t, change(t, c, second).Body), "was never answered, so it may come again")
		require.NoError(t, sim.Close())
		sim, err = kossim.New(opts)
		require.NoError(t, err, "what followed the torn record is readable")
		require.Len(t, sim.Ledger(), 2)
		require.NoError(t, sim.Close())
	}
}

func TestTornRecordWithALineEndIsDropped(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.StateDir = t.TempDir()
	file := filepath.Join(opts.StateDir, "kos.journal")
	require.NoError(t, os.WriteFile(file, []byte("{\"offset\":60000000000}\n{\"cal\x00\n"), 0o600))
	sim := open(t, opts)
	require.Equal(t, noon.Add(time.Minute), sim.Now())
}

func TestDamagedJournalIsRefused(t *testing.T) {
	t.Parallel()
	for name, journal := range map[string]string{
		"not JSON in the middle":        "{\n{\"offset\":0}\n",
		"answer to no call":             "{\"answer\":{\"n\":1}}\n{\"offset\":0}\n",
		"change of a line that is none": `{"change":{"transactionId":"t","lineNumber":"1","state":"APPLIED"}}` + "\n",
	} {
		opts := options()
		opts.StateDir = t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(opts.StateDir, "kos.journal"), []byte(journal), 0o600))
		_, err := kossim.New(opts)
		require.ErrorContains(t, err, "line 1", name)
	}
	opts := options()
	opts.StateDir = filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(opts.StateDir, nil, 0o600))
	_, err := kossim.New(opts)
	require.ErrorContains(t, err, "state directory")
	opts.StateDir = t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(opts.StateDir, "kos.journal"), 0o700))
	_, err = kossim.New(opts)
	require.ErrorContains(t, err, "journal")
}

func TestNothingIsAcknowledgedThatCannotBeKept(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.StateDir = t.TempDir()
	sim := open(t, opts)
	c := connect(t, sim)
	require.NoError(t, sim.Close()) // the journal is gone
	require.Equal(t, kossim.SystemError, code(t, change(t, c, order("t-1")).Body))
	require.Error(t, sim.Advance(time.Hour))
}

package spool_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/spool"
	"phonebill/adapters/vault"
	"phonebill/core/id"
	"phonebill/ports/portstest"
)

const childVariable = "PHONEBILL_SPOOL_CHILD"

// TestMain is the child of TestKilled when it is started as one.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

// child spools inquiries until it is killed and prints the id of each after it was acknowledged.
func child(dir string) int {
	keys, err := vault.Open(dir + "/keyring.json")
	s := &store{away: true}
	var w *spool.Inquiries
	if err == nil {
		w, err = spool.Open(spool.Config{Dir: dir + "/spool"}, spool.Deps{
			Store: s, Batches: s, Sealer: vault.Inquiries(keys), Alerts: &memory.Alerts{}, Log: slog.New(slog.DiscardHandler),
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				q := answered(portstest.Line(1))
				if w.Add(context.Background(), q) == nil {
					fmt.Println(q.ID)
				}
			}
		})
	}
	all.Wait()
	return 0
}

// TestKilled: the next process finds whatever was acknowledged before one was killed, over and over.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys, err := vault.OpenOrCreate(dir + "/keyring.json")
	require.NoError(t, err)
	acknowledged := map[id.ID]bool{}
	for round := range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			acked, err := id.Parse(lines.Text())
			if err != nil {
				break // cut off in the middle
			}
			acknowledged[acked] = true
			if n == 20+50*round {
				require.NoError(t, cmd.Process.Kill())
			}
		}
		require.Error(t, cmd.Wait())
	}
	s := &store{}
	w, err := spool.Open(spool.Config{Dir: dir + "/spool"}, spool.Deps{
		Store: s, Batches: s, Sealer: vault.Inquiries(keys), Alerts: &memory.Alerts{}, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	for n := 1; n > 0; {
		n, err = w.Replay(t.Context())
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.Greater(t, len(acknowledged), 5*20)
	for acked := range acknowledged {
		_, err := s.Get(t.Context(), acked)
		require.NoError(t, err, acked)
	}
}

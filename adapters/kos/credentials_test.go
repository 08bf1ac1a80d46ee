package kos_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/adapters/kos/kossim"
	"phonebill/core/fault"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

// keyFile is a file of keys and a client that uses it.
type keyFile struct {
	*link
	sim  *kossim.Simulator
	path string
	at   atomic.Int64 // nanoseconds since noon
}

func rotate(t *testing.T, lines ...string) *keyFile {
	t.Helper()
	f := &keyFile{path: filepath.Join(t.TempDir(), "kos.keys")}
	f.write(t, lines...)
	f.link, f.sim = simulate(t, func(c *kos.Config, d *kos.Deps) {
		var err error
		c.Keys, err = kos.OpenCredentials(f.path, func() time.Time { return noon.Add(time.Duration(f.at.Load())) }, d.Logger)
		require.NoError(t, err)
	})
	return f
}

// write replaces the file as an operator should: in one go.
func (f *keyFile) write(t *testing.T, lines ...string) {
	t.Helper()
	next := f.path + ".next"
	require.NoError(t, os.WriteFile(next, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	require.NoError(t, os.Rename(next, f.path))
}

func TestKeysAreOneOrTwo(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	path := filepath.Join(t.TempDir(), "keys")
	_, err := kos.OpenCredentials(path, now, log)
	require.ErrorIs(t, err, os.ErrNotExist)
	for _, bad := range []string{"", "\n \n", "a\nb\nc\n", "secret-with a-blank", "gehei\u00dfm", "bell\a"} {
		require.NoError(t, os.WriteFile(path, []byte(bad), 0o600))
		_, err := kos.OpenCredentials(path, now, log)
		require.ErrorContains(t, err, "one or two keys", bad)
		require.NotContains(t, err.Error(), "secret")
	}
	for _, good := range []string{"a", "a\n", "\r\n a \r\n\r\nb"} {
		require.NoError(t, os.WriteFile(path, []byte(good), 0o600))
		_, err := kos.OpenCredentials(path, now, log)
		require.NoError(t, err, good)
	}
	_, err = kos.FixedCredentials()
	require.Error(t, err)
	_, err = kos.New(kos.Config{URL: "http://kos.test"}, kos.Deps{})
	require.ErrorContains(t, err, "one or two keys")
}

// TestARefusedKeyGivesWay: a read is asked again at once by the other key, which later calls use from the start.
func TestARefusedKeyGivesWay(t *testing.T) {
	t.Parallel()
	l, sim := simulate(t, func(c *kos.Config, _ *kos.Deps) { c.Keys = keys(t, "old", token) })
	n := number(t, twoLines[0])
	_, err := l.Customer(t.Context(), read, n)
	require.NoError(t, err)
	_, f := l.ask(t.Context(), t, twoLines[0])
	require.Nil(t, f)
	require.Equal(t, []string{"customer.get REFUSED", "customer.get 0000", "bill.inquiry 0000"}, l.results())
	require.Equal(
		t,
		[]int{1, 2, 1},
		[]int{l.calls.Calls()[0].Attempt, l.calls.Calls()[1].Attempt, l.calls.Calls()[2].Attempt},
	)
	require.Equal(t, quota.Shares{quota.Read: 3}, l.quota.Spent(), "each attempt takes quota")
	require.Equal(t, []string{"kos_refuses_us customer.get"}, l.raised())

	require.NoError(t, sim.SetTokens("neither"))
	_, f = l.ask(t.Context(), t, twoLines[0])
	require.Equal(t, fault.ServiceUnavailable, f.Code())
	require.NotErrorIs(t, f, ports.ErrNotAsked)
	require.Len(t, l.results(), 5, "once more, not for ever")
	require.NoError(t, sim.SetTokens(token))
	_, f = l.ask(t.Context(), t, twoLines[0])
	require.Nil(t, f, "whichever of the two is in use now")
	require.Zero(t, l.metric(t, "kos_breaker_state", "bill.inquiry"))
	for _, secret := range []string{"old", token} {
		require.NotContains(t, l.log.String(), secret)
	}
}

// TestTheSecondBodyIsTheFirst: a bill is asked for by POST, whose body has been sent already.
func TestTheSecondBodyIsTheFirst(t *testing.T) {
	t.Parallel()
	l, _ := simulate(t, func(c *kos.Config, _ *kos.Deps) { c.Keys = keys(t, "old", token) })
	_, f := l.ask(t.Context(), t, twoLines[0])
	require.Nil(t, f)
	calls := l.calls.Calls()
	require.Len(t, calls, 2)
	require.Equal(t, calls[0].Request, calls[1].Request)
	require.Contains(t, string(calls[1].Request), twoLines[0])
}

// TestAChangeByARefusedKeyWasNotSent: KOS did not look at it, so the order may send it again; it is not repeated behind
// the order's back.
func TestAChangeByARefusedKeyWasNotSent(t *testing.T) {
	t.Parallel()
	l, sim := simulate(t, func(c *kos.Config, _ *kos.Deps) { c.Keys = keys(t, "old", token) })
	o := order(t, twoLines[0], premium, standard)
	require.Equal(t, product.Answer{Kind: product.AnswerNotSent, Why: "REFUSED"}, l.Change(t.Context(), change, o))
	require.Len(t, sim.Calls(), 1)
	require.Equal(t, product.AnswerAccepted, l.Change(t.Context(), change, o).Kind)
	require.Len(t, sim.Ledger(), 1)
	require.Equal(t, []string{"kos_refuses_us product.change"}, l.raised())
	single, _ := simulate(t, func(c *kos.Config, _ *kos.Deps) { c.Keys = keys(t, "old") })
	require.Equal(
		t,
		product.Answer{Kind: product.AnswerNotSent, Why: "REFUSED"},
		single.AskStatus(t.Context(), change, o),
		"nor a question about one",
	)
}

// TestTheFileIsReadAgain: every few seconds, and at once when a key is refused; what is not usable changes nothing.
func TestTheFileIsReadAgain(t *testing.T) {
	t.Parallel()
	f := rotate(t, token)
	asks := func() string {
		before := len(f.results())
		_, _ = f.ask(t.Context(), t, twoLines[0])
		return strings.Join(f.results()[before:], ", ")
	}
	require.Equal(t, "bill.inquiry 0000", asks())
	f.write(t, "next")
	require.NoError(t, f.sim.SetTokens(token, "next"))
	require.Equal(t, "bill.inquiry 0000", asks())
	require.NoError(t, f.sim.SetTokens("next"))
	require.Equal(t, "bill.inquiry REFUSED, bill.inquiry 0000", asks(), "one key gave way to another, in one file")

	f.write(t, "third")
	require.NoError(t, f.sim.SetTokens("third"))
	f.at.Store(int64(5 * time.Second))
	require.Equal(t, "bill.inquiry 0000", asks(), "it is time to look")

	f.write(t, "fourth", "third")
	f.at.Store(int64(10 * time.Second))
	require.Equal(t, "bill.inquiry 0000", asks(), "the key in use is still there")
	f.write(t, "a", "b", "c")
	f.at.Store(int64(15 * time.Second))
	require.Equal(t, "bill.inquiry 0000", asks())
	require.NoError(t, os.Remove(f.path))
	f.at.Store(int64(20 * time.Second))
	require.Equal(t, "bill.inquiry 0000", asks())
	require.Equal(t, 2, strings.Count(f.log.String(), "file of KOS keys is not usable"))
	require.NotContains(t, f.log.String(), "third")
}

// TestRotationUnderLoad: one key is replaced by another, step by step, while eight callers read all the time, and no
// call fails.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	f := rotate(t, token)
	f.quota.Window.Budget = 1_000_000
	var turns [8]chan struct{} // a call of each caller
	var asked [len(turns)]atomic.Int64
	var all sync.WaitGroup
	for i := range turns {
		turns[i] = make(chan struct{}, 100)
		all.Go(func() {
			for range turns[i] {
				var err error
				switch i % 3 {
				case 0:
					_, err = f.Bill(t.Context(), billed, number(t, twoLines[i%2]), month(t, "2026-11"))
				case 1:
					_, err = f.Customer(t.Context(), read, number(t, twoLines[i%2]))
				default:
					_, err = f.Plans(t.Context(), read)
				}
				if err != nil {
					t.Errorf("call %d of caller %d: %v", asked[i].Load(), i, err)
				}
				asked[i].Add(1)
			}
		})
	}
	defer all.Wait()
	defer func() {
		for _, turn := range turns {
			close(turn)
		}
	}()
	// more has each caller make six calls and waits for two of them, so that the others are under way at the next step. A
	// call that began before a step may not last beyond the next one, because it is tried with two keys, and no more.
	more := func() {
		var seen [len(turns)]int64
		for i, turn := range turns {
			seen[i] = asked[i].Load()
			for range 6 {
				turn <- struct{}{}
			}
		}
		for i := range asked {
			require.Eventually(t, func() bool { return asked[i].Load() >= seen[i]+2 }, time.Minute, time.Millisecond)
		}
	}
	current := token
	for _, next := range []string{"second", "third", "fourth"} {
		more()
		f.write(t, current, next) // 1. the operator adds the next key below the current one
		f.at.Add(int64(6 * time.Second))
		require.NoError(t, f.sim.SetTokens(current, next)) // 2. KOS accepts both
		more()
		require.NoError(t, f.sim.SetTokens(next)) // 3. KOS refuses the old one
		more()
		f.write(t, next) // 4. the old one is deleted
		f.at.Add(int64(6 * time.Second))
		current = next
	}
	more()
	require.NotEmpty(t, f.raised(), "and an alert says that a key was refused")
}

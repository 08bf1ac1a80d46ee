package mvnoap_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/mvnoap"
	"phonebill/adapters/mvnoap/mvnoapsim"
	"phonebill/core/delivery"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/ports"
)

// clock is one that a test turns.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return noon.Add(time.Duration(c.at.Load())) }
func (c *clock) forward(d time.Duration) { c.at.Add(int64(d)) }

func write(t *testing.T, file string, secrets ...string) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(secrets, "\n")+"\n"), 0o600))
}

// TestARotationUnderLoadRejectsNothing: eight senders never stop while ours and theirs are changed, in the order of
// docs/deliveries.md.
func TestARotationUnderLoadRejectsNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secrets")
	write(t, file, secret("old"))
	var theirs atomic.Pointer[mvnoapsim.Simulator]
	simulator := func(secrets ...string) *mvnoapsim.Simulator {
		sim, err := mvnoapsim.New(mvnoapsim.Options{Secrets: secrets, Clock: now})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, sim.Close()) })
		return sim
	}
	oldOnly, newOnly := simulator(secret("old")), simulator(secret("new"))
	theirs.Store(oldOnly)
	srv := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			theirs.Load().Handler().ServeHTTP(w, r)
		}))
	t.Cleanup(srv.Close)
	turned := &clock{}
	secrets, err := mvnoap.OpenSecrets(file, turned.now, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	c, err := mvnoap.New(mvnoap.Config{URL: srv.URL, Secrets: secrets}, silentDeps())
	require.NoError(t, err)
	publisher := c.ChangeResults()

	var accepted, others atomic.Int64
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for n := range byte(8) {
		senders.Go(func() {
			item := changeItem(t, n+1, product.Order{State: product.Completed, ResultMessage: product.ChangedMessage})
			for {
				select {
				case <-stop:
					return
				default:
				}
				if a := publisher.Publish(t.Context(), item); a.Outcome == delivery.Accepted {
					accepted.Add(1)
				} else {
					others.Add(1)
				}
			}
		})
	}
	more := func() {
		want := accepted.Load() + 50
		require.Eventually(t, func() bool { return accepted.Load() >= want || others.Load() > 0 }, 10*time.Second,
			time.Millisecond)
	}
	more()
	write(t, file, secret("old"), secret("new"))
	turned.forward(5 * time.Second)
	more() // so every attempt that was begun before the file was read is over
	theirs.Store(newOnly)
	more()
	write(t, file, secret("new"))
	turned.forward(5 * time.Second)
	more()
	close(stop)
	senders.Wait()
	require.Zero(t, others.Load(), "of %d", accepted.Load())
	require.Len(t, oldOnly.Received(), 8)
	require.Len(t, newOnly.Received(), 8)
}

func TestABadFileOfSecretsChangesNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secrets")
	_, err := mvnoap.OpenSecrets(file, now, slog.New(slog.DiscardHandler))
	require.Error(t, err, "at the start there must be one")
	write(t, file, secret("one"))
	var log bytes.Buffer
	turned := &clock{}
	secrets, err := mvnoap.OpenSecrets(file, turned.now, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	sim, url := simulate(t)
	c, err := mvnoap.New(mvnoap.Config{URL: url, Secrets: secrets}, silentDeps())
	require.NoError(t, err)
	send := func(n byte) delivery.Attempt {
		return c.BillResults().Publish(t.Context(), billItem(t, n, ports.BillResult{Inquiry: inquiry(t), Bill: whole(t)}))
	}
	write(t, file, "whsec_???")
	require.Equal(t, delivery.Accepted, send(1).Outcome)
	require.Empty(t, log.String(), "not looked at yet")
	turned.forward(5 * time.Second)
	require.Equal(t, delivery.Accepted, send(2).Outcome)
	require.Contains(t, log.String(), "the secrets stay as they were")
	require.NotContains(t, log.String(), "???")
	require.NoError(t, os.Remove(file))
	turned.forward(5 * time.Second)
	require.Equal(t, delivery.Accepted, send(3).Outcome)
	require.Len(t, sim.Received(), 3)
}

func TestTwoFixedSecretsBothSign(t *testing.T) {
	t.Parallel()
	_, url := simulate(t)
	secrets, err := mvnoap.FixedSecrets(personal.NewSecret(secret("two")), personal.NewSecret(secret("one")))
	require.NoError(t, err)
	c, err := mvnoap.New(mvnoap.Config{URL: url, Secrets: secrets}, silentDeps())
	require.NoError(t, err)
	a := c.ChangeResults().Publish(t.Context(), changeItem(t, 1, product.Order{State: product.Completed}))
	require.Equal(t, delivery.Accepted, a.Outcome)
}

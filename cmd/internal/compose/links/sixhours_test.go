package links

import (
	"context"
	"encoding/base64"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/mvnoap"
	"phonebill/adapters/mvnoap/mvnoapsim"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/vault"
	"phonebill/core/delivery/dispatch"
	"phonebill/core/personal"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// TestSixHoursOfAnAPThatFails is core/delivery/dispatch's drill on the real thing: PostgreSQL, signed HTTP, the AP
// simulator. Six hours in which three notifications in ten fail, half of those after they were taken, pass in half a
// minute; bills of 25 lines are delivered all the while. None is lost, each line is in order, and what came twice came
// under its own id.
func TestSixHoursOfAnAPThatFails(t *testing.T) {
	t.Parallel()
	const lines, hours, faster, every = 25, 6, 720, 40 * time.Millisecond
	began := time.Now()
	now := func() time.Time { return began.Add(time.Since(began) * faster).UTC() }
	secret := personal.NewSecret("whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of the drill")))
	ap, err := mvnoapsim.New(mvnoapsim.Options{Secrets: []string{secret.Reveal()}, Clock: now})
	require.NoError(t, err)
	var well atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch dice := rand.Float64(); {
		case well.Load() || dice >= .3:
			ap.Handler().ServeHTTP(w, r)
			return
		case dice < .15:
			ap.Handler().ServeHTTP(httptest.NewRecorder(), r)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(func() {
		require.NoError(t, ap.Close())
		server.Close()
	})
	secrets, err := mvnoap.FixedSecrets(secret)
	require.NoError(t, err)
	alerts := &memory.Alerts{}
	breaker := mvnoap.BreakerPolicy{Failures: 5, Open: 30 * time.Second / faster, Successes: 3}
	client, err := mvnoap.New(mvnoap.Config{URL: server.URL, Secrets: secrets, Timeout: apTimeout, Breaker: breaker},
		mvnoap.Deps{Now: now, Log: slog.New(slog.DiscardHandler), Alerts: alerts})
	require.NoError(t, err)

	keys, err := vault.OpenOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)
	db, sealed := pgtest.New(t, migrations.Bill), vault.Bills(keys)
	outbox := postgres.NewBillOutbox(db.Pool, keys, sealed)
	mail := portstest.BillOutbox(outbox, postgres.NewBills(db.Pool, keys, sealed, nil),
		postgres.NewInquiries(db.Pool, keys))
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for range apLoops {
		d := &dispatch.Service[ports.BillResult]{
			Outbox: outbox, Publisher: client.BillResults(), Now: now, Random: rand.Float64, Alerts: alerts,
			Lease: time.Hour, Attempt: apTimeout, Lines: apLines, EventsPerLine: apEach, // five real seconds
		}
		workers.Go(func() {
			for ctx.Err() == nil {
				if n, err := d.Step(ctx); n == 0 || err != nil {
					<-time.After(20 * time.Millisecond)
				}
			}
		})
	}
	made := 0
	for ; now().Sub(began) < hours*time.Hour; <-time.After(every) {
		mail.Final(t, made, portstest.Line(made%lines), now())
		made++
	}
	well.Store(true)
	delivered := func() int {
		n := 0
		require.NoError(t, db.Admin.QueryRow(t.Context(),
			"SELECT count(*) FROM inquiries WHERE delivery_state = 'DELIVERED'").Scan(&n))
		return n
	}
	require.Eventually(t, func() bool { return delivered() == made }, 2*time.Minute, 100*time.Millisecond)
	stop()
	workers.Wait()
	require.Empty(t, ap.Disorder())
	got, doubles := ap.Received(), 0
	for _, e := range got {
		doubles += e.Duplicates
	}
	t.Logf("%d results, %d arrived, %d of them again", made, len(got), doubles)
	require.Len(t, got, made, "each under one id")
	require.Positive(t, doubles)
}

package kos_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

// TestALateWorkerPutsNothingOnTheWire: the lease is looked at right before the first byte, on a new connection and on a
// kept one.
func TestALateWorkerPutsNothingOnTheWire(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"plain": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, l := simulated(t, secure)
			late := ports.Call{Lane: quota.Change, NotAfter: noon}
			timely := ports.Call{Lane: quota.Change, NotAfter: noon.Add(time.Microsecond)}
			o := order(t, "01012345678", premium, standard)
			require.Equal(t, product.AnswerNotSent, l.Change(t.Context(), late, o).Kind)
			require.Zero(t, sim(), "on a new connection")
			require.Equal(t, product.AnswerAccepted, l.Change(t.Context(), timely, o).Kind)
			require.Equal(t, int64(1), sim())
			require.Equal(t, product.AnswerNotSent, l.Change(t.Context(), late, o).Kind)
			require.Equal(t, int64(1), sim(), "on a kept connection")
			require.Equal(t, product.AnswerAccepted, l.Change(t.Context(), timely, o).Kind, "the link works on")
			require.Zero(t, l.metric(t, "kos_breaker_state", "product.change"), "it was no fault of KOS's")
		})
	}
}

// simulated is a simulator behind a server that counts requests.
func simulated(t *testing.T, secure bool) (requests func() int64, l *link) {
	t.Helper()
	_, sim := simulate(t)
	start := httptest.NewServer
	if secure {
		start = httptest.NewTLSServer
	}
	srv := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.requests.Add(1)
		sim.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	l = connect(t, srv.URL)
	if secure {
		kos.Trust(l.Client, srv)
	}
	return l.requests.Load, l
}

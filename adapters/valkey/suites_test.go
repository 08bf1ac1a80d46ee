package valkey_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestSessionsKeepTheContract(t *testing.T) {
	t.Parallel()
	portstest.Sessions(t, func(t *testing.T) ports.Sessions {
		t.Helper()
		c := open(t)
		return valkey.NewCachedSessions(c.Client, &memory.Sessions{}, c.vault, c.log)
	})
}

func TestBillsKeepTheContract(t *testing.T) {
	t.Parallel()
	portstest.Bills(t, func(t *testing.T) (ports.Bills, ports.Epochs) {
		t.Helper()
		bills, _, epochs, _ := open(t).lines()
		return bills, epochs
	})
}

func TestCustomersKeepTheContract(t *testing.T) {
	t.Parallel()
	portstest.Customers(t, func(t *testing.T) (ports.Customers, ports.Epochs) {
		t.Helper()
		_, customers, epochs, _ := open(t).lines()
		return customers, epochs
	})
}

func TestPlansKeepTheContract(t *testing.T) {
	t.Parallel()
	portstest.Plans(t, func(t *testing.T) ports.Plans {
		t.Helper()
		c := open(t)
		return valkey.NewCachedPlans(c.Client, &memory.Plans{}, vault.Plans(c.vault), c.log)
	})
}

func TestEpochsKeepTheContract(t *testing.T) {
	t.Parallel()
	portstest.Epochs(t, func(t *testing.T) ports.Epochs {
		t.Helper()
		_, _, epochs, _ := open(t).lines()
		return epochs
	})
}

func TestFlightsKeepTheContract(t *testing.T) {
	t.Parallel()
	portstest.Flights(t, func(t *testing.T) (one, other ports.Flights, pass func(time.Duration)) {
		t.Helper()
		c := open(t)
		return valkey.NewFlights(c.Client, c.vault, c.log), valkey.NewFlights(c.another(t), c.vault, c.log), wait
	})
}

// wait lets time pass for a server, whose clock nobody can move.
func wait(d time.Duration) { <-time.After(d) }

func TestFlightsOnMiniredis(t *testing.T) {
	t.Parallel()
	portstest.Flights(t, func(t *testing.T) (one, other ports.Flights, pass func(time.Duration)) {
		t.Helper()
		mini, now := miniredis.RunT(t), start
		mini.SetTime(now)
		connect := func() ports.Flights {
			c, err := valkey.Open(t.Context(), valkey.Config{Addr: mini.Addr(), Mini: true, Patience: time.Second})
			require.NoError(t, err)
			t.Cleanup(c.Close)
			return valkey.NewFlights(c, memory.Vault{}, slog.New(slog.DiscardHandler))
		}
		return connect(), connect(), func(d time.Duration) {
			now = now.Add(d)
			mini.SetTime(now)
			mini.FastForward(d)
		}
	})
}

// TestWithoutACacheTheContractHolds runs the suites with the cache out of reach from the start.
func TestWithoutACacheTheContractHolds(t *testing.T) {
	t.Parallel()
	gone := func(t *testing.T) *cache {
		t.Helper()
		c := open(t)
		c.wire.cut()
		return c
	}
	portstest.Sessions(t, func(t *testing.T) ports.Sessions {
		t.Helper()
		c := gone(t)
		return valkey.NewCachedSessions(c.Client, &memory.Sessions{}, c.vault, c.log)
	})
	portstest.Bills(t, func(t *testing.T) (ports.Bills, ports.Epochs) {
		t.Helper()
		bills, _, epochs, _ := gone(t).lines()
		return bills, epochs
	})
}

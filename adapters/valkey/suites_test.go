package valkey_test

import (
	"testing"
	"time"

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

func TestBillMonthsKeepTheContract(t *testing.T) {
	t.Parallel()
	portstest.BillMonths(t, func(t *testing.T) ports.BillMonths {
		t.Helper()
		c := open(t)
		return valkey.NewCachedBillMonths(c.Client, &memory.BillMonths{}, c.vault, vault.BillMonths(c.vault), time.Hour,
			c.log)
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

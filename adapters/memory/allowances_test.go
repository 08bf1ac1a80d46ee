package memory_test

import (
	"testing"
	"time"

	"phonebill/adapters/memory"
	"phonebill/core/quota"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestAllowances(t *testing.T) {
	t.Parallel()
	portstest.Allowances(t, func(_ *testing.T, allowed quota.Allowance) (one, other ports.Allowances) {
		a := memory.NewAllowances(allowed, time.Now)
		return a, a
	})
}

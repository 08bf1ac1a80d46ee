package memory_test

import (
	"testing"

	"phonebill/adapters/memory"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestMaintenance(t *testing.T) {
	t.Parallel()
	portstest.Maintenance(t, func(*testing.T) ports.MaintenanceSwitch { return &memory.Maintenance{} })
}

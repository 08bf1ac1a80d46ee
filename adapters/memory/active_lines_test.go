package memory_test

import (
	"testing"

	"phonebill/adapters/memory"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestActiveLines(t *testing.T) {
	t.Parallel()
	portstest.ActiveLines(t, func(*testing.T) ports.ActiveLines { return &memory.ActiveLines{} })
}

package memory_test

import (
	"testing"

	"phonebill/adapters/memory"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestBindings(t *testing.T) {
	t.Parallel()
	portstest.Bindings(t, func(*testing.T) ports.Bindings { return &memory.Bindings{} })
}

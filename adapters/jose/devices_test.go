package jose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/jose"
	"phonebill/adapters/memory"
	"phonebill/core/personal"
	"phonebill/ports/portstest"
)

func TestDevices(t *testing.T) {
	t.Parallel()
	devices := jose.NewDevices(memory.Vault{})
	portstest.Devices(t, devices)
	cookie := devices.Mint("hong", newID())
	require.Regexp(t, "^[0-9a-f]{8}$", cookie.Tag)
	clear := cookie.Value.Reveal()
	for n := range clear {
		flipped := []byte(clear)
		flipped[n] ^= 1
		_, ok := devices.Read("hong", personal.NewSecret(string(flipped)))
		require.Falsef(t, ok, "byte %d flipped", n)
	}
}

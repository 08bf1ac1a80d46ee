package memory_test

import (
	"testing"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/personal"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestDevices(t *testing.T) {
	t.Parallel()
	portstest.Devices(t, memory.Devices{})
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	portstest.Throttle(t, func(*testing.T) (one, two ports.Throttle) {
		one = &memory.Throttle{}
		return one, one
	})
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	portstest.Credentials(t, memory.Credentials{Hasher: &memory.Hasher{}}, func(password string) auth.User {
		return auth.User{UserID: "hong1234", PasswordHash: personal.NewSecret("$" + password)}
	})
}

func TestServiceKeys(t *testing.T) {
	t.Parallel()
	portstest.ServiceKeys(t, func(*testing.T) ports.ServiceKeys { return &memory.ServiceKeys{} })
}

package postgres_test

import (
	"testing"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestBindings(t *testing.T) {
	t.Parallel()
	portstest.Bindings(t, func(t *testing.T) ports.Bindings {
		t.Helper()
		return postgres.NewBindings(pgtest.New(t, migrations.KOS).Pool, keyring(t))
	})
}

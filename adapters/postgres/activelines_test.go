package postgres_test

import (
	"testing"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestActiveLines(t *testing.T) {
	t.Parallel()
	portstest.ActiveLines(t, func(t *testing.T) ports.ActiveLines {
		t.Helper()
		return postgres.NewActiveLines(pgtest.New(t, migrations.KOS).Pool, keyring(t))
	})
}

package postgres_test

import (
	"testing"

	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestServiceKeys(t *testing.T) {
	t.Parallel()
	portstest.ServiceKeys(t, func(t *testing.T) ports.ServiceKeys {
		t.Helper()
		return postgres.NewServiceKeys(pgtest.New(t, migrations.Auth).Pool)
	})
}

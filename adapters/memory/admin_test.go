package memory_test

import (
	"testing"

	"phonebill/adapters/memory"
	"phonebill/core/id"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func registry(t *testing.T) portstest.Registry {
	t.Helper()
	users, guesses, history := &memory.Users{}, &memory.Guesses{}, &memory.LoginHistory{}
	accounts := &memory.Accounts{Users: users, Guesses: guesses}
	return portstest.Registry{
		Users: users, Accounts: accounts, Import: accounts, Guesses: guesses, History: history, Records: history,
		Transfers: &memory.LineTransfers{Users: users},
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	portstest.Accounts(t, registry)
}

func TestLineTransfers(t *testing.T) {
	t.Parallel()
	portstest.LineTransfers(t, registry)
}

func TestExactSearches(t *testing.T) {
	t.Parallel()
	portstest.ExactSearches(t, func(_ *testing.T) ports.ExactSearches { return &memory.ExactSearches{} })
}

func TestAccountImport(t *testing.T) {
	t.Parallel()
	portstest.AccountImport(t, registry)
}

func TestLoginRecords(t *testing.T) {
	t.Parallel()
	portstest.LoginRecords(t, registry)
}

func TestAudit(t *testing.T) {
	t.Parallel()
	portstest.Audit(t, func(*testing.T) portstest.AuditFixture {
		trail := &memory.AuditTrail{}
		return portstest.AuditFixture{Trail: trail, Keys: memory.AuditKeys,
			Log: func(writer id.ID) ports.AuditLog { return trail.Log(writer) }}
	})
}

func TestSigner(t *testing.T) {
	t.Parallel()
	portstest.Signer(t, func(*testing.T) (signer, other ports.Signer) {
		return memory.Signer{},
			memory.Signer{KeyID: "other"}
	})
}

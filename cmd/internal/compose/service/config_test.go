package service

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/personal"
)

func TestTheGatewaysCredentialIsItsOwn(t *testing.T) {
	t.Parallel()
	shared := personal.NewSecret("shared")
	require.NoError(t, AuditCredential{}.Distinct(shared))
	require.NoError(t, AuditCredential{personal.NewSecret("own")}.Distinct(shared))
	require.ErrorContains(t, AuditCredential{shared}.Distinct(shared), "GATEWAY_AUDIT_TOKEN")
}

package devca_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/tlsfiles/devca"
)

func TestAnAuthorityIsMadeOnceAndRenewsInTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, err := devca.Open(dir, time.Now())
	require.NoError(t, err)
	p, err := ca.Issue("gateway", time.Now(), "localhost", "127.0.0.1")
	require.NoError(t, err)
	first, err := os.ReadFile(p.Cert)
	require.NoError(t, err)
	again, err := devca.Open(dir, time.Now())
	require.NoError(t, err)
	_, err = again.Issue("gateway", time.Now(), "localhost", "127.0.0.1")
	require.NoError(t, err)
	same, err := os.ReadFile(p.Cert)
	require.NoError(t, err)
	require.Equal(t, first, same, "it is still good")
	_, err = again.Issue("gateway", time.Now().AddDate(0, 0, 80), "localhost", "127.0.0.1")
	require.NoError(t, err)
	renewed, err := os.ReadFile(p.Cert)
	require.NoError(t, err)
	require.NotEqual(t, first, renewed)
	_, err = again.Issue("gateway", time.Now().AddDate(0, 0, 80), "elsewhere")
	require.NoError(t, err)
	other, err := os.ReadFile(p.Cert)
	require.NoError(t, err)
	require.NotEqual(t, renewed, other, "for other names")
	for _, secret := range []string{p.Key, filepath.Join(dir, "ca-key.pem")} {
		info, err := os.Stat(secret)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
}

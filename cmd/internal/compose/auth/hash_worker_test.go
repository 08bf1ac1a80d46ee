package auth

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheHashWorkerIsThisBinaryByDefault(t *testing.T) {
	t.Parallel()
	self := func() (string, error) { return "/opt/phonebill", nil }
	vars := map[string]string{"X": "1"}
	env := withHashWorker(func(key string) string { return vars[key] }, self)
	require.Equal(t, "/opt/phonebill", env(hashWorkerVariable))
	require.Equal(t, "1", env("X"))
	require.Empty(t, env("Y"))
	vars[hashWorkerVariable] = "off"
	require.Equal(t, "off", env(hashWorkerVariable))
	delete(vars, hashWorkerVariable)
	lost := withHashWorker(func(string) string { return "" }, func() (string, error) { return "", errors.New("no /proc") })
	require.Empty(t, lost(hashWorkerVariable))
}

func TestHashWorkerEndsWithItsInput(t *testing.T) {
	t.Parallel()
	require.Zero(t, serveHashes(strings.NewReader(""), &bytes.Buffer{}))
	require.Equal(t, 1, serveHashes(strings.NewReader("nonsense"), &bytes.Buffer{}))
}

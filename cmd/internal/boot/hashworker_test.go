package boot

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
	require.Equal(t, "/opt/phonebill", env(HashWorker))
	require.Equal(t, "1", env("X"))
	require.Empty(t, env("Y"))
	vars[HashWorker] = "off"
	require.Equal(t, "off", env(HashWorker))
	delete(vars, HashWorker)
	lost := withHashWorker(func(string) string { return "" }, func() (string, error) { return "", errors.New("no /proc") })
	require.Empty(t, lost(HashWorker))
}

func TestHashWorkerEndsWithItsInput(t *testing.T) {
	t.Parallel()
	require.Zero(t, answerHashes(strings.NewReader(""), &bytes.Buffer{}))
	require.Equal(t, 1, answerHashes(strings.NewReader("nonsense"), &bytes.Buffer{}))
}

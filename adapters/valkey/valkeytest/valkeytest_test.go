package valkeytest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/valkey/valkeytest"
)

func TestEachTestHasItsOwnPrefix(t *testing.T) {
	t.Setenv("PHONEBILL_TEST_VALKEY_ADDR", "127.0.0.1:1")
	t.Setenv("PHONEBILL_TEST_VALKEY_PASSWORD", "secret")
	addr, password, one := valkeytest.New(t)
	_, _, two := valkeytest.New(t)
	require.Equal(t, "127.0.0.1:1", addr)
	require.Equal(t, "secret", password)
	require.Regexp(t, "^test-[a-z0-9]{13}:$", one, "no braces: the prefix must not change a key's hash tag")
	require.NotEqual(t, one, two)
}

// verdict records how New ends a test instead of ending this one.
type verdict struct {
	testing.TB
	text string
}

func (*verdict) Helper() {}
func (v *verdict) Skipf(format string, args ...any) {
	v.text = "skip: " + fmt.Sprintf(format, args...)
	panic(v)
}

func (v *verdict) Fatalf(format string, args ...any) {
	v.text = "fatal: " + fmt.Sprintf(format, args...)
	panic(v)
}

func TestMissingServerSkipsOrFails(t *testing.T) {
	t.Setenv("PHONEBILL_TEST_VALKEY_ADDR", "")
	for required, want := range map[string]string{"": "run `make test`", "1": "fatal: PHONEBILL_TEST_VALKEY_ADDR"} {
		t.Setenv("PHONEBILL_TEST_REQUIRED", required)
		v := &verdict{TB: t}
		require.Panics(t, func() { valkeytest.New(v) })
		require.Contains(t, v.text, want)
	}
}

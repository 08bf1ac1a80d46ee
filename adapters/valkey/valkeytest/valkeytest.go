// Package valkeytest gives tests the real cache server that `make test` starts.
package valkeytest

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"
)

const (
	addrVariable     = "PHONEBILL_TEST_VALKEY_ADDR"
	passwordVariable = "PHONEBILL_TEST_VALKEY_PASSWORD"
	requiredVariable = "PHONEBILL_TEST_REQUIRED"
)

// New returns where the test server is, and a key prefix ("test-…:") of the test's own: tests share the server, so they
// put it before every key and never flush. Without a server the test is skipped, or fails when
// PHONEBILL_TEST_REQUIRED=1.
func New(t testing.TB) (addr, password, prefix string) {
	t.Helper()
	addr = os.Getenv(addrVariable)
	if addr == "" {
		if os.Getenv(requiredVariable) == "1" {
			t.Fatalf("%s is not set, but %s=1 demands it", addrVariable, requiredVariable)
		}
		t.Skipf("needs Valkey or Redis (%s is not set): run `make test`", addrVariable)
	}
	return addr, os.Getenv(passwordVariable), "test-" + strings.ToLower(rand.Text()[:13]) + ":"
}

package credentials

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"phonebill/core/fault"
	"phonebill/core/personal"
	"phonebill/ports"
)

var _ ports.PasswordHasher = (*Hasher)(nil)

// quick keeps tests fast.
var quick = HashParams{MemoryKiB: 64, Passes: 1, Lanes: 1}

func secret(s string) personal.Secret { return personal.NewSecret(s) }

func TestHashAndMatch(t *testing.T) {
	t.Parallel()
	h := NewHasher(quick)
	one, err := h.Hash(t.Context(), secret("비밀번호1!"))
	require.NoError(t, err)
	two, err := h.Hash(t.Context(), secret("비밀번호1!"))
	require.NoError(t, err)
	require.NotEqual(t, one, two, "salted")
	require.True(t, strings.HasPrefix(one.Reveal(), "$argon2id$v=19$m=64,t=1,p=1$"), one.Reveal())
	for password, want := range map[string]bool{"비밀번호1!": true, "비밀번호1": false, "": false} {
		ok, stale, err := h.Matches(t.Context(), one, secret(password))
		require.NoError(t, err)
		require.Equal(t, want, ok, password)
		require.False(t, stale)
	}
}

// TestReferenceVectors takes hashes from the reference implementation's tests (P-H-C/phc-winner-argon2, src/test.c).
func TestReferenceVectors(t *testing.T) {
	t.Parallel()
	h := NewHasher(quick)
	for _, hash := range []string{
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	} {
		ok, stale, err := h.Matches(t.Context(), secret(hash), secret("password"))
		require.NoError(t, err)
		require.True(t, ok, hash)
		require.True(t, stale, "made with other parameters than today's")
		ok, _, err = h.Matches(t.Context(), secret(hash), secret("differentpassword"))
		require.NoError(t, err)
		require.False(t, ok)
	}
}

func TestDefaultIsProductMd(t *testing.T) {
	t.Parallel()
	require.Equal(t, HashParams{MemoryKiB: 19456, Passes: 2, Lanes: 1}, DefaultHashParams())
}

// TestUnknownUserCostsTheSame is ADR 16: the stand-in for a missing hash has today's parameters, and no password fits
// it.
func TestUnknownUserCostsTheSame(t *testing.T) {
	t.Parallel()
	h := NewHasher(quick)
	p, salt, key, err := decode(h.dummy.Reveal())
	require.NoError(t, err)
	require.Equal(t, quick, p)
	require.Len(t, salt, saltSize)
	require.Len(t, key, keySize)
	ok, stale, err := h.Matches(t.Context(), personal.Secret{}, secret(""))
	require.NoError(t, err)
	require.False(t, ok)
	require.False(t, stale)
}

// TestAHashOfTheBytesAsTyped: one that was made elsewhere of NFD is found and renewed, at the same number of hashes for
// every account.
func TestAHashOfTheBytesAsTyped(t *testing.T) {
	t.Parallel()
	h := NewHasher(quick)
	worked := 0
	h.work = func(j job) []byte { worked++; return j.run() }
	nfc := "각하의 열쇠 하나"
	nfd := norm.NFD.String(nfc)
	salt := make([]byte, saltSize)
	elsewhere := h.encode(salt, job{HashParams: quick, Password: []byte(nfd), Salt: salt}.run())
	ours, err := h.Hash(t.Context(), secret(nfd))
	require.NoError(t, err)
	for _, c := range []struct {
		hash, typed string
		ok, stale   bool
		work        int
	}{
		{elsewhere.Reveal(), nfd, true, true, 2}, {elsewhere.Reveal(), nfc, false, false, 1},
		{ours.Reveal(), nfd, true, false, 1}, {ours.Reveal(), nfc, true, false, 1},
		{ours.Reveal(), nfd + "x", false, false, 2}, {"", nfd, false, false, 2}, {"", nfc, false, false, 1},
	} {
		worked = 0
		ok, stale, err := h.Matches(t.Context(), secret(c.hash), secret(c.typed))
		require.NoError(t, err)
		require.Equal(t, []any{c.ok, c.stale, c.work}, []any{ok, stale, worked}, c)
	}
}

func TestMalformedHashIsAnErrorThatHidesIt(t *testing.T) {
	t.Parallel()
	h := NewHasher(quick)
	const good = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	for _, bad := range []string{
		"password", "$2b$12$abcdefghijklmnopqrstuv", "$", strings.Replace(good, "argon2id", "argon2i", 1),
		strings.Replace(good, "v=19", "v=16", 1), strings.Replace(good, "m=256", "m=x", 1),
		strings.Replace(good, "t=2", "t=0", 1), strings.Replace(good, "p=1", "p=0", 1),
		strings.Replace(good, "p=1", "p=256", 1), strings.Replace(good, "c29tZ", "*9tZ", 1),
		good + "AA", good[:len(good)-4], good[:strings.LastIndex(good, "$")],
	} {
		ok, _, err := h.Matches(t.Context(), secret(bad), secret("password"))
		require.Error(t, err, bad)
		require.False(t, ok)
		require.NotContains(t, err.Error(), "c29tZ")
	}
}

// TestFullQueue occupies every turn: a caller that waits longer than the queue's timeout, or its own, gets a
// Retry-After.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	for name, timeout := range map[string]time.Duration{"queue": time.Hour, "caller": time.Second} {
		synctest.Test(t, func(t *testing.T) {
			h := NewHasher(quick)
			for range cap(h.turns) {
				h.turns <- struct{}{}
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			began := time.Now()
			_, err := h.Hash(ctx, secret("x"))
			require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), name)
			require.Equal(t, retryAfter, fault.From(err).RetryAfter())
			require.Equal(t, min(timeout, queue), time.Since(began), name)
			_, _, err = h.Matches(ctx, personal.Secret{}, secret("x"))
			require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), name)

			<-h.turns // one ends: the next has its turn
			_, err = h.Hash(t.Context(), secret("x"))
			require.NoError(t, err, name)
		})
	}
}

func TestManyAtOnceAllGetTheirTurn(t *testing.T) {
	t.Parallel()
	h := NewHasher(quick)
	manyAtOnce(t, h)
	require.Empty(t, h.turns, "every turn was given back")
}

func manyAtOnce(t *testing.T, h ports.PasswordHasher) {
	t.Helper()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := h.Hash(t.Context(), secret("x")); err != nil {
				t.Errorf("hash: %v", err)
			}
		})
	}
	all.Wait()
}

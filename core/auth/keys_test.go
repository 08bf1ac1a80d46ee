package auth_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/auth"
)

func at(d time.Duration) time.Time { return now.Add(d) }

func kids(keys []auth.SigningKey) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.KeyID)
	}
	return out
}

func TestWhichKeyIsForWhat(t *testing.T) {
	t.Parallel()
	s := auth.KeySchedule{Every: 30 * 24 * time.Hour, Lead: 10 * time.Minute, Keep: 31 * time.Minute}
	key := func(kid string, begins time.Duration) auth.SigningKey {
		return auth.SigningKey{KeyID: kid, CreatedAt: at(begins), ActiveAt: at(begins)}
	}
	retired := func(k auth.SigningKey, when time.Duration) auth.SigningKey { k.RetiredAt = at(when); return k }
	for name, c := range map[string]struct {
		keys      []auth.SigningKey
		signer    string // empty = none
		published []string
		due       bool
		begins    time.Duration
	}{
		"none":      {nil, "", nil, true, 0},
		"fresh":     {[]auth.SigningKey{key("a", 0)}, "a", []string{"a"}, false, 0},
		"not begun": {[]auth.SigningKey{key("a", 1)}, "", []string{"a"}, true, 0},
		"next one waits": {[]auth.SigningKey{key("a", -time.Hour), key("b", time.Minute)}, "a", []string{"b", "a"},
			false, 0},
		"superseded just now": {[]auth.SigningKey{key("a", -time.Hour), key("b", 0)}, "b", []string{"b", "a"}, false, 0},
		"superseded as long": {[]auth.SigningKey{key("a", -time.Hour), key("b", -s.Keep)}, "b", []string{"b", "a"}, false,
			0},
		"superseded too long": {[]auth.SigningKey{key("a", -time.Hour), key("b", -s.Keep-1)}, "b", []string{"b"}, false,
			0},
		"old, before the lead": {[]auth.SigningKey{key("a", -s.Every+s.Lead+1)}, "a", []string{"a"}, false, 0},
		"old":                  {[]auth.SigningKey{key("a", -s.Every+s.Lead)}, "a", []string{"a"}, true, s.Lead},
		"very old":             {[]auth.SigningKey{key("a", -2*s.Every)}, "a", []string{"a"}, true, s.Lead},
		"retired from now on":  {[]auth.SigningKey{retired(key("a", -time.Hour), 0)}, "", nil, true, 0},
		"retired from then on": {[]auth.SigningKey{retired(key("a", -time.Hour), 1)}, "a", []string{"a"}, false, 0},
		"the younger is retired": {[]auth.SigningKey{key("a", -2*s.Keep), retired(key("b", -s.Keep-1), 0)}, "a",
			[]string{"a"}, false, 0},
		"three generations": {
			[]auth.SigningKey{key("a", -2*time.Minute), key("b", -time.Minute), key("c", 0)}, "c", []string{"c", "b", "a"},
			false, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signer, ok := s.Signer(c.keys, now)
			require.Equal(t, c.signer, signer.KeyID)
			require.Equal(t, c.signer != "", ok)
			require.Equal(t, c.published, kids(s.Published(c.keys, now)))
			begins, due := s.Due(c.keys, now)
			require.Equal(t, c.due, due)
			if due {
				require.Equal(t, at(c.begins), begins)
			}
		})
	}
	pending, ok := s.Pending([]auth.SigningKey{key("a", -time.Hour), key("b", time.Minute)}, now)
	require.True(t, ok)
	require.Equal(t, "b", pending.KeyID)
	_, ok = s.Pending([]auth.SigningKey{key("a", 0)}, now)
	require.False(t, ok)
	_, ok = s.Pending(nil, now)
	require.False(t, ok)
}

// TestAKeyIsKnownBeforeItSignsAndAsLongAsItsTokensLive walks through a year of rotations by a worker that comes at any
// pace.
func TestAKeyIsKnownBeforeItSignsAndAsLongAsItsTokensLive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := auth.DefaultKeys()
		keys := []auth.SigningKey{{KeyID: "0", CreatedAt: now, ActiveAt: now}}
		seen := map[string]time.Time{"0": now.Add(-s.Lead)} // when it was first published
		signed := map[string]time.Time{}                    // when it last signed
		clock := now
		for range 400 {
			clock = clock.Add(time.Duration(rapid.IntRange(1, 3*24*3600).Draw(t, "seconds")) * time.Second)
			if begins, due := s.Due(keys, clock); due {
				keys = append(keys, auth.SigningKey{KeyID: string(rune('0' + len(keys))), CreatedAt: clock, ActiveAt: begins})
			}
			published := map[string]bool{}
			for _, k := range s.Published(keys, clock) {
				published[k.KeyID] = true
				if _, ok := seen[k.KeyID]; !ok {
					seen[k.KeyID] = clock
				}
			}
			require.LessOrEqual(t, len(published), 3, "current, previous, next")
			signer, ok := s.Signer(keys, clock)
			require.True(t, ok)
			require.True(t, published[signer.KeyID])
			require.GreaterOrEqual(t, clock.Sub(seen[signer.KeyID]), s.Lead, "it signs before every verifier can know it")
			signed[signer.KeyID] = clock
			for kid, last := range signed {
				if clock.Sub(last) < auth.DefaultSessions().Access {
					require.True(t, published[kid], "its tokens still live")
				}
			}
		}
	})
}

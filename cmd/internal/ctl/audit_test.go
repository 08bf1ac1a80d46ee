package ctl

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/audit"
	"phonebill/core/id"
)

// TestAnchorsAreReadFromWhereverTheyStand: given, printed by the command, or in the auth service's log in either
// format.
func TestAnchorsAreReadFromWhereverTheyStand(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("ab", 32)
	raw, err := hex.DecodeString(hash)
	require.NoError(t, err)
	writer := "019c0000-0000-7000-8000-000000000001"
	of, err := id.Parse(writer)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "auth.log")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join([]string{
		`{"time":"2026-11-29T20:00:00Z","level":"INFO","msg":"audit checkpoint","unit":"auth","seq":3,"hash":"` + hash + `"}`,
		`{"time":"2026-11-29T20:00:00Z","msg":"audit","actor":"admin","writer":"` + writer +
			`","seq":7,"hash":"` + hash + `"}`,
		`time=2026-11-29T20:00:00Z level=INFO msg="audit checkpoint" unit=auth seq=4 hash=` + hash,
		`time=2026-11-29T20:00:00Z level=INFO msg=audit unit=auth actor=admin writer=` + writer + ` seq=8 hash=` + hash,
		"anchor for the next time: 5:" + hash, "6:" + strings.ToUpper(hash),
		`{"msg":"audit checkpoint","seq":0,"hash":"` + hash + `"}`, `{"msg":"audit checkpoint","seq":9,"hash":"xy"}`,
		`{"msg":"login","seq":9,"hash":"` + hash + `"}`, `{"msg":"audit","writer":"x","seq":9,"hash":"` + hash + `"}`,
		"", "{", "7:abc",
	}, "\n")), 0o600))
	got, err := readAnchors([]string{"1:" + hash, path})
	require.NoError(t, err)
	require.Equal(t, audit.Anchor{
		Checkpoints: []audit.Mark{{Seq: 1, Hash: raw}, {Seq: 3, Hash: raw}, {Seq: 4, Hash: raw}, {Seq: 5, Hash: raw},
			{Seq: 6, Hash: raw}},
		Rows: []audit.Head{{Writer: of, Seq: 7, Hash: raw}, {Writer: of, Seq: 8, Hash: raw}},
	}, got)
	_, err = readAnchors([]string{"7:abc"})
	require.ErrorContains(t, err, "--anchor is SEQ:HASH or a file")
	empty := filepath.Join(t.TempDir(), "empty.log")
	require.NoError(t, os.WriteFile(empty, []byte("nothing\n"), 0o600))
	_, err = readAnchors([]string{empty})
	require.ErrorContains(t, err, "holds no anchor", "a file that says nothing must not pass for one that agrees")
}

package boot

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheVersionNamesCommitAndDate(t *testing.T) {
	t.Parallel()
	built := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123abc"}, {Key: "vcs.time", Value: "2026-11-30T12:00:00Z"},
		{Key: "vcs.modified", Value: "false"},
	}}
	require.Equal(t, "phonebill v0.7.0, commit 0123abc of 2026-11-30T12:00:00Z, "+runtime.Version(),
		describe("v0.7.0", built))
	built.Settings[2].Value = "true"
	require.Contains(t, describe("v0.7.0", built), "commit 0123abc with changes of")
	require.Equal(t, "phonebill (not a release build), commit unknown of unknown date, "+runtime.Version(),
		describe("", nil))
}

func TestTheReleaseIsTheVersionElseTheCommit(t *testing.T) {
	t.Parallel()
	built := &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}}}
	for name, c := range map[string]struct {
		version string
		info    *debug.BuildInfo
		want    string
	}{
		"a release":        {"v0.7.0", built, "v0.7.0"},
		"a commit":         {"", built, "commit 0123456789ab"},
		"without a commit": {"", &debug.BuildInfo{}, "unknown"},
		"nothing known":    {"", nil, "unknown"},
	} {
		require.Equal(t, c.want, release(c.version, c.info), name)
	}
}

func TestVersionIsAskedForAlone(t *testing.T) {
	t.Parallel()
	require.True(t, asksVersion([]string{"gateway", "--version"}))
	require.True(t, asksVersion([]string{"gateway", "-version"}))
	require.False(t, asksVersion([]string{"gateway"}))
	require.False(t, asksVersion([]string{"gateway", "--version", "-split"}))
}

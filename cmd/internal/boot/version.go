package boot

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
)

// version is set by the linker: `make build` passes what `git describe` prints.
var version string

// Version returns the version of this program, the commit that it is built from and that commit's date.
func Version() string {
	info, _ := debug.ReadBuildInfo()
	return describe(version, info)
}

// Release returns the version of this program in short; the commit when it is no release build.
func Release() string {
	info, _ := debug.ReadBuildInfo()
	return release(version, info)
}

// release returns what is known of it; info is nil when the program has no build information.
func release(version string, info *debug.BuildInfo) string {
	const short = 12 // letters of a commit that tell it from the others
	if version != "" || info == nil {
		return cmp.Or(version, "unknown")
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "commit " + s.Value[:min(short, len(s.Value))]
		}
	}
	return "unknown"
}

// describe returns what is known; info is nil when the program has no build information.
func describe(version string, info *debug.BuildInfo) string {
	vcs := map[string]string{}
	if info != nil {
		for _, s := range info.Settings {
			vcs[s.Key] = s.Value
		}
	}
	commit := cmp.Or(vcs["vcs.revision"], "unknown")
	if vcs["vcs.modified"] == "true" {
		commit += " with changes"
	}
	return fmt.Sprintf("phonebill %s, commit %s of %s, %s", cmp.Or(version, "(not a release build)"), commit,
		cmp.Or(vcs["vcs.time"], "unknown date"), runtime.Version())
}

// asksVersion reports whether a command line asks for the version and for nothing else.
func asksVersion(args []string) bool {
	return slices.Equal(args[1:], []string{"--version"}) || slices.Equal(args[1:], []string{"-version"})
}

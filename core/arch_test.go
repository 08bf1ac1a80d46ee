package core_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "phonebill/"

type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

// load lists every package of the module with its direct imports (tests left out).
func load(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Standard", module+"...")
	out, err := cmd.Output()
	require.NoError(t, err)
	all := map[string]pkg{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p pkg
		require.NoError(t, dec.Decode(&p))
		all[p.ImportPath] = p
	}
	return all
}

// isNoun reports whether it is core/<context>; isVerb, whether it is core/<context>/<use case>.
func isNoun(path string) bool {
	rest, ok := strings.CutPrefix(path, module+"core/")
	return ok && !strings.Contains(rest, "/")
}

func isVerb(path string) bool {
	rest, ok := strings.CutPrefix(path, module+"core/")
	return ok && strings.Contains(rest, "/")
}

// family is the folder of one adapter: adapters/postgres for everything below it.
func family(path string) string {
	rest, ok := strings.CutPrefix(path, module+"adapters/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func isStd(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && !strings.HasPrefix(path, module)
}

// plumbing is adapters/internal: no adapter but what several need below them (running a child process), std only.
const plumbing = "internal"

// normalisation is the tables of Unicode that the standard library lacks; core/personal alone uses them.
const normalisation = "golang.org/x/text/unicode/norm"

// forbiddenInNouns are the standard packages that mean I/O, clocks by stealth, or logging.
var forbiddenInNouns = map[string]bool{
	"context": true, "os": true, "net": true, "net/http": true, "io": true, "log": true, "log/slog": true,
	"database/sql":  true,
	"encoding/json": true, "math/rand": true, "math/rand/v2": true, "crypto/rand": true, "syscall": true,
}

// TestImportLaw is the house rule of docs/architecture.md: nouns <- ports <- verbs; adapters never import each other.
func TestImportLaw(t *testing.T) {
	t.Parallel()
	all := load(t)
	require.Greater(t, len(all), 10, "go list found too few packages to judge")
	for path, p := range all {
		for _, imp := range p.Imports {
			switch {
			case isNoun(path):
				ok := isNoun(imp) || (isStd(imp) && !forbiddenInNouns[imp]) ||
					path == module+"core/personal" && imp == normalisation
				require.Truef(t, ok, "noun %s imports %s: nouns know the standard library and other nouns only", path, imp)
			case path == module+"ports":
				ok := isNoun(imp) || isStd(imp)
				require.Truef(t, ok, "ports imports %s: ports know nouns only", imp)
			case isVerb(path):
				ok := isNoun(imp) || isVerb(imp) || imp == module+"ports" || isStd(imp)
				require.Truef(t, ok, "verb %s imports %s: verbs know nouns and ports", path, imp)
			case family(path) == plumbing:
				require.Truef(t, isStd(imp), "%s imports %s: plumbing below the adapters knows the standard library only",
					path, imp)
			case family(path) != "":
				other := family(imp)
				ok := other == "" || other == family(path) || other == plumbing
				require.Truef(t, ok, "adapter %s imports adapter %s: cmd wires them", path, imp)
				require.Falsef(t, strings.HasPrefix(imp, module+"cmd/"), "adapter %s imports %s", path, imp)
			}
		}
	}
}

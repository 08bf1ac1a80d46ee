package ctl

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// catalogued are the functions whose first text is looked up in the catalogue; in "every" each text is.
var catalogued = map[string]string{
	"said": "first", "say": "first", "row": "first", "failf": "first", "text": "first", "head": "every",
}

// spoken are the texts of this package: those of the command tree as they are before they are translated, and those
// that the source hands to the functions above.
func spoken(t *testing.T) []string {
	t.Helper()
	seen := map[string]bool{}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), name, raw, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			called := ""
			switch f := call.Fun.(type) {
			case *ast.Ident:
				called = f.Name
			case *ast.SelectorExpr:
				called = f.Sel.Name
			}
			for _, arg := range call.Args {
				if catalogued[called] == "" {
					break
				}
				lit, ok := arg.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					continue
				}
				value, err := strconv.Unquote(lit.Value)
				require.NoError(t, err)
				seen[value] = true
				if catalogued[called] == "first" {
					break
				}
			}
			return true
		})
	}
	walk((Console{lang: english, Env: func(string) string { return "" }}).tree(func() {}), func(cmd *cobra.Command) {
		for _, text := range []string{cmd.Short, cmd.Long} {
			seen[text] = true
		}
		for _, q := range quoted.FindAllString(cmd.Example, -1) {
			seen[strings.Trim(q, `"`)] = true
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			usage := f.Usage
			if c, ok := f.Value.(*choice); ok {
				usage = strings.TrimSuffix(usage, " ("+strings.Join(c.words, ", ")+")")
			}
			seen[usage] = true
		})
	})
	delete(seen, "")
	return slices.Sorted(maps.Keys(seen))
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, visit)
	}
}

func TestEveryTextIsKnownInKorean(t *testing.T) {
	t.Parallel()
	for _, key := range spoken(t) {
		require.False(t, hasHangul(key), "%q is no English text", key)
		words := strings.NewReplacer("%s", "", "%d", "", "%w", "", "%q", "", "%x", "").Replace(key)
		if strings.ContainsFunc(words, func(r rune) bool { return r >= 'a' && r <= 'z' }) { // else it has none
			require.True(t, hasHangul(korean[key]), "%q has no Korean text", key)
		}
	}
}

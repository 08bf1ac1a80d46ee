package compose_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/credentials"
	"phonebill/adapters/kos"
	"phonebill/adapters/mvnoap"
	"phonebill/adapters/spool"
	"phonebill/cmd/internal/allinone"
	"phonebill/cmd/internal/boot"
	"phonebill/cmd/internal/compose/auth"
	"phonebill/cmd/internal/compose/billinquiry"
	"phonebill/cmd/internal/compose/gateway"
	"phonebill/cmd/internal/compose/productchange"
	"phonebill/cmd/internal/compose/simulators"
	core "phonebill/core/auth"
	"phonebill/core/freshness"
	"phonebill/core/product"
	"phonebill/core/product/reconciliation"
	"phonebill/core/quota"
)

var update = flag.Bool("update", false,
	"rewrite the table of docs/configuration.md and cmd/internal/boot/variables.txt from the structs")

// sources are the folders with the structs of configurations, in the order of the table.
var sources = []string{
	"gateway", "auth", "billinquiry", "productchange", "links", "stores", "service", "../devstack", "simulators",
	"../../migrate", "../boot",
}

// programs are who reads what.
func programs() map[string][]boot.Variable {
	return map[string][]boot.Variable{
		"gateway": boot.Variables[gateway.Config](), "auth": boot.Variables[auth.Config](),
		"bill-inquiry": boot.Variables[billinquiry.Config](), "product-change": boot.Variables[productchange.Config](),
		"kos-simulator": boot.Variables[simulators.KOS](), "mvnoap-simulator": boot.Variables[simulators.AP](),
		"make run": slices.DeleteFunc(boot.Variables[allinone.Config](), func(v boot.Variable) bool {
			return !slices.Contains([]string{"PHONEBILL_DATA", "DATABASE_URL"}, v.Name) // the others are its parts'
		}),
	}
}

type documented struct {
	name, def string
	required  bool
	meanings  []string
}

// TestConfigurationIsDocumented compares the table of docs/configuration.md with the structs: every variable with its
// default and its meaning, which is the field's comment.
func TestConfigurationIsDocumented(t *testing.T) {
	t.Parallel()
	all := documentedVariables(t)
	const page, names = "../../../docs/configuration.md", "../boot/variables.txt"
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	const begin = "| variable | default | read by | meaning |\n|---|---|---|---|\n"
	text, _, found := strings.Cut(string(raw), begin)
	require.True(t, found, "the table begins with %q", begin)
	var table, list strings.Builder
	table.WriteString(text + begin)
	for _, v := range all {
		require.NotEmpty(t, v.meanings, "%s has no comment", v.name)
		_, _ = fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", v.name, v.shown(), readBy(v.name),
			fromDocs(strings.Join(v.meanings, " ")))
		list.WriteString(v.name + "\n")
	}
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(table.String()), 0o600))
		require.NoError(t, os.WriteFile(names, []byte(list.String()), 0o600))
		return
	}
	require.Equal(t, table.String(), string(raw), "run go test ./cmd/internal/compose -update")
	raw, err = os.ReadFile(names)
	require.NoError(t, err)
	require.Equal(t, list.String(), string(raw), "run go test ./cmd/internal/compose -update")
}

func (v documented) shown() string {
	switch {
	case v.required:
		return "required"
	case v.def == "":
		return ""
	}
	return "`" + v.def + "`"
}

// readBy names the programs that read a variable.
func readBy(name string) string {
	var by []string
	for program, variables := range programs() {
		if slices.ContainsFunc(variables, func(v boot.Variable) bool { return v.Name == name }) {
			by = append(by, program)
		}
	}
	slices.Sort(by)
	switch len(by) {
	case 0:
		return "migrate" // its configuration is in its main package
	case 6:
		return "all"
	}
	return strings.Join(by, ", ")
}

// documentedVariables finds the fields with the tag env, each variable once.
func documentedVariables(t *testing.T) []*documented {
	t.Helper()
	var all []*documented
	for _, dir := range sources {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			require.NoError(t, err)
			ast.Inspect(file, func(n ast.Node) bool {
				if field, ok := n.(*ast.Field); ok && field.Tag != nil {
					all = add(t, all, field)
				}
				return true
			})
		}
	}
	return all
}

func add(t *testing.T, all []*documented, field *ast.Field) []*documented {
	t.Helper()
	text, err := strconv.Unquote(field.Tag.Value)
	require.NoError(t, err)
	tag := reflect.StructTag(text)
	name, option, _ := strings.Cut(tag.Get("env"), ",")
	if name == "" {
		return all
	}
	at := slices.IndexFunc(all, func(v *documented) bool { return v.name == name })
	if at < 0 {
		at = len(all)
		all = append(all, &documented{name: name, def: tag.Get("envDefault")})
	}
	v := all[at]
	require.Equal(t, v.def, tag.Get("envDefault"), "%s has two defaults", name)
	v.required = v.required || option == "required"
	meaning := strings.Join(strings.Fields(field.Doc.Text()), " ")
	if meaning != "" && !slices.Contains(v.meanings, meaning) {
		v.meanings = append(v.meanings, meaning)
	}
	return all
}

// TestDefaultsAreThoseOfTheCore: the defaults in the tags are the numbers that the core and the adapters have.
func TestDefaultsAreThoseOfTheCore(t *testing.T) {
	t.Parallel()
	env := environment(map[string]string{"AUTH_DATABASE_URL": "postgres://a", "PRODUCT_DATABASE_URL": "postgres://p"})
	a, err := auth.Load(env)
	require.NoError(t, err)
	require.Equal(t, core.DefaultSessions(), a.Sessions.Policy())
	hashing := credentials.DefaultHashParams()
	require.Equal(t, []int{int(hashing.MemoryKiB), int(hashing.Passes)}, []int{a.Login.MemoryKiB, a.Login.Passes})
	require.True(t, a.Login.SecureCookies)

	b, err := billinquiry.Load(env)
	require.NoError(t, err)
	require.Equal(t, spool.DefaultMaxBytes, b.History.SpoolMaxBytes)
	require.Equal(t, quota.Default(), b.Links.KOS.Budget())
	allowance, err := b.Links.KOS.Allowance()
	require.NoError(t, err)
	require.Equal(t, quota.DefaultAllowance(), allowance)
	require.Equal(t, mvnoap.DefaultBreaker(), b.Links.AP.Breaker)
	require.Equal(t, kos.BreakerPolicies(nil), b.Links.KOS.Breakers)
	copies := b.Links.KOS.Copies
	require.Equal(t,
		[]freshness.Limits{
			freshness.Bill, freshness.MonthList, freshness.Customer, freshness.Status, freshness.PlanList,
		},
		[]freshness.Limits{copies.Bill, copies.BillMonths, copies.Customer, copies.Status, copies.Plans})

	p, err := productchange.Load(env)
	require.NoError(t, err)
	policy, err := product.ParsePolicy(p.Rules.Effective, p.Rules.OnceAMonth)
	require.NoError(t, err)
	require.Equal(t, product.DefaultPolicy(), policy)
	require.Equal(t, reconciliation.DefaultLimits().PerMinute, p.Reconciliation.PerMinute)
	require.Equal(t, reconciliation.DefaultLimits().Asking, p.Reconciliation.Asking)
}

// fromDocs makes links of comments, which are relative to the root, relative to the folder docs.
func fromDocs(meaning string) string {
	return strings.NewReplacer("](docs/", "](", "](SECURITY.md", "](../"+"SECURITY.md").Replace(meaning)
}

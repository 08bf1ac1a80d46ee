package kos

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/product"
)

// TestEveryDeclarationIsComplete: no part of a declaration is forgotten. Flags may be false.
func TestEveryDeclarationIsComplete(t *testing.T) {
	t.Parallel()
	seen := map[Operation]bool{}
	for _, op := range allOperations() {
		name := op.properties().name
		require.False(t, seen[name], "%s is declared twice", name)
		seen[name] = true
		requireComplete(t, string(name), reflect.ValueOf(op).Elem())
	}
}

func requireComplete(t *testing.T, name string, declaration reflect.Value) {
	t.Helper()
	for i := range declaration.NumField() {
		part, field := declaration.Type().Field(i).Name, declaration.Field(i)
		switch field.Kind() { //nolint:exhaustive // all others have a zero value that means "forgotten"
		case reflect.Bool:
		case reflect.Struct:
			requireComplete(t, name, field)
		default:
			require.False(t, field.IsZero(), "%s: the declaration has no %s", name, part)
		}
	}
}

// TestEveryDeclarationIsListed: a declaration that allOperations does not list would have neither breaker nor probe.
func TestEveryDeclarationIsListed(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	declarations := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			if literal, ok := n.(*ast.CompositeLit); ok {
				if generic, ok := literal.Type.(*ast.IndexListExpr); ok {
					if name, ok := generic.X.(*ast.Ident); ok && name.Name == "operation" {
						declarations++
					}
				}
			}
			return true
		})
	}
	require.Len(t, allOperations(), declarations)
}

// TestTimesOfOperations: a healthy KOS answers well within the time that counts as sufficient.
func TestTimesOfOperations(t *testing.T) {
	t.Parallel()
	for _, op := range allOperations() {
		of := op.properties()
		require.LessOrEqual(t, withReserve(of.typical), of.sufficient(), of.name)
		require.Less(t, of.sufficient(), of.limit, of.name)
		require.LessOrEqual(t, of.limit, callTimeout, of.name)
	}
}

// TestChangesAreNotRepeated: of the operations that change something at KOS, none is marked idempotent.
func TestChangesAreNotRepeated(t *testing.T) {
	t.Parallel()
	for _, op := range allOperations() {
		of := op.properties()
		require.Equal(t, of.order, !of.idempotent, of.name)
	}
}

// TestRefusalsAreBusinessCodes: what an operation declares as refusals are codes with the verdict business.
func TestRefusalsAreBusinessCodes(t *testing.T) {
	t.Parallel()
	for _, op := range allOperations() {
		for _, code := range op.properties().refusals {
			require.Equal(t, business, codes[code], "%s %s", op.properties().name, code)
		}
	}
	require.Equal(t, product.RefusedOther, refusalOf(codeReused))
}

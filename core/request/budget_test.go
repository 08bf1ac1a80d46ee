package request_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/request"
)

// TestTheAnswerBudgetIsDeclaredOnce: the budget leaves 0.3 s of the customer's 3 s, and no other code states it.
func TestTheAnswerBudgetIsDeclaredOnce(t *testing.T) {
	t.Parallel()
	require.Equal(t, 3*time.Second, request.AnswerBudget+300*time.Millisecond)
	stated := regexp.MustCompile(`\b2_?700 *\* *time\.Millisecond|\b27 *\* *time\.Second */ *10\b`)
	var found []string
	root := filepath.Join("..", "..")
	for _, dir := range []string{"core", "ports", "adapters", "cmd"} {
		err := fs.WalkDir(os.DirFS(root), dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			raw, err := os.ReadFile(filepath.Join(root, path))
			if stated.Match(raw) {
				found = append(found, path)
			}
			return err
		})
		require.NoError(t, err)
	}
	require.Equal(t, []string{"core/request/request.go"}, found)
}

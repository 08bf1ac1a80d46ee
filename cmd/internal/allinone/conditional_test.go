package allinone_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/contract"
	"phonebill/openapi"
)

// TestAnAnswerIsSentOnce asks every operation with x-conditional twice: the second time it is a 304, and another
// account never gets that for the first one's answer.
func TestAnAnswerIsSentOnce(t *testing.T) {
	t.Parallel()
	needSystem(t)
	one, two := customer(t, "normal", 0), customer(t, "normal", 1)
	mine, other := login(t, one), login(t, two)
	asked := 0
	for _, name := range []string{openapi.Auth, openapi.Bill, openapi.Product} {
		spec, err := contract.Load(name)
		require.NoError(t, err)
		for path, item := range spec.Paths.Map() {
			if item.Get == nil || item.Get.Extensions["x-conditional"] != true {
				continue
			}
			asked++
			mineAt := strings.Replace(path, "{lineNumber}", one.LineNumber, 1)
			first := call(t, http.MethodGet, mineAt, mine, nil)
			require.Equal(t, http.StatusOK, first.status, first.raw)
			require.Equal(t, "private, no-cache", first.header.Get("Cache-Control"), path)
			require.Contains(t, strings.Join(first.header.Values("Vary"), ","), "Authorization, Cookie", path)
			tag := first.header.Get("ETag")
			if again := call(t, http.MethodGet, mineAt, mine, nil); again.header.Get("ETag") != tag {
				require.NotEqual(t, first.raw, again.raw, path) // another test has changed something
				continue
			}
			same := callWith(t, http.MethodGet, mineAt, mine, nil, http.Header{"If-None-Match": {tag}})
			require.Equal(t, http.StatusNotModified, same.status, path)
			require.Empty(t, same.raw)
			theirs := callWith(t, http.MethodGet, strings.Replace(path, "{lineNumber}", two.LineNumber, 1), other, nil,
				http.Header{"If-None-Match": {tag}})
			if theirs.status == http.StatusNotModified {
				require.NotContains(t, first.raw, one.LineNumber[3:7], "an answer with something personal")
			}
		}
	}
	require.GreaterOrEqual(t, asked, 6)
}

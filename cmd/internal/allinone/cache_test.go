package allinone_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	valkeygo "github.com/valkey-io/valkey-go"
)

// TestEveryCacheKeyIsVersionedAndExpires looks at what the whole system has put into the cache: each key has the
// namespace, a kind, a format version and a hash tag, and goes by itself (ADR 30).
func TestEveryCacheKeyIsVersionedAndExpires(t *testing.T) {
	t.Parallel()
	needSystem(t)
	who := customer(t, "normal", 0)
	token := login(t, who)
	r := call(t, http.MethodPost, "/bills/inquiry", token, map[string]string{"lineNumber": who.LineNumber})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	r = call(t, http.MethodGet, "/products/available", token, nil)
	require.Equal(t, http.StatusOK, r.status, r.raw)
	cache, err := valkeygo.NewClient(valkeygo.ClientOption{
		InitAddress: strings.Split(running.Cache.Address, ","), Password: running.Cache.Password, DisableCache: true,
	})
	require.NoError(t, err)
	defer cache.Close()
	kinds := map[string]bool{}
	for _, node := range cache.Nodes() {
		keys, err := node.Do(t.Context(), node.B().Keys().Pattern("*").Build()).AsStrSlice()
		require.NoError(t, err)
		for _, key := range keys {
			require.Regexp(t, `^phonebill:[a-z-]+:v[0-9]+:[{][^{}]+[}](:.+)?$`, key)
			require.NotContains(t, key, strings.ReplaceAll(who.LineNumber, "-", ""))
			kinds[strings.Split(key, ":")[1]] = true
			ttl, err := cache.Do(t.Context(), cache.B().Pttl().Key(key).Build()).AsInt64()
			require.NoError(t, err)
			require.NotEqual(t, int64(-1), ttl, "%s never ends", key) // -2: it has just ended
		}
	}
	require.Subset(t, kinds, map[string]bool{"line": true, "plans": true})
}

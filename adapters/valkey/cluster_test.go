package valkey_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	valkeygo "github.com/valkey-io/valkey-go"

	"phonebill/adapters/devservers"
	"phonebill/adapters/memory"
	"phonebill/adapters/valkey"
	"phonebill/adapters/valkey/valkeytest"
	"phonebill/core/bill"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/ports/portstest"
)

// onCluster is set in the environment of the run that has a cluster for a cache.
const onCluster = "PHONEBILL_TEST_ON_CLUSTER"

// TestEverythingHoldsOnACluster runs every test of this package once more, in a process of its own, with three masters
// for a cache. What the tests leave there must be as a cluster (and a full memory) wants it: each key has a namespace,
// a kind, a format version, a hash tag and an end.
//
//nolint:paralleltest // two runs at a time are too much for a small machine
func TestEverythingHoldsOnACluster(t *testing.T) {
	if os.Getenv(onCluster) != "" {
		t.Skip("this is the run on a cluster")
	}
	valkeytest.New(t) // skips where there is nothing to test on
	cluster, err := devservers.StartCluster(t.Context(), devservers.CacheOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop(context.Background())) })
	run := exec.CommandContext(t.Context(), os.Args[0], "-test.count=1", "-test.timeout=5m")
	run.Env = append(os.Environ(), onCluster+"=1", "PHONEBILL_TEST_REQUIRED=1",
		"PHONEBILL_TEST_VALKEY_ADDR="+strings.Join(cluster.Addrs(), ","),
		"PHONEBILL_TEST_VALKEY_PASSWORD="+cluster.Password())
	out, err := run.CombinedOutput()
	require.NoError(t, err, string(out))

	raw, err := valkeygo.NewClient(valkeygo.ClientOption{
		InitAddress: cluster.Addrs(), Password: cluster.Password(), DisableCache: true,
	})
	require.NoError(t, err)
	t.Cleanup(raw.Close)
	kinds := map[string]bool{}
	for addr, node := range raw.Nodes() {
		keys, err := node.Do(t.Context(), node.B().Keys().Pattern("*").Build()).AsStrSlice()
		require.NoError(t, err)
		require.NotEmpty(t, keys, "nothing on %s", addr)
		for _, key := range keys {
			require.Regexp(t, `^test-[a-z0-9]{13}:(line|months|plans|rate|session|throttle):v\d+:\{[^{}]+\}$`, key)
			kinds[strings.Split(key, ":")[1]] = true
			ttl, err := raw.Do(t.Context(), raw.B().Pttl().Key(key).Build()).AsInt64()
			require.NoError(t, err)
			require.NotEqual(t, int64(-1), ttl, "%s never ends", key) // -2: it has just ended
		}
	}
	require.Subset(t, kinds, map[string]bool{"line": true, "plans": true, "session": true})
}

// TestANodeInTroubleIsNoTroubleOfTheOthers stops one of three masters: the lines of the others stay cached, those of
// its own come from the store.
func TestANodeInTroubleIsNoTroubleOfTheOthers(t *testing.T) {
	t.Parallel()
	if os.Getenv(onCluster) != "" {
		t.Skip("it has a cluster of its own")
	}
	valkeytest.New(t)
	cluster, err := devservers.StartCluster(t.Context(), devservers.CacheOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop(context.Background())) })
	c := &cache{logged: &logged{}, metrics: prometheus.NewRegistry(), vault: memory.Vault{}}
	c.log = c.logged.logger()
	c.Client, err = valkey.Open(t.Context(), valkey.Config{
		Addr: cluster.Addrs()[0] + "," + cluster.Addrs()[1], Cluster: true, Password: personal.NewSecret(cluster.Password()),
		Metrics: c.metrics, Timeout: 500 * time.Millisecond,
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	plainBills, epochs := &memory.Bills{}, &memory.Epochs{}
	bills := valkey.NewCachedBills(c.Client, plainBills, epochs, c.vault, &memory.Sealer[bill.Copy]{}, c.log)
	const lines = 60
	round := func() {
		for n := range lines {
			_, err := bills.Latest(t.Context(), portstest.Line(n), portstest.Month())
			require.NoError(t, err)
		}
	}
	for n := range lines {
		held := bill.Copy{Version: id.ID{14: byte(n)}, Bill: portstest.Bill(portstest.Line(n)), AsOf: start}
		require.NoError(t, plainBills.Put(t.Context(), held))
	}
	round()
	round()
	require.Equal(t, lines, c.count(t, "bill", "hit"))

	require.NoError(t, cluster.StopNode(t.Context(), 2))
	require.NoError(t,
		valkey.NewCachedEpochs(c.Client, epochs, c.vault, c.log).Raise(t.Context(), portstest.Line(0), time.Time{}))
	for range 3 {
		before := c.count(t, "bill", "hit")
		round()
		warm := c.count(t, "bill", "hit") - before
		require.Greater(t, warm, lines/2, "two thirds of the lines lie elsewhere")
		require.Less(t, warm, lines)
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]int{
		"123456789": 0x31C3, "": 0, "foo": 12182, "{foo}bar": 12182, "a{foo}{bar}": 12182, "foo{}{bar}": 8363,
		"{user1000}.following": 3443,
	} {
		require.Equal(t, want, valkey.Slot(key), key)
	}
	c := open(t)
	if os.Getenv(onCluster) == "" {
		return // a single server knows no slots
	}
	for _, key := range []string{"a:b:{c}:d", "}{", "{", "x{y", "x{}y", "{{x}}", "한{글}"} {
		want, err := c.raw.Do(t.Context(), c.raw.B().ClusterKeyslot().Key(key).Build()).AsInt64()
		require.NoError(t, err)
		require.EqualValues(t, want, valkey.Slot(key), key)
	}
}

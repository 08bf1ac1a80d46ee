package targets_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internal/targets"
)

func TestTargets(t *testing.T) {
	t.Parallel()
	_, err := targets.Parse([]string{
		"http://a:1", "https://a:1", "http://[::1]:8081", "https://a", "dns+http://bill:8082", "dns+https://bill",
		"dns+srv+http://_http._tcp.bill", "dns+srv+https://_http._tcp.bill", "http://a:2/",
	})
	require.NoError(t, err)
	for text, want := range map[string]string{
		"a:1": "not an origin", "http://": "not an origin", "http://a/path": "not an origin", "http://a?q=1": "not an origin",
		"http://user@a": "not an origin", "http://:80": "names no host", "ftp://a": "another scheme",
		"dns+ftp://a": "another scheme", "dns+srv+http://_http._tcp.bill:80": "has a port", "%": "not an origin",
	} {
		_, err := targets.Parse([]string{text})
		require.ErrorContains(t, err, want, text)
	}
	_, err = targets.Parse(nil)
	require.ErrorContains(t, err, "no instance")
	_, err = targets.Parse([]string{"http://a:80", "http://a"})
	require.ErrorContains(t, err, "twice")
}

// records are the answers of a name server. A name without one is not known, and one that hangs is never answered.
type records struct {
	addresses map[string][]string
	services  map[string][]*net.SRV
	hangs     string
}

func (r *records) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	if host == r.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	found, known := r.addresses[host]
	if !known {
		return nil, errors.New("no such host")
	}
	var all []netip.Addr
	for _, a := range found {
		all = append(all, netip.MustParseAddr(a))
	}
	return all, nil
}

func (r *records) LookupSRV(_ context.Context, _, _, name string) (string, []*net.SRV, error) {
	found, known := r.services[name]
	if !known {
		return "", nil, errors.New("no such host")
	}
	return name, found, nil
}

// finder returns a finder of the list, and the targets that were not found so far.
func finder(t *testing.T, r targets.Resolver, list ...string) (*targets.Finder, *[]string) {
	t.Helper()
	parsed, err := targets.Parse(list)
	require.NoError(t, err)
	missed := &[]string{}
	return targets.NewFinder(parsed, r, func(_ context.Context, t targets.Target, _ error) {
		*missed = append(*missed, t.String())
	}), missed
}

func find(t *testing.T, f *targets.Finder) (addresses []string) {
	t.Helper()
	for _, e := range f.Find(t.Context(), time.Minute) {
		addresses = append(addresses, e.Label())
	}
	return addresses
}

func TestWhatIsFound(t *testing.T) {
	t.Parallel()
	r := &records{
		addresses: map[string][]string{
			"bill": {"10.0.0.2", "10.0.0.1", "::ffff:10.0.0.3"}, "p1": {"10.0.1.1"}, "p2": {"10.0.1.2"},
		},
		services: map[string][]*net.SRV{"_http._tcp.bill": {{Target: "p2.", Port: 2}, {Target: "p1.", Port: 1}}},
	}
	for name, c := range map[string]struct {
		list []string
		want []targets.Endpoint
	}{
		"a list": {
			[]string{"http://b:2", "https://a"}, []targets.Endpoint{{"http", "b:2", "b:2"}, {"https", "a:443", "a:443"}},
		},
		"addresses, in one order": {[]string{"dns+http://bill:9"}, []targets.Endpoint{
			{"http", "bill:9", "10.0.0.1:9"}, {"http", "bill:9", "10.0.0.2:9"}, {"http", "bill:9", "10.0.0.3:9"},
		}},
		"services": {[]string{"dns+srv+https://_http._tcp.bill"}, []targets.Endpoint{
			{"https", "p1:1", "10.0.1.1:1"}, {"https", "p2:2", "10.0.1.2:2"},
		}},
		"mixed, each once": {
			[]string{"dns+https://p2:2", "http://x:1", "dns+srv+https://_http._tcp.bill"},
			[]targets.Endpoint{{"https", "p2:2", "10.0.1.2:2"}, {"http", "x:1", "x:1"}, {"https", "p1:1", "10.0.1.1:1"}},
		},
	} {
		parsed, err := targets.Parse(c.list)
		require.NoError(t, err, name)
		require.Equal(t, c.want, targets.NewFinder(parsed, r, nil).Find(t.Context(), time.Minute), name)
	}
}

// TestWhatIsNotFoundIsKept: a name server that fails, or knows nothing any more, takes no instance away.
func TestWhatIsNotFoundIsKept(t *testing.T) {
	t.Parallel()
	r := &records{addresses: map[string][]string{"bill": {"10.0.0.1", "10.0.0.2"}}}
	f, missed := finder(t, r, "dns+http://bill:9", "http://x:1")
	require.True(t, f.HasNames())
	require.Equal(t, []string{"10.0.0.1:9", "10.0.0.2:9", "x:1"}, find(t, f))
	require.Empty(t, *missed)
	r.addresses["bill"] = []string{"10.0.0.2", "10.0.0.7"}
	require.Equal(t, []string{"10.0.0.2:9", "10.0.0.7:9", "x:1"}, find(t, f), "one went, one came")
	r.addresses["bill"] = nil
	require.Equal(t, []string{"10.0.0.2:9", "10.0.0.7:9", "x:1"}, find(t, f), "no address")
	delete(r.addresses, "bill")
	require.Equal(t, []string{"10.0.0.2:9", "10.0.0.7:9", "x:1"}, find(t, f), "no such name")
	r.hangs = "bill"
	begun := f.Find(t.Context(), time.Millisecond)
	require.Len(t, begun, 3, "no answer in time")
	require.Equal(t, []string{"bill:9", "bill:9", "bill:9"}, *missed)
	never, _ := finder(t, r, "dns+http://other:9")
	require.Empty(t, find(t, never))
	require.Len(t, never.Missing(), 1)
	require.Equal(t, "other:9", never.Missing()[0].String())
	require.Empty(t, f.Missing())
	list, _ := finder(t, nil, "http://x:1")
	require.False(t, list.HasNames())
}

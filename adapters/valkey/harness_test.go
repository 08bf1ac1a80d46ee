package valkey_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	valkeygo "github.com/valkey-io/valkey-go"

	"phonebill/adapters/memory"
	"phonebill/adapters/valkey"
	"phonebill/adapters/valkey/valkeytest"
	"phonebill/adapters/vault"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// cache is a client with what a test checks.
type cache struct {
	*valkey.Client
	namespace string
	vault     ports.Vault
	raw       valkeygo.Client // directly to the server
	wire      *wire
	log       *slog.Logger
	logged    *logged
	metrics   *prometheus.Registry
	addr      string
	password  string
}

// open connects through a wire that the test can cut.
func open(t *testing.T) *cache {
	t.Helper()
	addr, password, prefix := valkeytest.New(t)
	keyring, err := vault.New()
	require.NoError(t, err)
	v, err := vault.Parse(keyring)
	require.NoError(t, err)
	nodes := strings.Split(addr, ",")
	raw, err := valkeygo.NewClient(valkeygo.ClientOption{InitAddress: nodes, Password: password, DisableCache: true})
	require.NoError(t, err)
	t.Cleanup(raw.Close)
	c := &cache{
		namespace: prefix[:len(prefix)-1], vault: v, raw: raw, wire: newWire(t, nodes...), logged: &logged{},
		metrics: prometheus.NewRegistry(), addr: addr, password: password,
	}
	c.log = slog.New(slog.NewTextHandler(c.logged, nil))
	c.Client = c.another(t)
	return c
}

// another connects once more, as another process with the same namespace.
func (c *cache) another(t *testing.T) *valkey.Client {
	t.Helper()
	return c.connect(t, func(cfg *valkey.Config) { cfg.Metrics = c.metrics })
}

// connect connects through the wire, unless change replaces that.
func (c *cache) connect(t *testing.T, change func(*valkey.Config)) *valkey.Client {
	t.Helper()
	cfg := valkey.Config{
		Addr: c.addr, Cluster: strings.Contains(c.addr, ","), Password: personal.NewSecret(c.password),
		Namespace: c.namespace + ":", Timeout: 500 * time.Millisecond, // a busy test machine is no trouble of the cache
	}.Via(c.wire.dial)
	change(&cfg)
	client, err := valkey.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func direct(cfg *valkey.Config) { *cfg = cfg.Via(nil) }

func (c *cache) keys(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, node := range c.raw.Nodes() {
		found, err := node.Do(t.Context(), node.B().Keys().Pattern(c.namespace+":*").Build()).AsStrSlice()
		require.NoError(t, err)
		all = append(all, found...)
	}
	return all
}

func (c *cache) flush(t *testing.T) {
	t.Helper()
	for _, key := range c.keys(t) {
		require.NoError(t, c.raw.Do(t.Context(), c.raw.B().Del().Key(key).Build()).Error())
	}
}

// count returns cache_calls_total.
func (c *cache) count(t *testing.T, kind, result string) int {
	t.Helper()
	families, err := c.metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "cache_calls_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if l := m.GetLabel(); l[0].GetValue() == kind && l[1].GetValue() == result {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// settled waits until the wire is whole and nothing is owed.
func (c *cache) settled(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return valkey.Owed(c.Client) == 0 && c.Ping(t.Context()) == nil }, 10*time.Second,
		10*time.Millisecond)
}

// lines returns the stores of lines with the cache in front, and the bills behind it.
func (c *cache) lines() (ports.Bills, ports.Customers, ports.Epochs, *memory.Bills) {
	durable := &memory.Epochs{}
	stored := &memory.Bills{Epochs: durable}
	return valkey.NewCachedBills(c.Client, stored, durable, c.vault, vault.Bills(c.vault), c.log),
		valkey.NewCachedCustomers(c.Client, &memory.Customers{Epochs: durable}, durable, c.vault, vault.Customers(c.vault),
			c.log),
		valkey.NewCachedEpochs(c.Client, durable, c.vault, c.log), stored
}

func one() line.Number { return portstest.Line(1) }

type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) lines() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.buf.Bytes(), []byte("\n"))
}

// wire connects to the cache's nodes; it can be cut (connections break, new ones are refused at once) or jammed (bytes
// stand still).
type wire struct {
	ends map[string]string // where the connection to a node begins

	mu     sync.Mutex
	open   []net.Conn
	isCut  bool
	jammed chan struct{} // closed while bytes flow
}

func newWire(t *testing.T, nodes ...string) *wire {
	t.Helper()
	w := &wire{ends: map[string]string{}, jammed: make(chan struct{})}
	close(w.jammed)
	t.Cleanup(func() {
		w.flow()
		w.cut()
	})
	for _, node := range nodes {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		w.ends[node] = l.Addr().String()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go w.serve(conn, node)
			}
		}()
	}
	return w
}

// dial is for a client, which knows the nodes by their own addresses.
func (w *wire) dial(ctx context.Context, addr string, d *net.Dialer) (net.Conn, error) {
	return d.DialContext(ctx, "tcp", w.ends[addr])
}

func (w *wire) serve(conn net.Conn, node string) {
	server, err := net.Dial("tcp", node)
	w.mu.Lock()
	if err != nil || w.isCut {
		w.mu.Unlock()
		_ = conn.Close()
		return
	}
	w.open = append(w.open, conn, server)
	w.mu.Unlock()
	go w.pass(server, conn)
	w.pass(conn, server)
}

func (w *wire) pass(to io.WriteCloser, from io.Reader) {
	defer func() { _ = to.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		w.mu.Lock()
		gate := w.jammed
		w.mu.Unlock()
		<-gate
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	for _, conn := range w.open {
		_ = conn.Close()
	}
	w.open = nil
}

func (w *wire) jam() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jammed = make(chan struct{})
}

func (w *wire) flow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = false
	select {
	case <-w.jammed:
	default:
		close(w.jammed)
	}
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func lineKey(c *cache) string {
	return c.namespace + ":line:v1:{" + hex.EncodeToString(c.vault.Index(ports.LineIndex, one().Digits())[:16]) + "}"
}

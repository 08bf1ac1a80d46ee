package kos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Config says where KOS is and how a Client identifies itself.
type Config struct {
	URL     string        // origin, without a path
	Keys    *Credentials  // sent as Bearer token
	Connect time.Duration // limit for connecting, TLS included; 0 = 1 s
}

// Deps are what a Client works with. All are needed except Bulkhead and Metrics.
type Deps struct {
	Quota    ports.Quota
	Log      ports.CallLog
	Breakers *Breakers
	Alerts   ports.Alerts
	Bulkhead Bulkhead // zero = DefaultBulkhead
	Now      ports.Clock
	NewID    ports.IDs // ids of call log entries
	Logger   *slog.Logger
	Metrics  prometheus.Registerer // nil = not exported
}

// Client implements ports.BillSource, CustomerSource, PlanSource and PlanChanger. It is safe for concurrent use.
type Client struct {
	origin    string
	keys      *Credentials
	deps      Deps
	probe     bool // its calls are probes of half-open breakers
	limiter   *rateLimiter
	latencies latencies
	wire      http.RoundTripper
	metrics   *metrics

	statusQuery *statusQuery
	pending     *pendingCalls
}

// New returns a client. It makes no call. The error says what is wrong with cfg.
func New(cfg Config, deps Deps) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("kos: %q is not an http or https origin", cfg.URL)
	}
	if cfg.Keys == nil {
		return nil, errKeys
	}
	if cfg.Connect <= 0 {
		cfg.Connect = time.Second
	}
	if deps.Bulkhead == (Bulkhead{}) {
		deps.Bulkhead = DefaultBulkhead()
	}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, fmt.Errorf("kos: %w", err)
	}
	return &Client{
		origin: cfg.URL, keys: cfg.Keys, deps: deps,
		limiter: newRateLimiter(deps.Quota, deps.Bulkhead), latencies: newLatencies(),
		wire: newTransport(cfg.Connect), metrics: m, statusQuery: &statusQuery{}, pending: &pendingCalls{},
	}, nil
}

// Waiting returns how many callers of each lane wait for their turn, and how long one more would wait: until the quota
// has a call for the lane, and then for those ahead at the rate of the budget. The durations are estimates.
func (c *Client) Waiting() (waiting quota.Shares, eta [len(quota.Shares{})]time.Duration) {
	return c.limiter.outlook()
}

// Breakers returns the states of the circuit breakers, one per operation and always in the same order.
func (c *Client) Breakers() []operations.Breaker { return c.deps.Breakers.States() }

// Bill asks for the bill of one line and month, once. A call in the lane quota.Refresh waits 500 ms at most for its
// turn and one in quota.Prefetch does not wait at all; both then return ErrNotAsked with a Retry-After. So it is with
// all reads.
func (c *Client) Bill(ctx context.Context, call ports.Call, n line.Number, m calendar.Month) (bill.Bill, error) {
	b, err := readOf(ctx, c, call, billInquiry, billQuestion{request: call.RequestID, line: n, month: m})
	if err == nil {
		c.checkSum(ctx, b)
	}
	return b, err
}

// checkSum counts bills whose stated total is not the sum of their parts. They are shown all the same.
func (c *Client) checkSum(ctx context.Context, b bill.Bill) {
	if b.AddsUp() {
		return
	}
	c.metrics.mismatches.Inc()
	c.deps.Logger.WarnContext(ctx, "a bill does not add up", slog.String("month", b.Month.String()),
		slog.String("productCode", b.ProductCode))
}

// Customer asks for the customer of a line, once.
func (c *Client) Customer(ctx context.Context, call ports.Call, n line.Number) (product.Customer, error) {
	return readOf(ctx, c, call, customerGet, n)
}

// Plans asks for the plans of all operators, once.
func (c *Client) Plans(ctx context.Context, call ports.Call) ([]product.Plan, error) {
	return readOf(ctx, c, call, productsList, struct{}{})
}

// Credentials are the keys that identify us to KOS: one, or two during a rotation, of which one is used at a time. When
// KOS refuses it, the other one is used from then on. Credentials is safe for concurrent use.
//
// A rotation: the operator writes the new key below the old one in the file; KOS is set to accept both; KOS is set to
// refuse the old one, and the first call that is refused switches to the new one; the operator deletes the old line.
// Nothing is restarted, no call is lost.
type Credentials struct {
	file string // empty = the keys never change
	now  ports.Clock
	log  *slog.Logger

	mu     sync.Mutex
	keys   []personal.Secret
	used   int       // index into keys
	readAt time.Time // when the file was read last
}

// rereadInterval is how often a file of keys is read, at most, unless KOS refuses a key.
const rereadInterval = 5 * time.Second

// maxKeys is how many keys are valid at a time: the current one and its successor.
const maxKeys = 2

// errKeys says what is wrong with keys without showing them.
var errKeys = errors.New("kos: one or two keys are needed, each a line of printable characters without blanks")

// FixedCredentials returns one or two keys that never change.
func FixedCredentials(keys ...string) (*Credentials, error) {
	parsed, err := parseKeys(strings.Join(keys, "\n"))
	return &Credentials{keys: parsed}, err
}

// OpenCredentials reads one or two keys from the lines of a file. While calls are made the file is read again, every 5
// s at most, and when KOS refuses a key. When it cannot be read then, the keys stay as they are.
func OpenCredentials(file string, now ports.Clock, log *slog.Logger) (*Credentials, error) {
	c := &Credentials{file: file, now: now, log: log, readAt: now()}
	err := c.read()
	return c, err
}

// key returns the key to use now.
func (c *Credentials) key() personal.Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != "" && c.now().Sub(c.readAt) >= rereadInterval {
		c.reread()
	}
	return c.keys[c.used]
}

// refused records that KOS does not accept the key. Later calls use the other one, if there is one. It reports whether
// later calls use another key, so that trying again makes sense.
func (c *Credentials) refused(key personal.Secret) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != "" {
		c.reread()
	}
	if c.keys[c.used] == key { // else a concurrent call has switched already
		c.used = (c.used + 1) % len(c.keys)
	}
	return c.keys[c.used] != key
}

// reread reads the file again and logs when that fails. The caller holds mu.
func (c *Credentials) reread() {
	c.readAt = c.now()
	if err := c.read(); err != nil {
		c.log.Error("the file of KOS keys is not usable: the keys stay as they were", slog.Any("error", err))
	}
}

// read reads the keys from the file and keeps using the current one if it is still there. The caller holds mu, unless c
// is not shared yet.
func (c *Credentials) read() error {
	raw, err := os.ReadFile(c.file)
	if err != nil {
		return err
	}
	keys, err := parseKeys(string(raw))
	if err != nil {
		return err
	}
	used := 0
	if len(c.keys) > 0 {
		used = max(0, slices.Index(keys, c.keys[c.used]))
	}
	c.keys, c.used = keys, used
	return nil
}

// parseKeys parses one or two keys, a line each. Blank lines are ignored.
func parseKeys(text string) ([]personal.Secret, error) {
	var keys []personal.Secret
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, errKeys
		}
		keys = append(keys, personal.NewSecret(line))
	}
	if len(keys) == 0 || len(keys) > maxKeys {
		return nil, errKeys
	}
	return keys, nil
}

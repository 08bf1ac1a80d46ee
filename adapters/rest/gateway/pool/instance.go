package pool

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"phonebill/adapters/internal/targets"
	"phonebill/adapters/rest/middleware"
	"phonebill/core/operations"
	"phonebill/core/upstream"
)

const (
	idlePerInstance = 512
	idleTimeout     = 90 * time.Second // less than the services' own (120 s), so that they are not the ones who close
)

// instance is one instance of the service, with its own connections.
type instance struct {
	targets.Endpoint
	transport *http.Transport
	known     upstream.Instance // guarded by Pool.mu, as are state and since
	state     upstream.State    // as it was last noted
	since     time.Time         // of the state, as exactly as refreshEvery
	failing   atomic.Bool       // known.Failing(), to be read without the lock
	inFlight  atomic.Int64      // requests under way
	answered  prometheus.Counter
	failed    prometheus.Counter
	abandoned prometheus.Counter // nobody waited for the answer any more
	causes    atomic.Uint32      // operations.Causes that its last health check stated
	ejections prometheus.Counter

	mu     sync.Mutex
	polls  map[*context.CancelCauseFunc]struct{} // of the long polls under way
	remove context.CancelFunc                    // stops its health checks; nil before Run
}

func (p *Pool) newInstance(e targets.Endpoint, known upstream.Instance) *instance {
	dialer := &net.Dialer{Timeout: p.c.DialTimeout, KeepAlive: 30 * time.Second}
	count := func(outcome string) prometheus.Counter {
		return p.metrics.requests.WithLabelValues(p.c.Service, e.Label(), outcome)
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, e.Address)
		},
		MaxIdleConnsPerHost: idlePerInstance, IdleConnTimeout: idleTimeout,
		DisableCompression: true, // the request's deadline bounds the wait for an answer
	}
	if p.c.DialTLS != nil {
		transport.DialTLSContext = func(ctx context.Context, network, asked string) (net.Conn, error) {
			name, _, err := net.SplitHostPort(asked)
			if err != nil {
				return nil, err
			}
			return p.c.DialTLS(ctx, network, e.Address, name)
		}
	}
	i := &instance{
		Endpoint: e, known: known, transport: transport,
		answered: count("answered"), failed: count("failed"), abandoned: count("abandoned"),
		ejections: p.metrics.ejections.WithLabelValues(p.c.Service, e.Label()),
		polls:     map[*context.CancelCauseFunc]struct{}{},
	}
	i.note(p.c.Now())
	return i
}

// note remembers since when the instance has been in its state. The caller holds the pool's lock.
func (i *instance) note(now time.Time) {
	if is := i.known.State(now); is != i.state {
		i.state, i.since = is, now
	}
}

// errAway ends the long polls at an instance that does not answer any more.
var errAway = errors.New("pool: the instance does not answer any more")

// watched registers a long poll, which is ended when the instance goes down. The caller calls release afterwards.
func (i *instance) watched(ctx context.Context) (watched context.Context, release func()) {
	watched, cancel := context.WithCancelCause(ctx)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.polls[&cancel] = struct{}{}
	return watched, func() {
		i.mu.Lock()
		delete(i.polls, &cancel)
		i.mu.Unlock()
		cancel(nil)
	}
}

// free ends the long polls under way.
func (i *instance) free() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for cancel := range i.polls {
		(*cancel)(errAway)
	}
}

// probe asks the instance whether it takes requests, and notes what it says that it goes on without.
func (i *instance) probe(ctx context.Context, timeout time.Duration) upstream.Probe {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.Scheme+"://"+i.Host+"/readyz", http.NoBody)
	if err != nil {
		return upstream.ProbeFailed
	}
	res, err := i.transport.RoundTrip(req)
	if err != nil {
		return upstream.ProbeFailed
	}
	i.causes.Store(uint32(operations.ParseCauses(res.Header.Get(middleware.DegradationHeader))))
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, heldSize))
	switch err := errors.Join(err, res.Body.Close()); {
	case err != nil:
		return upstream.ProbeFailed
	case res.StatusCode == http.StatusServiceUnavailable:
		return upstream.ProbeRefused
	case res.StatusCode >= http.StatusInternalServerError:
		return upstream.ProbeFailed
	default:
		return upstream.ProbeGood
	}
}

package boot

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"phonebill/adapters/rest/middleware"
	"phonebill/core/fault"
	"phonebill/core/operations"
	"phonebill/ports"
)

// Unit is one deployable, wired and not yet running. The all-in-one runs several in one process.
type Unit struct {
	Name            string
	Addr            string       // public listener; port 0 for any
	Internal        string       // internal listener: metrics, health, revocations
	Handler         http.Handler // public
	InternalHandler http.Handler // internal
	// PublicTLS and InternalTLS are how the listeners speak TLS; without one a listener speaks plain HTTP.
	PublicTLS, InternalTLS *TLS
	// PublicConnections wraps the public listener, below TLS and HTTP; nil leaves it as it is.
	PublicConnections func(net.Listener) net.Listener
	// Fail writes the errors of requests that reach no handler. Without it they are plain text.
	Fail       middleware.Fail
	Workers    []Worker
	DrainDelay time.Duration // how long it goes on serving when it is not ready any more
	BeforeStop func()        // frees requests that would never end by themselves; may be nil
	Drain      func()        // waits for work that outlives its request; may be nil
	closers    []func()
	health     *Health
	inside     atomic.Pointer[string]               // the address of the internal listener while it serves
	after      func(time.Duration) <-chan time.Time // time.After
}

// Worker is background work: it returns when ctx is done.
type Worker func(ctx context.Context)

// TLS is how a listener speaks TLS.
type TLS struct {
	Config *tls.Config
	// Mutual means that a caller has to show a certificate that Config believes, except for probes.
	Mutual bool
}

// NewUnit returns a unit whose health is not ready yet.
func NewUnit(name, addr, internal string, health *Health) *Unit {
	return &Unit{Name: name, Addr: addr, Internal: internal, health: health, after: time.After}
}

// Causes are what the unit goes on without now.
func (u *Unit) Causes() operations.Causes {
	if u.health.Degradation == nil {
		return 0
	}
	return u.health.Degradation().Causes
}

// OnClose remembers what to close; the last opened is closed first.
func (u *Unit) OnClose(f func()) { u.closers = append(u.closers, f) }

// Close closes everything in reverse.
func (u *Unit) Close() {
	for i := len(u.closers) - 1; i >= 0; i-- {
		u.closers[i]()
	}
	u.closers = nil
}

// stopTimeout is how long a request may go on after the signal to stop.
const stopTimeout = 10 * time.Second

// Running is a unit that serves.
type Running struct {
	unit     *Unit
	public   *http.Server
	internal *http.Server
	stop     context.CancelFunc
	leave    context.CancelFunc // frees requests that merely wait
	work     sync.WaitGroup
	failed   chan error
	// URL and InternalURL are origins without a path.
	URL, InternalURL string
}

// Start binds the unit's listeners and begins to serve. A taken port is an error that names it.
func (u *Unit) Start(ctx context.Context, log *slog.Logger) (*Running, error) {
	public, err := listen(ctx, u.Name, u.Addr)
	if err != nil {
		return nil, err
	}
	internal, err := listen(ctx, u.Name+" (internal)", u.Internal)
	if err != nil {
		return nil, errors.Join(err, public.Close())
	}
	if u.PublicConnections != nil {
		public = u.PublicConnections(public)
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	left, leave := context.WithCancel(context.WithoutCancel(ctx))
	r := &Running{
		unit: u, stop: stop, leave: leave, failed: make(chan error, 2),
		public:   u.server(closing(u.Handler, u.health), u.PublicTLS, log),
		internal: u.server(u.InternalHandler, u.InternalTLS, log),
		URL:      origin(public, u.PublicTLS), InternalURL: origin(internal, u.InternalTLS),
	}
	r.public.BaseContext = func(net.Listener) context.Context {
		return ports.WithShutdown(context.Background(), left.Done())
	}
	for srv, ln := range map[*http.Server]net.Listener{r.public: public, r.internal: internal} {
		go func() {
			if err := u.serve(srv, ln); !errors.Is(err, http.ErrServerClosed) {
				r.failed <- fmt.Errorf("%s: %w", u.Name, err)
			}
		}()
	}
	for _, w := range u.Workers {
		r.work.Go(func() { w(work) })
	}
	u.inside.Store(new(internal.Addr().String()))
	log.InfoContext(ctx, "listening", "unit", u.Name, "url", r.URL, "internal", r.InternalURL)
	return r, nil
}

// Failed reports a listener that breaks.
func (r *Running) Failed() <-chan error { return r.failed }

// Stop takes the unit off: it is not ready, and goes on serving for DrainDelay, so that those who send requests have
// seen it and go elsewhere; then long polls are answered with what is known now, no new requests, running ones finish,
// then workers, then what was opened.
func (r *Running) Stop() error {
	r.unit.health.Drain()
	if r.unit.DrainDelay > 0 {
		<-r.unit.after(r.unit.DrainDelay)
	}
	r.leave()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if r.unit.BeforeStop != nil {
		r.unit.BeforeStop()
	}
	err := r.public.Shutdown(ctx)
	if err != nil { // its time is over: no handler may go on while what it stands on is closed
		err = errors.Join(err, r.public.Close())
	}
	r.stop()
	r.work.Wait()
	if r.unit.Drain != nil {
		r.unit.Drain()
	}
	err = errors.Join(err, r.internal.Shutdown(ctx))
	r.unit.Close()
	return err
}

// Serve starts the unit and stops it when ctx is done or a listener breaks.
func (u *Unit) Serve(ctx context.Context, log *slog.Logger) error {
	r, err := u.Start(ctx, log)
	if err != nil {
		u.Close()
		return err
	}
	select {
	case <-ctx.Done():
		return r.Stop()
	case err := <-r.Failed():
		u.DrainDelay = 0 // nobody can be served any more
		return errors.Join(err, r.Stop())
	}
}

// closing asks clients of a unit that drains to close their connections after the answer (in HTTP/2: to open no more
// requests on them), so that they come to another instance with the next request. A connection that is closed without
// being asked may carry a request already.
func closing(next http.Handler, health *Health) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if health.Draining() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

func listen(ctx context.Context, name, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: port %s is taken by another program; stop it or choose another address", name, addr)
	}
	return ln, err
}

func origin(ln net.Listener, t *TLS) string {
	if t != nil {
		return "https://" + ln.Addr().String()
	}
	return "http://" + ln.Addr().String()
}

func (u *Unit) serve(srv *http.Server, ln net.Listener) error {
	switch {
	case srv.TLSConfig != nil:
		return srv.ServeTLS(ln, "", "")
	case u.Fail != nil:
		return srv.Serve(middleware.EnvelopeRefusals(ln, u.Fail))
	default:
		return srv.Serve(ln)
	}
}

// server has bounds for slow and greedy clients, and never takes the rest of a doubtful body for a request
// (middleware.CloseAfterChunked), also not behind OPTIONS *, which net/http would answer by itself. WriteTimeout is
// longer than the longest long poll (25 s).
func (u *Unit) server(h http.Handler, t *TLS, log *slog.Logger) *http.Server {
	srv := &http.Server{
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 40 * time.Second,
		IdleTimeout: 120 * time.Second, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	if t != nil {
		srv.TLSConfig = t.Config.Clone() // net/http adds to it, and both listeners may have the same
		if t.Mutual {
			h = u.requireCertificate(h)
		}
	}
	srv.Handler = middleware.CloseAfterChunked(h)
	return srv
}

// requireCertificate refuses a caller that has shown no certificate (R-TLS). Probes are made by a machine's agent,
// which has none, and reveal nothing.
func (u *Unit) requireCertificate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.VerifiedChains) > 0 || isProbe(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		err := fault.New(fault.Unauthorized).WithMessage("클라이언트 인증서가 필요합니다")
		if u.Fail != nil {
			u.Fail(w, r, err)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
}

// InternalAddr returns the address of the internal listener: the one that it was bound to, before that the configured
// one.
func (u *Unit) InternalAddr() string {
	if bound := u.inside.Load(); bound != nil {
		return *bound
	}
	return u.Internal
}

// Failing names a probe that fails; empty when the unit is ready.
func (u *Unit) Failing(ctx context.Context) string { return u.health.Failed(ctx) }

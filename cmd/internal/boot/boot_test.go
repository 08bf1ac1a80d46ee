package boot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/boot"
	"phonebill/core/operations"
	"phonebill/ports"
)

var errBackend = errors.New("backend is in trouble")

func probe(t *testing.T, h *boot.Health, path string) (int, string) {
	t.Helper()
	mux := http.NewServeMux()
	h.Routes(mux)
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	require.Equal(t, "application/json", rec.Header().Get("Content-Type"))
	require.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
	return rec.Code, rec.Body.String()
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var broken error
	h := boot.NewHealth(map[string]boot.Check{"database": func(context.Context) error { return broken }})
	for _, path := range []string{"/health", "/readyz", "/livez"} {
		status, body := probe(t, h, path)
		require.Equal(t, http.StatusOK, status)
		require.JSONEq(t, `{"status":"UP"}`, body)
	}
	broken = errBackend
	status, body := probe(t, h, "/health")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.JSONEq(t, `{"status":"DOWN","failed":"database"}`, body, "names nothing internal")
	broken = nil
	h.Drain()
	status, body = probe(t, h, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "draining")
	status, _ = probe(t, h, "/livez")
	require.Equal(t, http.StatusOK, status)
}

// TestHealthSaysWhatIsMissing: a unit that goes on with less is UP, and says with what.
func TestHealthSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	is := operations.Degradation{Since: time.Date(2026, 3, 15, 1, 0, 0, 0, time.FixedZone("KST", 9*3600))}
	h := boot.NewHealth(nil)
	h.Degradation = func() operations.Degradation { return is }
	mux := http.NewServeMux()
	h.Routes(mux)
	ask := func(path string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		return rec
	}
	rec := ask("/health")
	require.JSONEq(t, `{"status":"UP","degradation":{"rung":"NORMAL","causes":[],"since":"2026-03-14T16:00:00Z"}}`,
		rec.Body.String())
	require.Empty(t, rec.Header().Values("X-Degradation"))
	is.Causes = is.Causes.With(operations.KOSAway).With(operations.CacheAway)
	rec = ask("/readyz")
	require.Equal(t, http.StatusOK, rec.Code)
	require.JSONEq(t, `{"status":"UP","degradation":{"rung":"CACHE_AWAY","causes":["CACHE_AWAY","KOS_AWAY"],`+
		`"since":"2026-03-14T16:00:00Z"}}`, rec.Body.String())
	require.Equal(t, "CACHE_AWAY, KOS_AWAY", rec.Header().Get("X-Degradation"))
	h.Drain()
	rec = ask("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	require.Equal(t, "CACHE_AWAY, KOS_AWAY", rec.Header().Get("X-Degradation"), "the gateway learns it also from a 503")
	require.NotContains(t, ask("/livez").Body.String(), "degradation")
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
}

var quiet = slog.New(slog.DiscardHandler)

const anyPort = "127.0.0.1:0"

func TestAUnitServesAndStopsInOrder(t *testing.T) {
	t.Parallel()
	u := boot.NewUnit("bill", anyPort, anyPort, boot.NewHealth(nil))
	u.Handler, u.InternalHandler = text("public"), text("internal")
	order := make(chan string, 9)
	u.Workers = []boot.Worker{func(ctx context.Context) { <-ctx.Done(); order <- "worker" }}
	u.Drain = func() { order <- "drain" }
	u.OnClose(func() { order <- "first opened" })
	u.OnClose(func() { order <- "last opened" })
	r, err := u.Start(t.Context(), quiet)
	require.NoError(t, err)
	_, body := get(t, r.URL)
	require.Equal(t, "public", body)
	_, body = get(t, r.InternalURL)
	require.Equal(t, "internal", body)
	require.NoError(t, r.Stop())
	close(order)
	var got []string
	for s := range order {
		got = append(got, s)
	}
	require.Equal(t, []string{"worker", "drain", "last opened", "first opened"}, got)
	u.Close() // nothing is closed twice
	select {
	case err := <-r.Failed():
		require.NoError(t, err, "stopping is no failure")
	default:
	}
}

func TestATakenPortIsNamedAndNothingStaysOpen(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	other, err := lc.Listen(t.Context(), "tcp", anyPort)
	require.NoError(t, err)
	defer func() { _ = other.Close() }()
	for _, addrs := range [][2]string{{other.Addr().String(), anyPort}, {anyPort, other.Addr().String()}} {
		u := boot.NewUnit("bill", addrs[0], addrs[1], boot.NewHealth(nil))
		closed := false
		u.OnClose(func() { closed = true })
		err := u.Serve(t.Context(), quiet)
		require.ErrorContains(t, err, other.Addr().String()+" is taken by another program")
		require.True(t, closed)
	}
	u := boot.NewUnit("bill", "nowhere:x", anyPort, boot.NewHealth(nil))
	require.Error(t, u.Serve(t.Context(), quiet))
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	u := boot.NewUnit("bill", anyPort, anyPort, boot.NewHealth(nil))
	started := make(chan struct{})
	u.Workers = []boot.Worker{func(ctx context.Context) { close(started); <-ctx.Done() }}
	done := make(chan error, 1)
	go func() { done <- u.Serve(ctx, quiet) }()
	<-started
	cancel()
	require.NoError(t, <-done)
}

func TestLoopGoesOnWhileThereIsWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var log bytes.Buffer
		var at []time.Duration
		start := time.Now()
		results := []struct {
			n   int
			err error
		}{{3, nil}, {1, nil}, {0, nil}, {2, errBackend}, {1, nil}, {0, nil}}
		boot.Loop("orders", time.Second, slog.New(slog.NewTextHandler(&log, nil)), func(context.Context) (int, error) {
			at = append(at, time.Since(start))
			r := results[len(at)-1]
			if len(at) == len(results) {
				cancel()
			}
			return r.n, r.err
		})(ctx)
		s := time.Second
		require.Equal(t, []time.Duration{0, 0, 0, s, 2 * s, 2 * s}, at)
		require.Equal(t, 1, strings.Count(log.String(), "worker step failed"))
		require.Contains(t, log.String(), "worker=orders")
		log.Reset()
		boot.Loop("orders", time.Second, slog.New(slog.NewTextHandler(&log, nil)), func(context.Context) (int, error) {
			return 1, nil
		})(ctx)
		require.Empty(t, log.String(), "stopped before the first step")
	})
}

// TestWorkersComplainOnceInAWhile: four workers step five times a second while a database is away for two minutes.
func TestWorkersComplainOnceInAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
		defer cancel()
		var log bytes.Buffer
		begun := time.Now()
		var all sync.WaitGroup
		for _, w := range boot.Loops(4, "deliveries", 200*time.Millisecond, slog.New(slog.NewTextHandler(&log, nil)),
			func(context.Context) (int, error) {
				if up := time.Since(begun); up < 10*time.Second || up >= 130*time.Second {
					return 0, nil
				}
				return 0, errBackend
			}) {
			all.Go(func() { w(ctx) })
		}
		all.Wait()
		require.Equal(t, 4, strings.Count(log.String(), "worker step failed"), "at once, and then twice a minute")
		require.Equal(t, 1, strings.Count(log.String(), "worker goes on"), "and once when it is over")
		first, _, _ := strings.Cut(log.String(), "\n")
		require.Contains(t, first, begun.Add(10*time.Second).Format("15:04:05.000"))
	})
}

// TestAUnitDrainsBeforeItStops: it is not ready at once, and goes on serving for its delay, with answers that ask to
// close the connection.
func TestAUnitDrainsBeforeItStops(t *testing.T) {
	t.Parallel()
	health := boot.NewHealth(nil)
	u := boot.NewUnit("bill", anyPort, anyPort, health)
	public := http.NewServeMux()
	health.Routes(public)
	public.Handle("/", text("served"))
	u.Handler, u.InternalHandler, u.DrainDelay = public, text("internal"), time.Hour
	begun, over := make(chan time.Duration), make(chan time.Time)
	u.After(func(d time.Duration) <-chan time.Time { begun <- d; return over })
	r, err := u.Start(t.Context(), quiet)
	require.NoError(t, err)
	header := func(path string) (int, bool) {
		res, err := http.Get(r.URL + path)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(t, errors.Join(err, res.Body.Close()))
		return res.StatusCode, res.Close
	}
	status, closes := header("/")
	require.Equal(t, http.StatusOK, status)
	require.False(t, closes)
	stopped := make(chan error, 1)
	go func() { stopped <- r.Stop() }()
	require.Equal(t, time.Hour, <-begun)
	status, closes = header("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.True(t, closes)
	status, closes = header("/")
	require.Equal(t, http.StatusOK, status, "it serves all the same")
	require.True(t, closes)
	over <- time.Time{}
	require.NoError(t, <-stopped)
}

// TestLongPollsAreFreedWhenTheUnitStops: a waiting request ends at once, and is still answered.
func TestLongPollsAreFreedWhenTheUnitStops(t *testing.T) {
	t.Parallel()
	u := boot.NewUnit("bill", anyPort, anyPort, boot.NewHealth(nil))
	waiting := make(chan struct{})
	u.InternalHandler = text("internal")
	u.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(waiting)
		select {
		case <-ports.ShuttingDown(r.Context()):
			_, _ = io.WriteString(w, "known now, "+fmt.Sprint(r.Context().Err()))
		case <-r.Context().Done():
		}
	})
	r, err := u.Start(t.Context(), quiet)
	require.NoError(t, err)
	answered := make(chan string, 1)
	go func() {
		_, body := get(t, r.URL)
		answered <- body
	}()
	<-waiting
	require.NoError(t, r.Stop())
	require.Equal(t, "known now, <nil>", <-answered)
}

func TestMainAnswersTheExitCode(t *testing.T) {
	t.Parallel()
	for want, err := range map[int]error{0: nil, 1: errBackend} {
		require.Equal(t, want, boot.Main(func(context.Context, boot.Env, io.Writer, *slog.Logger) error { return err }))
	}
	require.Zero(t, boot.Main(func(context.Context, boot.Env, io.Writer, *slog.Logger) error { return context.Canceled }))
}

func TestASignalEndsTheContext(t *testing.T) {
	t.Parallel()
	require.Zero(t, boot.Main(func(ctx context.Context, _ boot.Env, _ io.Writer, _ *slog.Logger) error {
		require.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGTERM))
		<-ctx.Done()
		return ctx.Err()
	}))
}

func TestLogger(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		level, format, want string
		debug               bool
	}{{"", "", `"msg":"m"`, false}, {"nonsense", "json", `"msg":"m"`, false}, {"debug", "text", "msg=m", true}} {
		var out bytes.Buffer
		log := boot.Logger(&out, c.level, c.format)
		log.Info("m")
		require.Contains(t, out.String(), c.want)
		require.Equal(t, c.debug, log.Enabled(t.Context(), slog.LevelDebug))
	}
}

func TestCloseIsAllowedTwice(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	u := boot.NewUnit("x", anyPort, anyPort, boot.NewHealth(nil))
	u.OnClose(func() { n.Add(1) })
	u.Close()
	u.Close()
	require.Equal(t, int32(1), n.Load())
}

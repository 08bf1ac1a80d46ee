package mvnoapsim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/mvnoap/mvnoapsim"
)

const (
	secret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	newSecret = "whsec_bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldw=="
	bills     = "/notifications/bill-results"
	changes   = "/notifications/product-change-results"
)

var noon = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func options() mvnoapsim.Options {
	return mvnoapsim.Options{Secrets: []string{secret, newSecret}, Clock: func() time.Time { return noon }}
}

func open(t *testing.T, opts mvnoapsim.Options) *mvnoapsim.Simulator {
	t.Helper()
	sim, err := mvnoapsim.New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	return sim
}

func billResult(sequence int) string {
	return fmt.Sprintf(`{"requestId":"01936d6e-6b7a-7c3e-9a55-0f5f6f0a1b2c","lineNumber":"010-1234-5678","sequence":%d,`+
		`"month":"2026-11","status":"COMPLETED","source":"KOS","asOf":"2026-11-21T03:00:00Z"}`, sequence)
}

const changeResult = `{"requestId":"01936d6e-7000-7d11-8a00-aa0102030405","lineNumber":"010-1234-5678","sequence":1,` +
	`"newProductCode":"5G-STANDARD-001","processResult":"정상","message":"상품 변경이 완료되었습니다"}`

// signed returns a notification as phonebill sends it.
func signed(ctx context.Context, t *testing.T, key, url, id, body string, at time.Time) *http.Request {
	t.Helper()
	w, err := standardwebhooks.NewWebhook(key)
	require.NoError(t, err)
	signature, err := w.Sign(id, at, []byte(body))
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(standardwebhooks.HeaderWebhookID, id)
	r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	r.Header.Set(standardwebhooks.HeaderWebhookSignature, "v1,bm90aGluZw== "+signature)
	return r
}

// checked is a transport that refuses exchanges that the OpenAPI file does not describe.
type checked struct {
	t      *testing.T
	router routers.Router
}

func check(t *testing.T, file string) *http.Client {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../../../openapi/" + file)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	doc.Servers = nil
	router, err := gorillamux.NewRouter(doc)
	require.NoError(t, err)
	return &http.Client{Transport: checked{t, router}}
}

func (c checked) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := c.router.FindRoute(r)
	require.NoError(c.t, err, r.URL.Path)
	require.NoError(c.t, openapi3filter.ValidateResponse(context.WithoutCancel(r.Context()),
		&openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
			Status:                 res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(body)),
			Options: &openapi3filter.Options{IncludeResponseStatus: true},
		}), "%s %s: %s", r.Method, r.URL.Path, body)
	return res, nil
}

// connect serves the notifications API and returns a function that sends one and returns the status.
func connect(t *testing.T, sim *mvnoapsim.Simulator) func(key, path, id, body string, at time.Time) int {
	t.Helper()
	srv := httptest.NewServer(sim.Handler())
	t.Cleanup(srv.Close)
	hc := check(t, "mvnoap.yaml")
	return func(key, path, id, body string, at time.Time) int {
		res, err := hc.Do(signed(t.Context(), t, key, srv.URL+path, id, body, at))
		require.NoError(t, err)
		_ = res.Body.Close()
		return res.StatusCode
	}
}

func steer(t *testing.T, sim *mvnoapsim.Simulator) func(method, path, body string, out any) int {
	t.Helper()
	srv := httptest.NewServer(sim.Control())
	t.Cleanup(srv.Close)
	hc := check(t, "mvnoap-control.yaml")
	return func(method, path, body string, out any) int {
		r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		res, err := hc.Do(r)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		if out != nil {
			require.NoError(t, json.NewDecoder(res.Body).Decode(out))
		}
		return res.StatusCode
	}
}

func TestEventsAreStoredOnce(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	send, do := connect(t, sim), steer(t, sim)
	var got []mvnoapsim.Event
	require.Equal(t, 200, do("GET", "/control/received", "", &got))
	require.NotNil(t, got, "an empty list is [], not null")
	require.Equal(t, 204, send(secret, bills, "e-1", billResult(1), noon))
	require.Equal(t, 204, send(newSecret, changes, "e-2", changeResult, noon))
	require.Equal(t, 204, send(secret, bills, "e-1", billResult(1), noon.Add(time.Minute)))
	require.Equal(t, 204, send(newSecret, bills, "e-1", billResult(1), noon.Add(-time.Minute)))
	require.Equal(t, 200, do("GET", "/control/received", "", &got))
	require.Equal(t, []mvnoapsim.Event{
		{
			ID: "e-1", Type: mvnoapsim.BillResult, LineNumber: "010-1234-5678", Sequence: 1, ReceivedAt: noon,
			Duplicates: 2, Payload: []byte(billResult(1)),
		},
		{
			ID: "e-2", Type: mvnoapsim.ProductChangeResult, LineNumber: "010-1234-5678", Sequence: 1, ReceivedAt: noon,
			Payload: []byte(changeResult),
		},
	}, got)
	require.Equal(t, got, sim.Received())
	require.Equal(t, 204, do("POST", "/control/reset", "", nil))
	require.Empty(t, sim.Received())
	require.Equal(t, 200, do("GET", "/health", "", nil))
}

func TestRefusedNotifications(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	send := connect(t, sim)
	stranger := "whsec_c3RyYW5nZXI="
	require.Equal(t, 401, send(stranger, bills, "e-1", billResult(1), noon))
	require.Equal(t, 401, send(secret, bills, "e-1", billResult(1), noon.Add(-5*time.Minute-time.Second)))
	require.Equal(t, 401, send(secret, bills, "e-1", billResult(1), noon.Add(5*time.Minute+time.Second)))
	for name, body := range map[string]string{
		"not JSON": `{`, "another type": `{"sequence":"1"}`, "empty": `{}`, "no sequence": billResult(0),
		"a change": changeResult,
	} {
		require.Equal(t, 400, send(secret, bills, "e-1", body, noon), name)
	}
	require.Equal(t, 400, send(secret, changes, "e-1", billResult(1), noon))
	require.Equal(t, 400, send(secret, changes, "e-1", `[]`, noon))
	require.Equal(t, 400, send(secret, bills, "e-1", strings.Repeat(" ", 2<<20), noon))
	require.Empty(t, sim.Received())

	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, bills, strings.NewReader(billResult(1)))
	rec := httptest.NewRecorder()
	sim.Handler().ServeHTTP(rec, r)
	require.Equal(t, 401, rec.Code, "no signature at all")
}

func TestDisorderIsPerLineAndType(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	send := connect(t, sim)
	for i, sequence := range []int{1, 2, 5, 4, 6} {
		require.Equal(t, 204, send(secret, bills, fmt.Sprintf("b-%d", i), billResult(sequence), noon))
	}
	require.Equal(t, 204, send(secret, changes, "c-0", changeResult, noon))
	require.Equal(t, 204, send(secret, bills, "other", strings.Replace(billResult(1), "5678", "9999", 1), noon))
	require.Equal(t, []string{"b-3"}, sim.Disorder())
}

func TestFailFault(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	send, do := connect(t, sim), steer(t, sim)
	require.Equal(t, 201, do("POST", "/control/faults", `{"mode":"fail","rate":0}`, nil))
	require.Equal(t, 204, send(secret, bills, "e-0", billResult(1), noon), "rate 0 never strikes")
	require.Equal(t, 201, do("POST", "/control/faults", `{"mode":"fail","status":429}`, nil))
	require.Equal(t, 429, send(secret, bills, "e-1", billResult(2), noon))
	require.Equal(t, 204, do("DELETE", "/control/faults", "", nil))
	require.Equal(t, 204, send(secret, bills, "e-1", billResult(2), noon))
	require.NoError(t, sim.AddFault(mvnoapsim.Fault{Mode: mvnoapsim.Fail}))
	require.Equal(t, 503, send(secret, bills, "e-1", billResult(2), noon))
	require.Len(t, sim.Received(), 2)
	require.Zero(t, sim.Received()[1].Duplicates, "what failed was not stored")
	for _, bad := range []string{
		``, `{}`, `{"mode":"x"}`, `{"mode":"fail","rate":1.5}`, `{"mode":"fail","status":200}`, `{"mode":"fail","x":1}`,
	} {
		require.Equal(t, 400, do("POST", "/control/faults", bad, nil), bad)
	}
	require.ErrorIs(t, sim.AddFault(mvnoapsim.Fault{}), mvnoapsim.ErrInvalid)
}

func TestFaultRate(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	send := connect(t, sim)
	require.NoError(t, sim.AddFault(mvnoapsim.Fault{Mode: mvnoapsim.Fail, Rate: 0.5}))
	failed := 0
	for i := range 200 {
		if send(secret, bills, fmt.Sprint(i), billResult(i+1), noon) == 503 {
			failed++
		}
	}
	require.InDelta(t, 100, failed, 30)
	require.Len(t, sim.Received(), 200-failed)
}

func TestHangAndRefuse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := open(t, options())
		attempt := func(ctx context.Context) (answered bool) {
			defer func() { _ = recover() }()
			sim.Handler().ServeHTTP(httptest.NewRecorder(), signed(ctx, t, secret, bills, "e-1", billResult(1), noon))
			return true
		}
		require.NoError(t, sim.AddFault(mvnoapsim.Fault{Mode: mvnoapsim.Hang}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		require.False(t, attempt(ctx))
		require.Equal(t, 10*time.Second, time.Since(start))
		sim.ClearFaults()
		require.NoError(t, sim.AddFault(mvnoapsim.Fault{Mode: mvnoapsim.Refuse}))
		require.False(t, attempt(t.Context()))
		sim.ClearFaults()
		require.Empty(t, sim.Received())
		require.True(t, attempt(t.Context()))
		require.Len(t, sim.Received(), 1)
		require.NoError(t, sim.AddFault(mvnoapsim.Fault{Mode: mvnoapsim.Hang}))
		hung := make(chan bool)
		go func() { hung <- attempt(t.Context()) }()
		synctest.Wait()
		require.NoError(t, sim.Close(), "closing lets hanging notifications go")
		require.False(t, <-hung)
	})
}

func TestEventsSurviveReopening(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.StateDir = filepath.Join(t.TempDir(), "state")
	sim := open(t, opts)
	send := connect(t, sim)
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() { send(secret, bills, fmt.Sprintf("e-%d", i%20), billResult(i%20+1), noon) })
	}
	group.Wait()
	want := sim.Received()
	require.Len(t, want, 20)
	for _, e := range want {
		require.Equal(t, 1, e.Duplicates)
	}
	require.NoError(t, sim.Close())
	require.Equal(t, 503, send(secret, bills, "late", billResult(21), noon), "not acknowledged when it cannot be kept")

	file := filepath.Join(opts.StateDir, "mvnoap.journal")
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(whole, []byte(`{"event":{"id":"tor`)...), 0o600))
	again := open(t, opts)
	require.Equal(t, want, again.Received(), "a torn last record was never acknowledged")
	require.Equal(t, 204, connect(t, again)(secret, bills, "e-1", billResult(2), noon))
	require.Equal(t, 204, connect(t, again)(secret, bills, "new", billResult(30), noon))
	require.NoError(t, again.Close())
	third := open(t, opts)
	require.Len(t, third.Received(), 21)
	require.NoError(t, third.Reset())
	require.NoError(t, third.Close())
	require.Empty(t, open(t, opts).Received())
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]mvnoapsim.Options{
		"no secret": {}, "empty secret": {Secrets: []string{""}}, "not base64": {Secrets: []string{"whsec_?"}},
	} {
		_, err := mvnoapsim.New(opts)
		require.ErrorIs(t, err, mvnoapsim.ErrInvalid, name)
	}
	opts := mvnoapsim.Options{Secrets: []string{secret}, StateDir: t.TempDir()}
	file := filepath.Join(opts.StateDir, "mvnoap.journal")
	require.NoError(t, os.WriteFile(file, []byte("{\n{}\n"), 0o600))
	_, err := mvnoapsim.New(opts)
	require.ErrorContains(t, err, "line 1")
	opts.StateDir = file
	_, err = mvnoapsim.New(opts)
	require.ErrorContains(t, err, "state directory")
	opts.StateDir = t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(opts.StateDir, "mvnoap.journal"), 0o700))
	_, err = mvnoapsim.New(opts)
	require.ErrorContains(t, err, "journal")
}

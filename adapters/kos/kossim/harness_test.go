package kossim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos/internal/kosgen"
	"phonebill/adapters/kos/kossim"
)

const token = "test-credential"

// noon is 2026-11-21 12:00 in Seoul.
var noon = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func options() kossim.Options {
	return kossim.Options{
		Tokens: []string{token, "next-credential"}, Clock: func() time.Time { return noon },
		Delays: &kossim.Delays{}, QuotaPerMinute: kossim.NoQuota,
	}
}

func open(t *testing.T, opts kossim.Options) *kossim.Simulator {
	t.Helper()
	sim, err := kossim.New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	return sim
}

// router knows one OpenAPI file.
func router(t *testing.T, file string) routers.Router {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../../../openapi/" + file)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	doc.Servers = nil
	out, err := gorillamux.NewRouter(doc)
	require.NoError(t, err)
	return out
}

// checked is a transport that refuses answers that the OpenAPI file does not describe.
type checked struct {
	t      *testing.T
	router routers.Router
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
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route}
	err = openapi3filter.ValidateResponse(context.WithoutCancel(r.Context()), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: res.StatusCode, Header: res.Header,
		Body: io.NopCloser(bytes.NewReader(body)), Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	require.NoError(c.t, err, "%s %s: %s", r.Method, r.URL.Path, body)
	return res, nil
}

// connect serves the KOS API and returns a client whose answers are checked against openapi/kos.yaml.
func connect(t *testing.T, sim *kossim.Simulator) *kosgen.ClientWithResponses {
	t.Helper()
	srv := httptest.NewServer(sim.Handler())
	t.Cleanup(srv.Close)
	return client(t, srv.URL, &http.Client{Transport: checked{t, router(t, "kos.yaml")}})
}

func client(t *testing.T, url string, hc *http.Client) *kosgen.ClientWithResponses {
	t.Helper()
	out, err := kosgen.NewClientWithResponses(url, kosgen.WithHTTPClient(hc),
		kosgen.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+token)
			return nil
		}))
	require.NoError(t, err)
	return out
}

// steer is a client of the control API; body may be empty. It returns the status and decodes into out unless that is
// nil.
func steer(t *testing.T, sim *kossim.Simulator) func(method, path, body string, out any) int {
	t.Helper()
	srv := httptest.NewServer(sim.Control())
	t.Cleanup(srv.Close)
	hc := &http.Client{Transport: checked{t, router(t, "kos-control.yaml")}}
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

// direct calls the handler without a network, so that it runs in virtual time; nil = no answer.
func direct(
	ctx context.Context,
	sim *kossim.Simulator,
	method, path string,
	body any,
) (rec *httptest.ResponseRecorder) {
	raw, _ := json.Marshal(body)
	r := httptest.NewRequestWithContext(ctx, method, path, bytes.NewReader(raw))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("X-Request-ID", "edge-1")
	defer func() {
		if recover() != nil {
			rec = nil
		}
	}()
	rec = httptest.NewRecorder()
	sim.Handler().ServeHTTP(rec, r)
	return rec
}

func code(t *testing.T, body []byte) string {
	t.Helper()
	var e kosgen.ErrorAnswer
	require.NoError(t, json.Unmarshal(body, &e), string(body))
	return e.ResultCode
}

func bill(t *testing.T, c *kosgen.ClientWithResponses, line, month string) *kosgen.InquireBillResponse {
	t.Helper()
	res, err := c.InquireBillWithResponse(
		t.Context(),
		kosgen.BillInquiryRequest{RequestId: "r-1", LineNumber: line, InquiryMonth: month},
	)
	require.NoError(t, err)
	return res
}

func customer(t *testing.T, c *kosgen.ClientWithResponses, line string) kosgen.Customer {
	t.Helper()
	res, err := c.GetCustomerWithResponse(t.Context(), line)
	require.NoError(t, err)
	require.NotNil(t, res.JSON200, string(res.Body))
	return *res.JSON200.Data
}

// order is a change of the first line to 5G-STANDARD at the first of next month.
func order(transaction string) kosgen.ProductChangeRequest {
	return kosgen.ProductChangeRequest{
		TransactionId: transaction, LineNumber: "01012345678", CurrentProductCode: "LTE-PREMIUM-001",
		NewProductCode: "5G-STANDARD-001", EffectiveDate: "20261201", ChangeReason: "고객 요청",
	}
}

func change(t *testing.T, c *kosgen.ClientWithResponses, in kosgen.ProductChangeRequest) *kosgen.ChangeProductResponse {
	t.Helper()
	res, err := c.ChangeProductWithResponse(t.Context(), in)
	require.NoError(t, err)
	return res
}

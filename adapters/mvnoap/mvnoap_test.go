package mvnoap_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/mvnoap"
	"phonebill/adapters/mvnoap/mvnoapsim"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

var noon = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func now() time.Time { return noon }

func secret(text string) string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(text)) }

// silentDeps returns what a client needs when logs and metrics do not matter.
func silentDeps() mvnoap.Deps {
	return mvnoap.Deps{Now: now, Log: slog.New(slog.DiscardHandler), Alerts: &memory.Alerts{}}
}

func connect(t *testing.T, url, secrets string) *mvnoap.Client {
	t.Helper()
	c, err := mvnoap.New(mvnoap.Config{URL: url, Secrets: fixed(t, secrets)}, silentDeps())
	require.NoError(t, err)
	return c
}

func simulate(t *testing.T) (*mvnoapsim.Simulator, string) {
	t.Helper()
	sim, err := mvnoapsim.New(mvnoapsim.Options{Secrets: []string{secret("one")}, Clock: now})
	require.NoError(t, err)
	srv := httptest.NewServer(sim.Handler())
	t.Cleanup(func() {
		require.NoError(t, sim.Close())
		srv.Close()
	})
	return sim, srv.URL
}

// serve returns the address of a handler and the count of its requests.
func serve(t *testing.T, h http.HandlerFunc) (string, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		h(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, &n
}

func number(t *testing.T) line.Number {
	t.Helper()
	n, err := line.Parse("01012345678")
	require.NoError(t, err)
	return n
}

func date(t *testing.T, s string) calendar.Date {
	t.Helper()
	d, err := calendar.ParseDate("", s)
	require.NoError(t, err)
	return d
}

func inquiry(t *testing.T) bill.Inquiry {
	t.Helper()
	return bill.Inquiry{
		ID: id.ID{0: 1, 15: 1}, Line: number(t), Month: date(t, "2026-11-01").Month(), Status: bill.Completed,
		Source: freshness.FromStale,
		AsOf:   noon,
	}
}

func whole(t *testing.T) *bill.Bill {
	t.Helper()
	minutes, monthly := 250, money.Won(25_000)
	return &bill.Bill{
		Line: number(t), Month: date(t, "2026-11-01").Month(), ProductCode: "P", ProductName: "N",
		ContractInfo: "24개월 약정",
		Contract: &bill.Contract{
			Months: new(24), Start: date(t, "2025-03-01"), End: date(t, "2027-02-28"),
		}, Total: 74_000,
		Charges:        []bill.Item{{Name: "월정액", Amount: new(money.Won(84_000))}},
		Discounts:      []bill.Item{{Name: "가족할인", Amount: new(money.Won(10_000))}},
		Usage:          bill.Usage{Voice: "250분", VoiceMinutes: &minutes, Data: "무제한", DataUnlimited: true},
		TerminationFee: new(money.Won(48_000)), DeviceInstallment: new(money.Won(100_000)),
		DeviceInstallmentMonthly: &monthly, Payment: bill.Payment{BillingDate: date(t, "2026-11-30"),
			DueDate: date(t, "2026-12-25"), Status: bill.Paid, Method: "카드"},
	}
}

func billItem(t *testing.T, n byte, body ports.BillResult) delivery.Item[ports.BillResult] {
	t.Helper()
	return delivery.Item[ports.BillResult]{ID: id.ID{0: 2, 15: n}, Sequence: int64(n), Body: body}
}

func changeItem(t *testing.T, n byte, o product.Order) delivery.Item[ports.ChangeResult] {
	t.Helper()
	o.ID, o.Line, o.To = id.ID{0: 3, 15: n}, number(t), "5G-STANDARD-001"
	return delivery.Item[ports.ChangeResult]{ID: id.ID{0: 4, 15: n}, Sequence: int64(n),
		Body: ports.ChangeResult{Order: o}}
}

// conforms checks a payload against openapi/mvnoap.yaml, letting nothing undescribed pass.
func conforms(t *testing.T, schema string, payload []byte) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../../openapi/mvnoap.yaml")
	require.NoError(t, err)
	s := doc.Components.Schemas[schema].Value
	var v map[string]any
	require.NoError(t, json.Unmarshal(payload, &v))
	require.NoError(t, s.VisitJSON(v, openapi3.EnableFormatValidation()), string(payload))
	for key := range v {
		require.Contains(t, s.Properties, key)
	}
}

func TestBillResultsArriveSignedAndWhole(t *testing.T) {
	t.Parallel()
	sim, url := simulate(t)
	p := connect(t, url, secret("one")).BillResults()
	failed := inquiry(t)
	failed.Status, failed.Source, failed.AsOf, failed.FailureCode = bill.Failed, "", time.Time{}, fault.BillNotFound
	bare := &bill.Bill{Line: number(t), Month: date(t, "2026-11-01").Month(), ProductCode: "P", ProductName: "N", Total: 1}
	partly := *bare
	partly.Charges, partly.Discounts = []bill.Item{{Name: "월정액"}, {}}, []bill.Item{}
	partly.Contract = &bill.Contract{Start: date(t, "2025-03-01")}
	odd := *bare
	odd.Charges = []bill.Item{}
	items := []delivery.Item[ports.BillResult]{
		billItem(t, 1, ports.BillResult{Inquiry: inquiry(t), Bill: whole(t)}),
		billItem(t, 2, ports.BillResult{Inquiry: inquiry(t), Bill: bare}),
		billItem(t, 3, ports.BillResult{Inquiry: failed}),
		billItem(t, 4, ports.BillResult{Inquiry: inquiry(t), Bill: &partly}),
		billItem(t, 5, ports.BillResult{Inquiry: inquiry(t), Bill: &odd}),
		billItem(t, 6, ports.BillResult{Inquiry: inquiry(t)}),
	}
	for _, item := range items {
		require.Equal(t, delivery.Attempt{Outcome: delivery.Accepted, Note: "HTTP 204"}, p.Publish(t.Context(), item))
	}
	got := sim.Received()
	require.Len(t, got, 6)
	for i, e := range got {
		require.Equal(t, items[i].ID.String(), e.ID)
		require.Equal(t, mvnoapsim.BillResult, e.Type)
		require.EqualValues(t, i+1, e.Sequence)
		conforms(t, "BillResult", e.Payload)
	}
	require.JSONEq(t, `{"requestId":"01000000-0000-0000-0000-000000000001","lineNumber":"010-1234-5678","sequence":1,
		"month":"2026-11",
		"status":"COMPLETED","source":"STALE","asOf":"2026-11-21T03:00:00Z","billInfo":{"productCode":"P","productName":"N",
		"contractInfo":"24개월 약정","contract":{"months":24,"startDate":"2025-03-01","endDate":"2027-02-28"},
		"billingMonth":"2026-11",
		"totalAmount":74000,"charges":[{"name":"월정액","amount":84000}],"discountInfo":[{"name":"가족할인","amount":10000}],
		"usage":{"voice":"250분","voiceMinutes":250,"data":"무제한","dataUnlimited":true},"terminationFee":48000,
		"deviceInstallment":100000,"deviceInstallmentMonthly":25000,"paymentInfo":{"billingDate":"2026-11-30",
		"dueDate":"2026-12-25",
		"paymentStatus":"PAID","paymentMethod":"카드"}}}`, string(got[0].Payload))
	require.NotContains(t, string(got[0].Payload), "amountMismatch")
	info := func(i int) string {
		var body struct {
			BillInfo json.RawMessage `json:"billInfo"`
		}
		require.NoError(t, json.Unmarshal(got[i].Payload, &body))
		return string(body.BillInfo)
	}
	require.JSONEq(t, `{"productCode":"P","productName":"N","billingMonth":"2026-11","totalAmount":1}`, info(1),
		"what KOS does not state is absent")
	require.JSONEq(t, `{"productCode":"P","productName":"N","billingMonth":"2026-11","totalAmount":1,
		"charges":[{"name":"월정액"},{}],
		"discountInfo":[],"contract":{"startDate":"2025-03-01"}}`, info(3))
	require.Contains(t, info(4), `"amountMismatch":true`, "charges come to 0, KOS says 1")
	require.Empty(t, info(5), "a bill that cannot be believed any more")
	require.JSONEq(t, `{"requestId":"01000000-0000-0000-0000-000000000001","lineNumber":"010-1234-5678","sequence":3,
		"month":"2026-11","status":"FAILED","errorCode":"BILL_NOT_FOUND",
		"errorMessage":"해당 월의 요금 정보가 없습니다"}`, string(got[2].Payload))
	require.Empty(t, sim.Disorder())
}

func TestChangeResultsArriveSignedAndWhole(t *testing.T) {
	t.Parallel()
	sim, url := simulate(t)
	p := connect(t, url, secret("one")).ChangeResults()
	done := changeItem(t, 1, product.Order{State: product.Completed, ResultMessage: product.ChangedMessage})
	refused := changeItem(t, 2, product.Order{
		State: product.Failed, ResultMessage: product.ChangeFailed, FailureReason: product.RefusedUnpaid.Reason(),
	})
	require.Equal(t, delivery.Accepted, p.Publish(t.Context(), done).Outcome)
	require.Equal(t, delivery.Accepted, p.Publish(t.Context(), refused).Outcome)
	got := sim.Received()
	require.Len(t, got, 2)
	for _, e := range got {
		require.Equal(t, mvnoapsim.ProductChangeResult, e.Type)
		conforms(t, "ProductChangeResult", e.Payload)
	}
	require.JSONEq(t, `{"requestId":"03000000-0000-0000-0000-000000000001","lineNumber":"010-1234-5678","sequence":1,
		"newProductCode":"5G-STANDARD-001","processResult":"정상",
		"message":"상품 변경이 완료되었습니다"}`, string(got[0].Payload))
	require.Contains(t, string(got[1].Payload), `"processResult":"실패"`)
	require.Contains(t, string(got[1].Payload), "미납 요금이 있어")
}

func TestPublisher(t *testing.T) {
	t.Parallel()
	portstest.Publisher(t, func(t *testing.T) (ports.Publisher[ports.ChangeResult], func() []id.ID) {
		t.Helper()
		sim, url := simulate(t)
		return connect(t, url, secret("one")).ChangeResults(), func() (out []id.ID) {
			for _, e := range sim.Received() {
				event, err := id.Parse(e.ID)
				require.NoError(t, err)
				out = append(out, event)
			}
			return out
		}
	})
}

func TestRepeatHasTheSameID(t *testing.T) {
	t.Parallel()
	sim, url := simulate(t)
	p := connect(t, url, secret("one")).BillResults()
	item := billItem(t, 1, ports.BillResult{Inquiry: inquiry(t), Bill: whole(t)})
	require.NoError(t, sim.AddFault(mvnoapsim.Fault{Mode: mvnoapsim.Refuse}))
	require.Equal(t, delivery.Attempt{Outcome: delivery.Failed, Note: "connection broken"}, p.Publish(t.Context(), item))
	sim.ClearFaults()
	for range 3 {
		require.Equal(t, delivery.Accepted, p.Publish(t.Context(), item).Outcome)
	}
	require.Len(t, sim.Received(), 1)
	require.Equal(t, 2, sim.Received()[0].Duplicates)
}

func TestBothSecretsSignDuringARotation(t *testing.T) {
	t.Parallel()
	sim, url := simulate(t)
	item := billItem(t, 1, ports.BillResult{Inquiry: inquiry(t), Bill: whole(t)})
	a := connect(t, url, secret("two")).BillResults().Publish(t.Context(), item)
	require.Equal(t, delivery.Attempt{Outcome: delivery.Rejected, Note: "HTTP 401"}, a)
	a = connect(t, url, secret("two")+" "+secret("one")).BillResults().Publish(t.Context(), item)
	require.Equal(t, delivery.Accepted, a.Outcome)
	require.Len(t, sim.Received(), 1)
}

func TestStatusDecides(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]delivery.Outcome{
		200: delivery.Accepted, 202: delivery.Accepted, 204: delivery.Accepted, 299: delivery.Accepted,
		408: delivery.Failed, 425: delivery.Failed, 429: delivery.Failed, 500: delivery.Failed, 503: delivery.Failed,
		599: delivery.Failed, 301: delivery.Failed, 302: delivery.Failed, 307: delivery.Failed, 308: delivery.Failed,
		400: delivery.Rejected, 401: delivery.Rejected, 404: delivery.Rejected, 410: delivery.Rejected,
		422: delivery.Rejected,
	} {
		url, n := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
		a := connect(t, url, secret("one")).ChangeResults().Publish(t.Context(),
			changeItem(t, 1, product.Order{State: product.Completed}))
		require.Equal(t, want, a.Outcome, status)
		require.EqualValues(t, 1, n.Load(), status)
		require.NotContains(t, a.Note, "5678")
	}
}

func TestNoResponseIsRetried(t *testing.T) {
	t.Parallel()
	item := billItem(t, 1, ports.BillResult{Inquiry: inquiry(t), Bill: whole(t)})
	sim, url := simulate(t)
	require.NoError(t, sim.AddFault(mvnoapsim.Fault{Mode: mvnoapsim.Hang}))
	hasty, err := mvnoap.New(mvnoap.Config{URL: url, Secrets: fixed(t, secret("one")), Timeout: 50 * time.Millisecond},
		silentDeps())
	require.NoError(t, err)
	require.Equal(t, delivery.Attempt{Outcome: delivery.Failed, Note: "no answer in time"},
		hasty.BillResults().Publish(t.Context(), item))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, delivery.Attempt{Outcome: delivery.Failed, Note: "given up while waiting"},
		connect(t, url, secret("one")).BillResults().Publish(ctx, item))

	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dead := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	require.Equal(t, delivery.Attempt{Outcome: delivery.Failed, Note: "no connection"},
		connect(t, dead, secret("one")).BillResults().Publish(t.Context(), item))
}

func TestTheTraceIsSentAndLogsHaveNoPersonalData(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 2)
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Clone()
		w.WriteHeader(http.StatusBadRequest)
	})
	var log bytes.Buffer
	c, err := mvnoap.New(mvnoap.Config{URL: url, Secrets: fixed(t, secret("one"))},
		mvnoap.Deps{Now: now, Log: slog.New(slog.NewTextHandler(&log, nil)), Alerts: &memory.Alerts{}})
	require.NoError(t, err)
	ctx := ports.WithTrace(t.Context(), ports.Trace{RequestID: "r-1", TraceID: strings.Repeat("a", 32),
		SpanID: strings.Repeat("b", 16)})
	item := billItem(t, 1, ports.BillResult{Inquiry: inquiry(t), Bill: whole(t)})
	require.Equal(t, delivery.Rejected, c.BillResults().Publish(ctx, item).Outcome)
	h := <-seen
	require.Equal(t, "r-1", h.Get("X-Request-ID"))
	require.Equal(t, "00-"+strings.Repeat("a", 32)+"-"+strings.Repeat("b", 16)+"-01", h.Get("Traceparent"))
	require.Equal(t, "1795230000", h.Get("webhook-timestamp"))
	require.Equal(t, item.ID.String(), h.Get("webhook-id"))
	require.Contains(t, log.String(), item.ID.String())
	require.NotContains(t, log.String(), "1234")
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	secrets := fixed(t, secret("one"))
	for _, cfg := range []mvnoap.Config{
		{URL: "", Secrets: secrets}, {URL: "ftp://ap", Secrets: secrets}, {URL: "http://ap.test"},
	} {
		_, err := mvnoap.New(cfg, silentDeps())
		require.Error(t, err)
	}
	for _, bad := range []string{"", "whsec_???", secret("a") + " " + secret("b") + "," + secret("c")} {
		_, err := mvnoap.FixedSecrets(personal.NewSecret(bad))
		require.Error(t, err)
		require.NotContains(t, err.Error(), "???")
	}
}

// fixed returns one or more secrets in one text.
func fixed(t *testing.T, text string) *mvnoap.Secrets {
	t.Helper()
	s, err := mvnoap.FixedSecrets(personal.NewSecret(text))
	require.NoError(t, err)
	return s
}

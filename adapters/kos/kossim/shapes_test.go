package kossim_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/kos/internal/kosgen"
	"phonebill/adapters/kos/kossim"
)

// answerOf returns an answer's data as it stands on the wire, with its numbers as they are written.
func answerOf(t *testing.T, sim *kossim.Simulator, method, path string, body any) (data map[string]any, raw string) {
	t.Helper()
	rec := direct(t.Context(), sim, method, path, body)
	require.Equal(t, 200, rec.Code)
	in := json.NewDecoder(bytes.NewReader(rec.Body.Bytes()))
	in.UseNumber()
	var out struct {
		Data map[string]any `json:"data"`
	}
	require.NoError(t, in.Decode(&out), rec.Body.String())
	return out.Data, rec.Body.String()
}

func november() kosgen.BillInquiryRequest {
	return kosgen.BillInquiryRequest{RequestId: "r-1", LineNumber: "01012345678", InquiryMonth: "202611"}
}

const (
	billPath     = "/kos/bill/inquiry"
	customerPath = "/kos/customer/01012345678"
)

func TestShapes(t *testing.T) {
	t.Parallel()
	usual := open(t, options())
	bill, _ := answerOf(t, usual, "POST", billPath, november())
	for name, c := range map[kossim.Shape]func(t *testing.T, sim *kossim.Simulator){
		kossim.MissingFields: func(t *testing.T, sim *kossim.Simulator) {
			t.Helper()
			got, _ := answerOf(t, sim, "POST", billPath, november())
			for _, key := range []string{"contractEnd", "contractMonths", "estimatedCancellationFee",
				"deviceInstallment", "usage"} {
				require.Contains(t, bill, key)
				require.NotContains(t, got, key)
			}
			require.Equal(t, bill["charge"], got["charge"])
			who, _ := answerOf(t, sim, "GET", customerPath, nil)
			require.NotContains(t, who["contract"], "earlyTerminationFee")
			require.Contains(t, who["contract"], "contractStart")
			plans, raw := answerOf(t, sim, "GET", "/kos/products", nil)
			require.NotContains(t, raw, "description")
			require.NotContains(t, plans["products"].([]any)[0], "monthlyFee")
		},
		kossim.Decimals: func(t *testing.T, sim *kossim.Simulator) {
			t.Helper()
			got, _ := answerOf(t, sim, "POST", billPath, november())
			require.Equal(t, bill["charge"].(json.Number)+".0", got["charge"])
		},
		kossim.TextAmounts: func(t *testing.T, sim *kossim.Simulator) {
			t.Helper()
			got, _ := answerOf(t, sim, "POST", billPath, november())
			require.Equal(t, bill["charge"].(json.Number).String(), got["charge"])
		},
		kossim.TornDiscounts: func(t *testing.T, sim *kossim.Simulator) {
			t.Helper()
			got, _ := answerOf(t, sim, "POST", billPath, november())
			require.Equal(t, "가족할인 10,000원(2회선), 복지할인 5,000원", got["discountInfo"])
		},
		kossim.UnknownPlan: func(t *testing.T, sim *kossim.Simulator) {
			t.Helper()
			who, _ := answerOf(t, sim, "GET", customerPath, nil)
			code := who["currentProduct"].(map[string]any)["productCode"].(string)
			_, list := answerOf(t, sim, "GET", "/kos/products", nil)
			require.NotContains(t, list, code)
			o := order("t-1")
			o.CurrentProductCode = code
			done, _ := answerOf(t, sim, "POST", "/kos/product/change", o)
			require.Equal(t, "5G-STANDARD-001", done["newProductCode"])
		},
		kossim.OtherCustomer: func(t *testing.T, sim *kossim.Simulator) {
			t.Helper()
			who, _ := answerOf(t, sim, "GET", customerPath, nil)
			require.NotEqual(t, kossim.CustomerOf("01012345678").CustomerID, who["customerId"])
			require.NotEqual(t, kossim.CustomerOf("01012345678").CustomerName, who["customerName"])
		},
		kossim.ByteOrderMark: func(t *testing.T, sim *kossim.Simulator) {
			t.Helper()
			rec := direct(t.Context(), sim, "POST", billPath, november())
			require.True(t, bytes.HasPrefix(rec.Body.Bytes(), []byte("\xef\xbb\xbf{")))
		},
		kossim.Gzip: func(t *testing.T, sim *kossim.Simulator) {
			t.Helper()
			rec := direct(t.Context(), sim, "POST", billPath, november())
			require.Equal(t, "gzip", rec.Header().Get("Content-Encoding"))
			z, err := gzip.NewReader(rec.Body)
			require.NoError(t, err)
			raw, err := io.ReadAll(z)
			require.NoError(t, err)
			require.Equal(t, kossim.OK, code(t, raw))
		},
	} {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			sim := open(t, options())
			require.NoError(t, sim.AddAnswer(kossim.Answer{Operation: kossim.AnyOperation, Shape: name}))
			c(t, sim)
			sim.ClearAnswers()
			got, _ := answerOf(t, sim, "POST", billPath, november())
			require.Equal(t, bill, got, "as usual again")
		})
	}
}

func TestShapesKeepToTheirLineAndOperation(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	require.NoError(
		t,
		sim.AddAnswer(kossim.Answer{Operation: kossim.BillInquiry, LineNumber: "010-1234-5678", Shape: "text amounts"}),
	)
	_, raw := answerOf(t, sim, "POST", billPath, november())
	require.Contains(t, raw, `"charge":"`)
	other := november()
	other.LineNumber = "01087654321"
	_, raw = answerOf(t, sim, "POST", billPath, other)
	require.NotContains(t, raw, `"charge":"`)
	_, raw = answerOf(t, sim, "GET", customerPath, nil)
	require.NotContains(t, raw, `"monthlyFee":"`)
	rec := direct(t.Context(), sim, "POST", "/kos/product/change", order("t-2"))
	require.Equal(t, kossim.OK, code(t, rec.Body.Bytes()))
}

func TestControlAnswers(t *testing.T) {
	t.Parallel()
	sim := open(t, options())
	do := steer(t, sim)
	const unknown = `{"operation":"customer.get","lineNumber":"01012345678","shape":"unknown_plan"}`
	var shapes []kossim.Answer
	require.Equal(t, 201, do("POST", "/control/answers", unknown, &shapes))
	require.Equal(t, 201, do("POST", "/control/answers", `{"operation":"*","shape":"gzip"}`, &shapes))
	require.Equal(t, 201, do("POST", "/control/answers", `{"operation":"*","shape":"gzip"}`, &shapes), "twice is once")
	want := []kossim.Answer{
		{Operation: kossim.CustomerGet, LineNumber: "01012345678", Shape: kossim.UnknownPlan},
		{Operation: kossim.AnyOperation, Shape: kossim.Gzip},
	}
	require.Equal(t, want, shapes)
	require.Equal(t, 200, do("GET", "/control/answers", "", &shapes))
	require.Equal(t, want, shapes)
	for _, bad := range []string{
		``, `{"operation":"*"}`, `{"shape":"gzip"}`, `{"operation":"*","shape":"odd"}`, `{"operation":"x","shape":"gzip"}`,
		`{"operation":"products.list","shape":"torn_discounts"}`, `{"operation":"*","shape":"gzip","lineNumber":"555"}`,
		`{"operation":"*","shape":"gzip","times":1}`,
	} {
		require.Equal(t, 400, do("POST", "/control/answers", bad, nil), bad)
	}
	require.Equal(t, 204, do("DELETE", "/control/answers", "", nil))
	require.Empty(t, sim.Answers())
	require.NoError(t, sim.AddAnswer(kossim.Answer{Operation: kossim.AnyOperation, Shape: kossim.Gzip}))
	require.Equal(t, 204, do("POST", "/control/reset", "", nil))
	require.Empty(t, sim.Answers())
}

package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/ports"
)

const anInquiry = "/api/v1/bills/inquiry/01890000-0000-7000-8000-000000000001"

// TestALeavingGatewayAnswersLongPollsWithWhatIsKnown: a poll that is under way is asked again without waiting, and so
// is one that comes when the gateway is leaving already.
func TestALeavingGatewayAnswersLongPollsWithWhatIsKnown(t *testing.T) {
	t.Parallel()
	waits := make(chan struct{}, 2)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("wait") {
			_, _ = io.Copy(io.Discard, r.Body) // else the server does not see its client leave
			waits <- struct{}{}
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, "known now")
	}))
	t.Cleanup(srv.Close)
	h, left := proxied(t, srv.URL), make(chan struct{})
	answered := make(chan *httptest.ResponseRecorder, 1)
	poll := func() {
		req := httptest.NewRequest(http.MethodGet, anInquiry+"?wait=25", strings.NewReader("null")) // as some clients do
		req.Header.Set("Authorization", "Bearer good")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req.WithContext(ports.WithShutdown(t.Context(), left)))
		answered <- rec
	}
	go poll()
	<-waits
	close(left)
	first := <-answered
	poll()
	for _, rec := range []*httptest.ResponseRecorder{first, <-answered} {
		require.Equal(t, http.StatusOK, rec.Code)
		require.Equal(t, "known now", rec.Body.String())
	}
}

// TestALongPollIsAnsweredWhenItsAnswerIsThere, with its body, and the service is asked once.
func TestALongPollIsAnsweredWhenItsAnswerIsThere(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, r.URL.Query().Get("wait"))
	}))
	t.Cleanup(srv.Close)
	req := httptest.NewRequest(http.MethodGet, anInquiry+"?wait=3", nil)
	req.Header.Set("Authorization", "Bearer good")
	rec := httptest.NewRecorder()
	proxied(t, srv.URL).ServeHTTP(rec, req.WithContext(ports.WithShutdown(t.Context(), make(chan struct{}))))
	require.Equal(t, "3", rec.Body.String())
}

package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLongPollsDoNotHoldUpTheEnd: Ctrl-C while customers wait for a bill and for a change that KOS takes its time for.
// Each is answered with what is known, and the system ends in time and without an error, in one process and in several.
func TestLongPollsDoNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"one process": nil, "a process each": {"-split"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, dataDir(t), listeners(t), args...)
			token, line := s.login(t, 0)
			s.control(t, http.MethodPost, "/faults", map[string]any{"operation": "*", "mode": "hang"}, nil)
			status, inquiry, err := s.call(t.Context(), http.MethodPost, "/bills/inquiry", token,
				map[string]string{"lineNumber": line})
			require.NoError(t, err)
			require.Equal(t, http.StatusAccepted, status)
			status, order, err := s.call(t.Context(), http.MethodPost, "/products/change", token, map[string]string{
				"lineNumber": line, "currentProductCode": "LTE-PREMIUM-001", "targetProductCode": "5G-PREMIUM-001",
			})
			require.NoError(t, err)
			require.Equal(t, http.StatusAccepted, status)

			answers := make(chan string, 2)
			poll := func(path string, state string) {
				status, data, err := s.call(t.Context(), http.MethodGet, path, token, nil)
				answers <- fmt.Sprint(status, " ", data[state], " ", err)
			}
			go poll(fmt.Sprint("/bills/inquiry/", inquiry["requestId"], "?wait=25"), "status")
			go poll(fmt.Sprint("/products/change/", order["requestId"], "?wait=25"), "processStatus")
			select {
			case early := <-answers:
				require.FailNow(t, "not a long poll", early)
			case <-time.After(2 * time.Second):
			}
			began := time.Now()
			require.Zero(t, s.interrupt(t), s.logs.String())
			t.Logf("ended %s after the signal", time.Since(began).Round(time.Millisecond))
			for range 2 {
				require.Regexp(t, "^200 (PROCESSING|PENDING) <nil>$", <-answers)
			}
		})
	}
}

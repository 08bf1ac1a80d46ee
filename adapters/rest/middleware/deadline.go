package middleware

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Deadlines of a request: the client must have its answer within 3.0 s. The gateway's deadline is later, so that a
// service that runs out of time can still answer itself.
const (
	ServiceDeadline = 2850 * time.Millisecond
	GatewayDeadline = 2950 * time.Millisecond
)

// longestPoll is the longest wait that ?wait= may ask for, in seconds.
const longestPoll = 25

// Deadline ends a request's context after limit, whatever hangs below; a long poll has the seconds it asks for on
// top. It copies the request, so it stands outside Observe.
func Deadline(limit time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), limit+polls(r))
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

func polls(r *http.Request) time.Duration {
	if r.URL.RawQuery == "" {
		return 0
	}
	seconds, err := strconv.Atoi(r.URL.Query().Get("wait"))
	if err != nil || seconds < 0 || seconds > longestPoll {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

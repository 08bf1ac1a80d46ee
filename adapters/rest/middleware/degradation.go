package middleware

import (
	"net/http"

	"phonebill/core/operations"
)

// DegradationHeader says on answers what the system goes on without: the names of rungs, the worst first, separated by
// commas. It is absent while nothing is missing. Services send it with their probes' answers, from which the gateway
// learns it; the gateway sends it with every answer.
const DegradationHeader = "X-Degradation"

// Degraded writes the header. current must not block; nil states nothing.
func Degraded(current func() operations.Degradation) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if current == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if causes := current().Causes; causes != 0 {
				w.Header().Set(DegradationHeader, causes.String())
			}
			next.ServeHTTP(w, r)
		})
	}
}

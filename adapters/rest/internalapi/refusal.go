package internalapi

import (
	"encoding/json"
	"net/http"

	gen "phonebill/adapters/rest/internal/internalgen"
	"phonebill/core/fault"
)

// statuses are the refusals that concern the caller. Every other error is a failure of this service: it is logged,
// and the caller gets SERVICE_UNAVAILABLE without its cause.
var statuses = map[fault.Code]int{
	fault.ValidationError:   http.StatusBadRequest,
	fault.Unauthorized:      http.StatusUnauthorized,
	fault.PermissionDenied:  http.StatusForbidden,
	fault.ResourceNotFound:  http.StatusNotFound,
	fault.StateConflict:     http.StatusConflict,
	fault.RateLimitExceeded: http.StatusTooManyRequests,
}

// refuse writes the refusal that an error stands for.
func (h *Handlers) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f := fault.From(err)
	status, known := statuses[f.Code()]
	if !known {
		h.Log.ErrorContext(r.Context(), "an internal request failed", "path", r.Pattern, "error", err.Error())
		write(w, http.StatusServiceUnavailable, gen.Refusal{Code: string(fault.ServiceUnavailable)})
		return
	}
	write(w, status, gen.Refusal{
		Code: string(f.Code()), Message: f.Message(), Details: f.Details(), RetryInSeconds: f.RetryAfter().Seconds(),
	})
}

// refuseMalformed refuses a request that does not fit the specification.
func (h *Handlers) refuseMalformed(w http.ResponseWriter, r *http.Request, err error) {
	h.refuse(w, r, malformed(err))
}

func malformed(cause error) error { return fault.New(fault.ValidationError).Because(cause) }

func write(w http.ResponseWriter, status int, body gen.Refusal) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails only when the caller is gone
}

package feed

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/ports"
)

// SearchesPath is where other services count a member of staff's searches for one line.
const SearchesPath = "/internal/v1/exact-searches"

// Search is one search that somebody is about to make.
type Search struct {
	Person string `json:"person"`
	Line   string `json:"line"`
}

// SearchCounted is the answer 200: the keyed hash under which the audit log names the line.
type SearchCounted struct {
	Index string `json:"index"`
}

// SearchRefused is the answer 429: when there is a search again.
type SearchRefused struct {
	RetryInSeconds float64 `json:"retryInSeconds"`
}

// SearchesHandler returns 200 to POST SearchesPath when the search is counted and allowed, 429 when none is left. The service must be known
// by its credential, as for the audit log (403).
func SearchesHandler(writers AuditWriters, budget ports.SearchBudget, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if service, _ := writers.writer(r); service == "" {
			http.Error(w, "the audit credential is missing or wrong", http.StatusForbidden)
			return
		}
		var search Search
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxEntry)).Decode(&search); err != nil || search.Person == "" {
			http.Error(w, "not a search", http.StatusBadRequest)
			return
		}
		n, err := line.Parse(search.Line)
		if err != nil {
			http.Error(w, "not a search", http.StatusBadRequest)
			return
		}
		index, err := budget.Spend(r.Context(), search.Person, n)
		switch {
		case err == nil:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(SearchCounted{index}) // the caller may be gone
		case fault.From(err).Code() == fault.RateLimitExceeded:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusTooManyRequests)
			_ = json.NewEncoder(w).Encode(SearchRefused{fault.From(err).RetryAfter().Seconds()}) // the caller may be gone
		default:
			log.ErrorContext(r.Context(), "a search could not be counted", "error", err.Error())
			http.Error(w, "not available", http.StatusServiceUnavailable)
		}
	})
}

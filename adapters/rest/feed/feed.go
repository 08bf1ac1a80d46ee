// Package feed serves the auth service's internal API: which sessions ended (decision 2). It is mounted on the internal listener
// alone; no route of the gateway leads to it.
package feed

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"phonebill/ports"
)

// Path is where the feed is served; the query parameter since is an RFC 3339 time.
const Path = "/internal/revocations"

// Revocation is one entry on the wire.
type Revocation struct {
	SessionID string    `json:"sid"`
	At        time.Time `json:"at"`
}

// Handler answers GET Path?since=… with a bare JSON array.
func Handler(revoked ports.RevocationFeed, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		since, err := time.Parse(time.RFC3339Nano, r.URL.Query().Get("since"))
		if err != nil {
			http.Error(w, "since is not an RFC 3339 time", http.StatusBadRequest)
			return
		}
		list, err := revoked.Since(r.Context(), since)
		if err != nil {
			log.ErrorContext(r.Context(), "revocation feed failed", "error", err.Error())
			http.Error(w, "not available", http.StatusServiceUnavailable)
			return
		}
		out := make([]Revocation, len(list))
		for i, v := range list {
			out[i] = Revocation{SessionID: v.SessionID.String(), At: v.At}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out)
	})
}

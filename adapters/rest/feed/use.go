package feed

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"phonebill/core/id"
	"phonebill/ports"
)

// UsePath is where services tell which sessions are in use.
const UsePath = "/internal/v1/sessions/used"

const maxUse = 1 << 20

// UseHandler takes POST UsePath with a bare JSON array of session ids.
func UseHandler(use ports.SessionUse, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var list []string
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxUse)).Decode(&list); err != nil {
			http.Error(w, "not a list of session ids", http.StatusBadRequest)
			return
		}
		sids := make([]id.ID, len(list))
		for i, s := range list {
			sid, err := id.Parse(s)
			if err != nil {
				http.Error(w, "not a list of session ids", http.StatusBadRequest)
				return
			}
			sids[i] = sid
		}
		if err := use.Used(r.Context(), sids); err != nil {
			log.ErrorContext(r.Context(), "session use could not be noted", "error", err.Error())
			http.Error(w, "not available", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

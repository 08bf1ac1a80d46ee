package feed

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"phonebill/core/audit"
	"phonebill/ports"
)

// AuditPath is where what staff did elsewhere is put into the audit log.
const AuditPath = "/internal/v1/audit"

// Entry is audit.Entry without what the log gives it, and without its time: the auth service's clock counts.
type Entry struct {
	Actor   string `json:"actor"`
	Action  string `json:"action"`
	Subject string `json:"subject"`
	Reason  string `json:"reason"`
	Outcome string `json:"outcome"`
	Detail  string `json:"detail"`
	IP      string `json:"ip"`
}

const maxEntry = 16 << 10

// AuditHandler answers POST AuditPath: 204 when the entry is durable.
func AuditHandler(to ports.AuditLog, now ports.Clock, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e Entry
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxEntry)).Decode(&e)
		if err != nil || e.Actor == "" || e.Action == "" || e.Outcome == "" || !json.Valid([]byte(e.Detail)) {
			http.Error(w, "not an entry", http.StatusBadRequest)
			return
		}
		err = to.Append(r.Context(), audit.Entry{
			At: now(), Actor: e.Actor, Action: e.Action, Subject: e.Subject, Reason: e.Reason, Outcome: audit.Outcome(e.Outcome),
			Detail: e.Detail, IP: e.IP,
		})
		if err != nil {
			log.ErrorContext(r.Context(), "not in the audit log", "error", err.Error())
			http.Error(w, "not available", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

package feed

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
	"phonebill/ports"
)

// AuditPath is where what staff did elsewhere is put into the audit log.
const AuditPath = "/internal/v1/audit"

// AuditCredential is the header that says which service writes. INTERNAL_TOKEN alone, which every service has, says
// nothing about that.
const AuditCredential = "X-Audit-Credential"

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

// AuditWriters are the services that may put entries into the audit log, each its own actions.
type AuditWriters struct {
	Gateway personal.Secret // empty = it may not
	// Uncredentialed returns whether a gateway of release b0e8e26, which has no credential, may still run. It may put in
	// what a gateway may.
	Uncredentialed func() bool
}

// gatewayService is the name of the gateway in the audit log.
const gatewayService = "gateway"

// gatewayActions are what staff do through the gateway. Everything else is put in by the auth service itself and by the
// command line.
func gatewayActions() []string {
	return []string{"DELIVERY_REPLAYED", "TIMELINE_SHOWN", "CHANGE_RESOLUTION", "REQUESTS_SEARCHED", "REQUEST_CANCELLED"}
}

// writer returns which service asks, and its actions; none when it is not known.
func (w AuditWriters) writer(r *http.Request) (service string, actions []string) {
	given := sha256.Sum256([]byte(r.Header.Get(AuditCredential))) // of equal length, so that the time reveals nothing
	gateway := sha256.Sum256([]byte(w.Gateway.Reveal()))
	switch {
	case w.Gateway.Reveal() != "" && subtle.ConstantTimeCompare(given[:], gateway[:]) == 1,
		r.Header.Get(AuditCredential) == "" && w.Uncredentialed():
		return gatewayService, gatewayActions()
	default:
		return "", nil
	}
}

// AuditHandler returns 204 to POST AuditPath when the entry is durable. The service must be known by its credential
// (403), the action be one of its own (403), and the actor a member of staff (403); the entry names the service.
func AuditHandler(
	writers AuditWriters, accounts func(context.Context, auth.UserID) (auth.User, error), to ports.AuditLog, now ports.Clock, log *slog.Logger,
) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		service, actions := writers.writer(r)
		if service == "" {
			http.Error(w, "the audit credential is missing or wrong", http.StatusForbidden)
			return
		}
		var e Entry
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxEntry)).Decode(&e)
		var detail map[string]any
		if err != nil || e.Actor == "" || e.Action == "" || e.Outcome == "" || json.Unmarshal([]byte(e.Detail), &detail) != nil || detail == nil {
			http.Error(w, "not an entry", http.StatusBadRequest)
			return
		}
		if !slices.Contains(actions, e.Action) {
			log.ErrorContext(r.Context(), "a service put an action that is not its own into the audit log", "service", service, "action", e.Action)
			http.Error(w, "not an action of this service", http.StatusForbidden)
			return
		}
		switch staff, err := isStaff(r.Context(), accounts, e.Actor); {
		case err != nil:
			log.ErrorContext(r.Context(), "not in the audit log", "error", err.Error())
			http.Error(w, "not available", http.StatusServiceUnavailable)
			return
		case !staff && e.Outcome != string(fault.PermissionDenied):
			log.ErrorContext(r.Context(), "a service named an actor who is no member of staff", "service", service, "action", e.Action)
			http.Error(w, "not a member of staff", http.StatusForbidden)
			return
		}
		detail["service"] = service
		text, err := json.Marshal(detail)
		if err == nil {
			err = to.Append(r.Context(), audit.Entry{
				At: now(), Actor: e.Actor, Action: e.Action, Subject: e.Subject, Reason: e.Reason, Outcome: audit.Outcome(e.Outcome),
				Detail: string(text), IP: e.IP,
			})
		}
		if err != nil {
			log.ErrorContext(r.Context(), "not in the audit log", "error", err.Error())
			http.Error(w, "not available", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// isStaff returns whether there is an account of that id that is an operator's or administrator's. One that lost its role
// while the call was under way is refused: what came of it is missing then, and the intent says so.
func isStaff(ctx context.Context, accounts func(context.Context, auth.UserID) (auth.User, error), actor string) (bool, error) {
	user, err := auth.ParseUserID(actor)
	if err != nil {
		return false, nil //nolint:nilerr // no account has such an id
	}
	u, err := accounts(ctx, user)
	if errors.Is(err, fault.New(fault.UserNotFound)) {
		return false, nil
	}
	return err == nil && u.Staff(), err
}
